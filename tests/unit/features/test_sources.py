"""Features from a file and from captions: stored by image id; what is missing is named."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext
from neuroattn.data.registry import ArraysConfig
from neuroattn.features import stage
from neuroattn.features.backbone_schemas import BackboneConfig
from neuroattn.features.captions_source import embed
from neuroattn.features.registry import BACKBONES
from neuroattn.features.source_schemas import ArraysSourceConfig, CaptionsSourceConfig
from neuroattn.features.sources import GROUP
from neuroattn.features.store import FeatureStore

from .conftest import finish

Array = np.ndarray[Any, Any]


class Made:
    """A parent with images 10, 11, … and the stage over it; there is no picture at all."""

    def __init__(self, root: Path, count: int = 5, captions: dict[str, Any] | None = None) -> None:
        import pandas as pd

        self.root, self.ids = root, np.arange(10, 10 + count)
        writer = ArtefactWriter(root / "prepare")
        writer.folder.mkdir()
        table = pd.DataFrame({"image": self.ids, "file": "none", "sha256": "0", "source": ""})
        writer.table("images.tsv", table)
        writer.json("captions.json", captions or {})
        self.parent = finish(writer, "prepare")

    def features(self, config: BackboneConfig, name: str = "features") -> FeatureStore:
        out = ArtefactWriter(self.root / name)
        out.folder.mkdir()
        section = SimpleNamespace(
            dataset=ArraysConfig(root="nowhere"), backbone=config, runtime=RuntimeConfig()
        )
        context = StageContext(
            config=section, parents={"prepare": self.parent}, out=out, tracker=None,  # type: ignore[arg-type]
            seed=0, fingerprint="0" * 64,
        )  # fmt: skip
        result = stage.run(context)
        assert result.metrics["images"] == len(self.ids)
        assert result.methods.startswith("Features were ")
        return FeatureStore(finish(out, "features"))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def values(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((6,), (1, 1)), ((4, 6), (2, 2)), ((5, 6), (1, 5)), ((2, 3, 6), (2, 3))],
)
def test_rows_belong_to_the_ids_that_were_given(
    made: Made, shape: tuple[int, ...], grid: tuple[int, int]
) -> None:
    table, ids = values(5, *shape), np.array([14, 10, 13, 12, 11])
    np.save(made.root / "f.npy", table)
    np.save(made.root / "ids.npy", ids)
    files = {"file": str(made.root / "f.npy"), "ids": str(made.root / "ids.npy")}
    store = made.features(ArraysSourceConfig(**files))
    assert store.grid("array") == grid
    found = store.read("array", [12, 10])
    np.testing.assert_allclose(found.reshape(2, -1), table[[3, 1]].reshape(2, -1), atol=2e-3)


def test_without_ids_row_and_id_are_the_same(made: Made) -> None:
    table = values(20, 3)
    np.save(made.root / "f.npy", table)
    store = made.features(ArraysSourceConfig(file=str(made.root / "f.npy")))
    np.testing.assert_allclose(store.read("array")[:, 0], table[10:15], atol=2e-3)


def test_every_dataset_of_an_hdf5_file_is_a_layer(tmp_path: Path) -> None:
    made = Made(tmp_path, count=GROUP + 9)
    ids = np.random.default_rng(1).permutation(made.ids)
    early, late = values(len(ids), 9, 2), values(len(ids), 4)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["early"], file["late"], file["image"] = early, late, ids
    store = made.features(ArraysSourceConfig(file=str(tmp_path / "f.h5")))
    assert store.layers == ["early", "late"]
    np.testing.assert_allclose(store.read("early", ids), early, atol=2e-3)
    one = ArraysSourceConfig(file=str(tmp_path / "f.h5"), layers=["late"])
    assert made.features(one, "again").layers == ["late"]


def test_what_is_missing_is_named(made: Made) -> None:
    with pytest.raises(ConfigError, match=r"backbone\.file=FILE"):
        BACKBONES.leaves(ArraysSourceConfig())
    with pytest.raises(MissingDataError, match="absent"):
        BACKBONES.leaves(ArraysSourceConfig(file=str(made.root / "absent.npy")))
    np.save(made.root / "f.npy", values(12, 3))
    with pytest.raises(DataError, match=r"3 images are missing(.|\n)*backbone\.ids"):
        made.features(ArraysSourceConfig(file=str(made.root / "f.npy")))
    np.save(made.root / "flat.npy", values(12))
    with pytest.raises(DataError, match="too many or too few axes"):
        made.features(ArraysSourceConfig(file=str(made.root / "flat.npy")), "b")
    layer = ArraysSourceConfig(file=str(made.root / "f.npy"), layers=["late"])
    with pytest.raises(DataError, match="no layer late"):
        made.features(layer, "c")


def test_ids_that_stand_twice_are_refused(made: Made) -> None:
    np.save(made.root / "f.npy", values(6, 3))
    np.save(made.root / "ids.npy", np.array([10, 11, 12, 13, 14, 14]))
    files = {"file": str(made.root / "f.npy"), "ids": str(made.root / "ids.npy")}
    with pytest.raises(DataError, match="each once"):
        made.features(ArraysSourceConfig(**files))


def test_pickled_arrays_are_refused(made: Made) -> None:
    np.save(made.root / "f.npy", np.array([{"a": 1}] * 20, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="no file of numbers"):
        made.features(ArraysSourceConfig(file=str(made.root / "f.npy")))


# Captions


WORDS = {
    "10": ["A dog on a sofa.", "dog, sofa"],
    "11": ["A DOG on a sofa"],
    "12": ["a red car"],
    "13": ["the car is red"],
    "14": ["a plate of food"],
}


def test_captions_that_share_words_are_alike(tmp_path: Path) -> None:
    store = Made(tmp_path, captions=WORDS).features(CaptionsSourceConfig())
    assert store.shape("captions") == (5, 1, 2048)
    x = store.read("captions")[:, 0].astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    alike = x @ x.T
    assert alike[0, 1] > 0.7
    assert alike[2, 3] > 0.3 > alike[0, 2] + 0.1
    config = CaptionsSourceConfig()
    mean = embed(WORDS["10"], config).mean(0)
    np.testing.assert_allclose(store.read("captions", [10])[0, 0], mean, atol=1e-3)


def test_the_hash_is_the_same_on_every_machine() -> None:
    one = embed(["dog"], CaptionsSourceConfig(dim=16, words=1))
    assert np.flatnonzero(one[0]).tolist() == [5]
    np.testing.assert_allclose(np.linalg.norm(embed(["a b c"], CaptionsSourceConfig())), 1)


def test_an_image_without_a_caption_is_named(tmp_path: Path) -> None:
    some = {name: captions for name, captions in WORDS.items() if name != "13"}
    with pytest.raises(DataError, match=r"none for 1, as \[13\]"):
        Made(tmp_path, captions=some).features(CaptionsSourceConfig())


@pytest.mark.parametrize("name", ["arrays", "captions"])
def test_no_picture_leads_to_them(name: str) -> None:
    import torch

    with pytest.raises(ConfigError, match="makes features of no picture"):
        BACKBONES.load(name)(BACKBONES[name].schema(), torch.device("cpu"))


def test_the_stored_table_is_that_of_any_backbone(tmp_path: Path) -> None:
    made = Made(tmp_path, captions=WORDS)
    made.features(CaptionsSourceConfig(dim=64))
    table = json.loads((tmp_path / "features" / "layers.json").read_text())
    assert table == {"captions": {"order": 0, "grid": [1, 1], "dim": 64, "tokens": 1}}
    assert list(Artefact(tmp_path / "features").table("images.tsv")["image"]) == made.ids.tolist()
