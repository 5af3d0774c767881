"""Streaming ``prepare``: how fast responses pass, and how much memory they take.

For responses of B bytes the stage reads B for the digest of the input, reads B again, checks,
writes B with a Fletcher-32 checksum on every chunk, and reads B once more for the digest of the
payload: 3 B read (mostly from the page cache), 1 B written, 2 B through SHA-256. The floor is
writing B to this disk with one fsync and hashing it twice on one core; both are measured beside
it. Peak memory must not grow with B.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness import Table, peak_mib, take_turns
from neuroattn.cli.compose import compose
from neuroattn.data.generated import generate
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.config import RootConfig

TARGETS = 4000
IMAGES = 24


def make(folder: Path, trials: int) -> Path:
    """A dataset in the ``arrays`` layout with ``trials`` rows of responses."""
    data = generate(folder / f"data-{trials}", images=IMAGES, targets=2, repeats=1)
    shape = (trials, TARGETS)
    responses = np.lib.format.open_memmap(data / "responses.npy", "w+", np.float32, shape)
    rng = np.random.default_rng(0)
    for start in range(0, trials, 500):
        responses[start : start + 500] = rng.standard_normal(
            (min(500, trials - start), TARGETS), dtype=np.float32
        )
    responses.flush()
    rows = (f"{t}\t{t % IMAGES}\t1\t{t // IMAGES + 1}\n" for t in range(trials))
    (data / "trials.tsv").write_text("trial\timage\tsession\trepeat\n" + "".join(rows))
    rois = (f"{target}\tV1\tlh\n" for target in range(TARGETS))
    (data / "rois.tsv").write_text("target\troi\themisphere\n" + "".join(rois))
    described = (data / "dataset.yaml").read_text().splitlines(keepends=True)
    (data / "dataset.yaml").write_text("".join(x for x in described if not x.startswith("n_")))
    return data


def configured(data: str, root: str) -> RootConfig:
    """The config of the stage on ``data``."""
    return compose([f"dataset.root={data}", f"paths.root={root}", "dataset.block_mib=16"])


def stage(data: str, root: str) -> Callable[[], object]:
    """For `peak_mib`: the stage on ``data``, ready to run, with its modules imported."""
    import h5py  # noqa: F401
    import pandas as pd  # noqa: F401

    from neuroattn.data import arrays  # noqa: F401
    from neuroattn.data import stage as imported  # noqa: F401

    config = configured(data, root)
    return lambda: run_stage("prepare", config)


def run(tiny: bool) -> Table:
    """Time the stage and the disk, and measure memory at two sizes."""
    trials, turns = (48, 1) if tiny else (24_000, 3)
    base = Path(os.environ.get("NEUROATTN_BENCH_DISK", tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(dir=base) as folder:
        home, number = Path(folder), itertools.count()
        data, small = make(home, trials), make(home, trials // 4)

        def fresh() -> str:
            for old in home.glob("root-*"):
                shutil.rmtree(old)
            return str(home / f"root-{next(number)}")

        content = (data / "responses.npy").read_bytes()
        size = len(content)
        seconds = take_turns(
            {
                "stage": lambda: run_stage("prepare", configured(str(data), fresh())),
                "disk": lambda: _write(home / "plain", content),
                "hash": lambda: hashlib.sha256(content).digest(),
            },
            turns,
        )
        peaks = [peak_mib("benchmarks.prepare:stage", str(d), fresh()) for d in (small, data)]
    return _table(size, seconds, peaks, turns)


def _table(size: int, seconds: dict[str, float], peaks: list[float], turns: int) -> Table:
    def rate(value: float) -> str:
        return f"{size / 1e6 / value:.0f} MB/s"

    floor = seconds["disk"] + 2 * seconds["hash"]
    share = f"The stage reaches {100 * floor / seconds['stage']:.0f} % of the floor"
    return Table(
        title=f"Streaming prepare, {size / 1e6:.0f} MB of responses",
        columns=("what", "rate", "memory added"),
        rows=[
            ("the stage prepare", rate(seconds["stage"]), f"{peaks[1]:.0f} MiB"),
            ("the stage on a quarter of the trials", "", f"{peaks[0]:.0f} MiB"),
            ("floor: one write and two SHA-256 passes", rate(floor), ""),
            ("plain write and fsync of as many bytes", rate(seconds["disk"]), ""),
            ("one SHA-256 pass on one core", rate(seconds["hash"]), ""),
        ],
        notes=(
            f"{share} and {100 * seconds['disk'] / seconds['stage']:.0f} % of the disk's own rate.",
            f"{turns} turns; blocks of 16 MiB.",
            "Memory is the process's own; pages of the mapped input belong to the page cache.",
        ),
    )


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
