"""The generated dataset: deterministic, labelled, and a dataset like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import ConfigError, StorageError
from neuroattn.core.fingerprint import file_digest
from neuroattn.data.dataset import open_dataset
from neuroattn.data.generated import generate
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ArraysConfig

from .tiny_dataset import prepare


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("g") / "demo", images=45, targets=20, repeats=3)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_digest(path) for path in files}


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    first = generate(tmp_path / "a", images=4, targets=5, repeats=2, seed=3)
    second = generate(tmp_path / "b", images=4, targets=5, repeats=2, seed=3)
    other = generate(tmp_path / "c", images=4, targets=5, repeats=2, seed=4)
    assert digests(first) == digests(second)
    assert digests(first)["responses.npy"] != digests(other)["responses.npy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_it_reads_as_a_dataset(made: Path) -> None:
    dataset = open_dataset(ArraysConfig(root=str(made)))
    assert (len(dataset.images), len(dataset.trials), len(dataset.targets)) == (45, 135, 20)
    assert set(dataset.trials["image"].value_counts()) == {3}
    assert dataset.stimuli.read(0).shape == (96, 96, 3)
    assert dataset.description.simulated
    assert "simulated responses" in dataset.description.name
    assert "simulated responses" in dataset.description.units
    assert "share photographs" in dataset.description.description
    assert set(dataset.targets["hemisphere"]) == {"lh", "rh"}
    counts = dataset.targets["rois"].value_counts()
    assert counts.to_dict() == {"early_sim|visual_sim": 8, "late_sim|visual_sim": 8, "": 4}


def test_every_picture_names_its_photograph(made: Path) -> None:
    sources = open_dataset(ArraysConfig(root=str(made))).images["source"]
    assert len(set(sources)) == 15
    assert set(sources.value_counts()) == {3}


def test_repeats_agree_as_planted(made: Path, tmp_path: Path) -> None:
    import pandas as pd

    prepared = Prepared(prepare(ArraysConfig(root=str(made)), tmp_path / "p" / "a-0"))
    truth = pd.read_csv(made / "truth.tsv", sep="\t")
    trials = prepared.trials
    halves = [
        prepared.responses(
            trials.loc[trials["repeat"] == k].sort_values("image")["trial"].to_numpy()
        )
        for k in (1, 2)
    ]
    r = np.array(
        [np.corrcoef(*pair)[0, 1] for pair in zip(*(half.T for half in halves), strict=True)]
    )
    expected = truth["ncsnr"] ** 2 / (truth["ncsnr"] ** 2 + 1)
    assert np.abs(r - expected).max() < 0.35
    assert abs((r - expected).mean()) < 0.08


def test_what_is_there_is_kept_and_what_is_foreign_is_not_touched(
    made: Path, tmp_path: Path
) -> None:
    before = (made / "responses.npy").stat().st_mtime_ns
    assert generate(made, images=45, targets=20, repeats=3) == made
    assert (made / "responses.npy").stat().st_mtime_ns == before
    with pytest.raises(StorageError, match="choose another folder"):
        generate(made, images=46, targets=20, repeats=3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("!")
    with pytest.raises(StorageError, match="other files"):
        generate(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("neuroattn.data.generated.rules.signals", fail)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "a", images=2, targets=1, repeats=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("few", [{"images": 1}, {"targets": 0}, {"repeats": 0}], ids=str)
def test_too_few(tmp_path: Path, few: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="too few"):
        generate(tmp_path / "a", **few)


def test_it_needs_neither_torch_nor_the_packages_it_takes_pictures_from() -> None:
    code = (
        "import sys; import neuroattn.data.generated; "
        "print([m for m in ('torch', 'skimage', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
