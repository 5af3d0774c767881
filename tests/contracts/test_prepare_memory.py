"""Memory of ``prepare`` does not grow with sessions, in either form of the store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

TRIALS, TARGETS = 250, 4000  # a session is 4 MB
_DESCRIBED = ("name", "species", "modality", "units", "space", "licence", "citation")
_PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.stage import StageContext
from neuroattn.core.tracking import Tracker
from neuroattn.data.registry import ArraysConfig, StoreForm
from neuroattn.data.stage import run
root, out, form = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
out.mkdir()
dataset = ArraysConfig(root=str(root), block_mib=1, store=StoreForm(form))
run(StageContext(
    config=SimpleNamespace(dataset=dataset), parents={}, out=ArtefactWriter(out),
    tracker=Tracker(out / "metrics.jsonl"), seed=0, fingerprint="0" * 64,
))
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def dataset(folder: Path, sessions: int) -> Path:
    """Sessions of 250 trials of 50 images, five times each."""
    folder.mkdir()
    (folder / "dataset.yaml").write_text("".join(f"{key}: x\n" for key in _DESCRIBED))
    rows = range(sessions * TRIALS)
    lines = [f"{row}\t{row % 50}\t{1 + row // TRIALS}\t{1 + row // 50}" for row in rows]
    (folder / "trials.tsv").write_text("\n".join(["trial\timage\tsession\trepeat", *lines]))
    (folder / "rois.tsv").write_text("target\troi\themisphere\n")
    np.save(folder / "images.npy", np.zeros((50, 2, 2, 3), dtype=np.uint8))
    random = np.random.default_rng(0)
    # HDF5, because the pages of a memory-mapped file would count as the process's memory.
    with h5py.File(folder / "responses.h5", "w") as file:
        shape = (sessions * TRIALS, TARGETS)
        array = file.create_dataset("responses", shape, "f4", chunks=(25, TARGETS))
        for start in range(0, len(array), TRIALS):
            array[start : start + TRIALS] = random.random((TRIALS, TARGETS), dtype=np.float32)
    return folder


def peak(root: Path, out: Path, form: str) -> float:
    """Largest resident memory of one run, MiB."""
    command = [sys.executable, "-c", _PROGRAM, str(root), str(out), form]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize("form", ["float32", "float16"])
def test_memory_is_flat_from_2_to_40_sessions(tmp_path: Path, form: str) -> None:
    few, many = dataset(tmp_path / "few", 2), dataset(tmp_path / "many", 40)
    low = peak(few, tmp_path / "out-few", form)
    high = peak(many, tmp_path / "out-many", form)
    # The 38 sessions more are 145 MiB as float32.
    assert high - low < 16, f"{low:.0f} MiB with 2 sessions, {high:.0f} MiB with 40"
