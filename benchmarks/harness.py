"""How everything here is measured: interleaved runs, medians, peak memory in a child, one table.

Contenders take turns (A B C A B C …), so that a slow minute of the machine meets all of them, and
the median over turns is reported. Memory is the peak in a process of its own that does nothing
else, less what it has before it begins.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "benchmarks.md"
AGAIN = 10  # products and copies in one turn of a floor


@dataclass(frozen=True)
class Table:
    """What one benchmark found.

    Parameters
    ----------
    title : one line.
    columns, rows : the table.
    notes : sentences below it: sizes, floors, what the figures do not say.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Spent:
    """Median seconds of one contender.

    Parameters
    ----------
    wall : by the clock.
    processor : of all threads, and of children that ended; what it says does not depend on what
        else the machine does, but for caches and clock rates.
    """

    wall: float
    processor: float


def processor_seconds() -> float:
    """User and system time of this process and of its children that ended."""
    return sum(os.times()[:4])


def spend_turns(
    contenders: Mapping[str, Callable[[], object]], turns: int, warmups: int = 1
) -> dict[str, Spent]:
    """What each contender takes, medians over ``turns`` after ``warmups`` that do not count."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(-warmups, turns):
        for name, run in contenders.items():
            began, used = time.perf_counter(), processor_seconds()
            run()
            elapsed = time.perf_counter() - began, processor_seconds() - used
            if turn >= 0:
                seconds[name].append(elapsed)
    return {
        name: Spent(*(statistics.median(clock) for clock in zip(*values, strict=True)))
        for name, values in seconds.items()
    }


def take_turns(
    contenders: Mapping[str, Callable[[], object]], turns: int, warmups: int = 1
) -> dict[str, float]:
    """Median seconds of each contender by the clock; see `spend_turns`."""
    found = spend_turns(contenders, turns, warmups)
    return {name: spent.wall for name, spent in found.items()}


def peak_mib(call: str, *arguments: object) -> float:
    """Peak memory in MiB that a call adds to a fresh process (Linux).

    ``module:function`` of ``arguments`` (JSON values) is the set-up, and returns the call.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness", call, json.dumps(arguments)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    return float(ran.stdout.strip().splitlines()[-1])


def _measure(call: str, arguments: Iterable[object]) -> float:
    """In the child: the highest of many looks at the memory of the process's own.

    Pages of a mapped file are left out: they belong to the page cache, and go when memory is
    wanted. The system keeps no high-water mark of the rest, hence the looks.
    """
    from importlib import import_module

    module, _, name = call.partition(":")
    prepared = getattr(import_module(module), name)(*arguments)
    looks = [_own_memory()]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.002):
            looks.append(_own_memory())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    prepared()
    stop.set()
    watcher.join()
    return (max(looks) - looks[0]) / 1024


def _own_memory() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def products(rows: int, shared: int, columns: int) -> Callable[[], None]:
    """`AGAIN` products (rows, shared) by (shared, columns) into memory that is there: a floor.

    What the machine sustains: a result that is allocated in each turn would make it look slower.
    """
    import torch

    left, right = torch.rand(rows, shared), torch.rand(shared, columns)
    out = torch.empty(rows, columns)

    def run() -> None:
        for _ in range(AGAIN):
            torch.mm(left, right, out=out)

    return run


def milliseconds(seconds: float) -> str:
    """A time for a table, with three digits."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def ratio(value: float, reference: float) -> str:
    """``value`` in units of ``reference``."""
    return f"{value / reference:.2f}"


def machine() -> str:
    """Cores, memory and versions, without the name of the machine."""
    from importlib.metadata import version

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "himalaya"))
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, no GPU used,"
        f" threads of BLAS: {threads}; Python {platform.python_version()}, {packages}"
    )


def commit() -> str:
    """The commit that was measured, and whether files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "--no-optional-locks", *words],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()

    dirty = " with changes" if git("status", "--porcelain", "neuroattn") else ""
    return (git("rev-parse", "--short", "HEAD") or "no commit") + dirty


def markdown(table: Table, command: str) -> str:
    """One section of the page."""
    head = [" | ".join(table.columns), " | ".join("---" for _ in table.columns)]
    rows = head + [" | ".join(row) for row in table.rows]
    lines = [f"### {table.title}", "", *(f"| {row} |" for row in rows), ""]
    lines += [f"- {note}" for note in table.notes]
    when = f"{time.strftime('%Y-%m-%d')}, commit {commit()}, `{command}`; {machine()}."
    return "\n".join([*lines, "", when, ""])


def put(name: str, text: str, page: Path = PAGE) -> None:
    """Replace the section between the markers of ``name``; a new one goes to the end."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    section = f"{begin}\n\n{text}\n{end}"
    content = page.read_text() if page.exists() else ""
    head, found, rest = content.partition(begin)
    _, closed, tail = rest.partition(end)
    if found and not closed:
        raise ValueError(f"{page.name}: the marker of {name} is not closed")
    page.write_text(head + section + tail if found else f"{content.rstrip()}\n\n{section}\n")


if __name__ == "__main__":
    print(_measure(sys.argv[1], json.loads(sys.argv[2])))
