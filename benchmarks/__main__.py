"""``python -m benchmarks [NAME ...] [--tiny] [--write]``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from benchmarks.harness import PAGE, Table, markdown, put
from neuroattn.core.process import settle

TOOLS = ("harness",)
NAMES = tuple(
    sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py") if file.stem not in TOOLS)
)


def benchmark(name: str) -> Callable[[bool], Table]:
    """The function ``run(tiny)`` of a benchmark."""
    run: Callable[[bool], Table] = import_module(f"benchmarks.{name}").run
    return run


def main(words: list[str] | None = None) -> None:
    """Run the benchmarks that are named, or all, and print or keep their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(NAMES))
    parser.add_argument("--tiny", action="store_true", help="seconds; the figures mean nothing")
    parser.add_argument("--write", action="store_true", help=f"into docs/{PAGE.name}")
    chosen = parser.parse_args(words)
    unknown = [name for name in chosen.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    settle()
    for name in chosen.names or NAMES:
        text = markdown(benchmark(name)(chosen.tiny), f"python -m benchmarks {name}")
        print(text)
        if chosen.write and not chosen.tiny:
            put(name, text)


if __name__ == "__main__":
    main()
