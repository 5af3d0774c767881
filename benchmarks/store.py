"""The store of responses: converting one full-size session, and reading the trials of a split.

Converting N values moves 4 N bytes in, and 4 N out (float32), or 4 N out and in again (a session
is spilled until its mean is known) and 2 N out (float16); the record of the artefact's digests
reads the store once more. Reading n trials of T targets moves n x T x 4 (or 2) bytes from the
disk, and nothing else: a trial is one range of bytes. Each byte passes the processor thrice:
from the page cache (5 GB/s on one core of the machine below), through CRC-32 (3 GB/s), and into
the result, whose pages are new (3 GB/s; half precision is widened and scaled on the way). So two
cores give 2 GB/s, and the floor is the disk: a plain read of as many bytes, nothing cached.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
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
from neuroattn.data.store_rows import Place, place_of

BLOCK = 64 << 20  # as the notes say
_TURNS = 3  # as the notes say
_NOTES = """\
Peak of memory beyond the imports, with blocks of 64 MiB from the reader.
{sessions} sessions, {targets:,} targets, images three times in random order. Rates are of bytes \
on the disk; every row is checked and turned into float32.
The disk's rate is a plain read of as many bytes from the start of the file on; its rate on these \
rows, one plain read of each in ascending order. Neither checks or keeps what it reads. Above 1 \
is more than one request at a time.
Medians of 3 turns; contenders take turns.\
""".splitlines()


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
        self.categories: dict[str, Any] = {}
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


def _seconds(
    contenders: Mapping[str, Callable[[], object]], file: Path, cold: bool
) -> dict[str, tuple[float, float]]:
    """Median (seconds, processor seconds) of each, taking turns; ``cold``: nothing is cached."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(-1, _TURNS):
        for name, read in contenders.items():
            if cold:
                with open(file, "rb") as handle:
                    os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            busy, began = time.process_time(), time.perf_counter()
            read()
            if turn >= 0:
                times = time.perf_counter() - began, time.process_time() - busy
                found[name].append(times)
    return {name: tuple(np.median(times, axis=0).tolist()) for name, times in found.items()}


def _in_order(file: Path, share: float) -> None:
    """The disk's rate: as many bytes, from the start of the file on."""
    left, buffer = int(share * file.stat().st_size), bytearray(1 << 20)
    with open(file, "rb", buffering=0) as handle:
        while left > 0 and (count := handle.readinto(buffer)):
            left -= count


def _row_by_row(file: Path, place: Place, rows: list[int]) -> None:
    """The same rows, each read where it stands; neither checked, scaled nor kept."""
    buffer = bytearray(place.row_bytes)
    with open(file, "rb", buffering=0) as handle:
        for row in rows:
            os.preadv(handle.fileno(), [buffer], place.offset + row * place.row_bytes)


def run(tiny: bool) -> Table:
    """Conversion of a session, then rates of reading the sides of a split."""
    width, trials = (500, 60) if tiny else (163_842, 750)
    sessions, targets = (2, 300) if tiny else (20, 15_724)
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as place:
        for form in ("float32", "float16"):
            mib = peak_mib("benchmarks.store:conversion", width, trials, form, place)
            size = 4 * width * trials / 2**20
            note = f"{mib:.0f} MiB of memory, {ratio(mib, size)} of the session as float32"
            rows.append([f"convert {trials} x {width:,}, {form}", note, "", "", ""])
        for form in ("float32", "float16"):
            dataset = Fabricated(sessions, 60 if tiny else 750, targets)
            folder = Path(tempfile.mkdtemp(dir=place))
            rows += _reading(Prepared(convert(dataset, form, folder)), form)
    return Table(
        title="Store of responses: memory of a conversion, rate of reading a split",
        columns=(
            "What", "Rate (nothing cached)", "Of the disk's rate", "Of its rate on these rows",
            "Rate (all cached), processor time",
        ),
        rows=rows,
        notes=tuple(line.format(sessions=sessions, targets=targets) for line in _NOTES),
    )  # fmt: skip


def _reading(prepared: Prepared, form: str) -> list[list[str]]:
    images = np.random.default_rng(1).permutation(prepared.image_ids)
    file = prepared.artefact.folder / "responses.h5"
    with h5py.File(file) as opened:
        place = place_of(opened["responses"])
    assert place is not None
    prepared.responses([0])  # tables and moments are read once
    rows = []
    for name, share in (("train, 90 %", 0.9), ("test, 10 %", 0.1)):
        chosen = np.sort(prepared.trial_rows(images[: int(share * len(images))])[0])
        size = len(chosen) * place.row_bytes
        contenders = {
            "ours": partial(prepared.responses, chosen),
            "disk": partial(_in_order, file, len(chosen) / len(prepared.trials)),
            "rows": partial(_row_by_row, file, place, chosen.tolist()),
        }
        cold = {key: times[0] for key, times in _seconds(contenders, file, cold=True).items()}
        warm, busy = _seconds({"ours": contenders["ours"]}, file, cold=False)["ours"]
        rows.append(
            [
                f"read trials of {name}, {form}", _rate(size, cold["ours"]),
                ratio(cold["disk"], cold["ours"]), ratio(cold["rows"], cold["ours"]),
                f"{_rate(size, warm)}, {busy / size * 2**30:.2f} s/GiB",
            ]
        )  # fmt: skip
    return rows


def _rate(size: int, seconds: float) -> str:
    return f"{size / seconds / 2**20:.0f} MiB/s"
