"""The store of responses: converting one full-size session, and reading the trials of a split.

Converting N values moves 4 N bytes in, 4 N out and in again (a session is spilled until its
mean is known), and 2 N (float16) twice more. Reading a split moves 2 or 4 bytes a value from
the disk; its floor is a plain sequential read of the same bytes, with nothing in the cache.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Table, peak_mib, ratio
from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.stage import StageContext
from neuroattn.core.tracking import Tracker
from neuroattn.data import stage
from neuroattn.data.dataset import Description
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ArraysConfig, StoreForm

BLOCK = 64 << 20
_TURNS = 3


class Fabricated:
    """Sessions of 750 trials made on the fly, each image three times."""

    def __init__(self, sessions: int, trials: int, targets: int) -> None:
        self.rows, self.width = sessions * trials, targets
        number = np.random.default_rng(0).permutation(self.rows)
        self.trials = pd.DataFrame(
            {
                "trial": np.arange(self.rows), "subject": "s1", "run": 1,
                "session": 1 + np.arange(self.rows) // trials, "image": number // 3,
                "repeat": 1 + number % 3,
            }
        )  # fmt: skip
        shown = np.unique(number // 3)
        self.images = pd.DataFrame({"image": shown, "file": "x", "source": ""})
        columns = {"target": np.arange(targets), "subject": "s1", "hemisphere": "lh"}
        self.targets = pd.DataFrame({**columns, "vertex": np.arange(targets), "rois": ""})
        self.description = Description(*"abcdefg", simulated=True)
        self.splits: dict[str, Any] = {}
        self.captions: dict[str, Any] = {}
        self.stimuli = SimpleNamespace(digest=lambda image: f"{image:064x}")
        self.supplied_ncsnr = None

    def response_blocks(self) -> Iterator[Any]:
        """Noise, a block at a time."""
        random, step = np.random.default_rng(0), max(1, BLOCK // (4 * self.width))
        for start in range(0, self.rows, step):
            stop = min(start + step, self.rows)
            yield slice(start, stop), random.random((stop - start, self.width), dtype=np.float32)


def convert(dataset: Fabricated, form: str, folder: Path) -> Artefact:
    """Run ``prepare`` on a dataset in memory."""
    stage.open_dataset = lambda _: dataset  # type: ignore[assignment,return-value]
    out = ArtefactWriter(folder)
    context = StageContext(
        config=SimpleNamespace(dataset=ArraysConfig(store=StoreForm(form))), parents={}, out=out,
        tracker=Tracker(folder / "metrics.jsonl"), seed=0, fingerprint="0" * 64,
    )  # fmt: skip
    payload = {"stage": "prepare", "version": 0, "science": {}, "parents": {}, "leaves": {}}
    write_json(folder / "fingerprint.json", payload)
    stage.run(context)
    out.finish(provenance={}, metrics={}, methods="")
    return Artefact(folder)


def conversion(targets: int, trials: int, form: str, folder: str) -> Callable[[], object]:
    """What `peak_mib` measures: one session of this size, to be converted."""
    dataset = Fabricated(1, trials, targets)
    return lambda: convert(dataset, form, Path(tempfile.mkdtemp(dir=folder)))


def _seconds(read: Callable[[], object], file: Path) -> float:
    """Median seconds of reading with none of the file in the page cache."""
    found = []
    for _ in range(_TURNS):
        with open(file, "rb") as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        read()
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def _plain(file: Path, share: float) -> None:
    left = int(share * file.stat().st_size)
    with open(file, "rb", buffering=0) as handle:
        while left > 0 and (block := handle.read(min(left, 1 << 20))):
            left -= len(block)


def run(tiny: bool) -> Table:
    """Peak memory of a conversion, then rates of reading."""
    width, trials = (500, 60) if tiny else (163_842, 750)
    sessions, targets = (2, 300) if tiny else (20, 15_724)
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as place:
        for form in ("float32", "float16"):
            mib = peak_mib("benchmarks.store:conversion", width, trials, form, place)
            size = 4 * width * trials / 2**20
            rows.append(
                [f"convert {trials} x {width:,}, {form}", f"{mib:.0f} MiB", ratio(mib, size)]
            )
        for form in ("float32", "float16"):
            dataset = Fabricated(sessions, 60 if tiny else 750, targets)
            folder = Path(tempfile.mkdtemp(dir=place))
            rows += _reading(Prepared(convert(dataset, form, folder)), form)
    return Table(
        title="Store of responses: memory of a conversion, rate of reading a split",
        columns=("What", "Peak, or rate", "Of the session as float32, or of the disk's rate"),
        rows=rows,
        notes=(
            f"Peak beyond the imports, with blocks of {BLOCK >> 20} MiB from the reader.",
            f"{sessions} sessions, {targets:,} targets, images three times in random order.",
            "The disk's rate is a sequential read of as many bytes; neither is in the page cache.",
        ),
    )


def _reading(prepared: Prepared, form: str) -> list[list[str]]:
    images = np.random.default_rng(1).permutation(prepared.image_ids)
    file = prepared.artefact.path("responses.h5")
    prepared.responses([0])  # tables and moments are read once
    rows = []
    for name, share in (("train, 90 %", 0.9), ("test, 10 %", 0.1)):
        chosen = np.sort(prepared.trial_rows(images[: int(share * len(images))])[0])
        size = len(chosen) / len(prepared.trials)
        ours = _seconds(lambda chosen=chosen: prepared.responses(chosen), file)  # type: ignore[misc]
        disk = _seconds(lambda size=size: _plain(file, size), file)  # type: ignore[misc]
        rate = size * file.stat().st_size / ours / 2**20
        rows.append([f"read trials of {name}, {form}", f"{rate:.0f} MiB/s", ratio(disk, ours)])
    return rows
