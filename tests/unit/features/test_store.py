from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import ArtefactError, ConfigError, DataError
from neuroattn.features.store import (
    IMAGES,
    LAYERS,
    FeatureStore,
    FeatureStoreWriter,
    LayerShape,
    layer_table,
)

# In an order that is neither that of names nor of depth.
SHAPES = {"blocks.4": LayerShape((2, 3), 5), "head": LayerShape((1, 1), 7),
          "blocks.10": LayerShape((2, 2), 4)}  # fmt: skip
IDS = np.array([40, 3, 17, 99], dtype=np.int64)
Make = Callable[[str, Callable[[ArtefactWriter], Any]], Artefact]


def _tokens() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {
        layer: random.normal(size=(4, shape.tokens, shape.dim)).astype(np.float16)
        for layer, shape in SHAPES.items()
    }


def _fill(out: ArtefactWriter) -> None:
    with FeatureStoreWriter(out.work, SHAPES, 4) as writer:
        writer.write(0, _tokens())
        for path in writer.finish():
            out.adopt(path, path.name)
    out.json(LAYERS, layer_table(SHAPES))
    out.table(IMAGES, pd.DataFrame({"row": range(4), "image": IDS, "sha256": "0"}))


@pytest.fixture
def artefact(artefact_of: Make) -> Artefact:
    return artefact_of("features", _fill)


def test_layers_images_and_shapes_are_those_written(artefact: Artefact) -> None:
    store = FeatureStore(artefact)
    assert store.layers == list(SHAPES)
    assert store.images.dtype == np.int64
    assert store.images.tolist() == IDS.tolist()
    assert store.shape("blocks.4") == (4, 6, 5)
    assert store.grid("blocks.4") == (2, 3)


def test_what_stands_beside_is_no_feature_of_an_encoder(artefact_of: Make) -> None:
    def fill(out: ArtefactWriter) -> None:
        _fill(out)
        out.json(LAYERS, layer_table(SHAPES, beside=["head"]))

    store = FeatureStore(artefact_of("features", fill))
    assert (store.layers, store.beside) == (["blocks.4", "blocks.10"], ["head"])
    np.testing.assert_array_equal(store.read("head"), _tokens()["head"])
    assert "beside" not in str(layer_table(SHAPES))


@pytest.mark.parametrize("wanted", [[17, 40, 17], [99], IDS.tolist(), []])
def test_rows_follow_the_ids_asked_for(artefact: Artefact, wanted: list[int]) -> None:
    rows = [IDS.tolist().index(image) for image in wanted]
    for layer, values in _tokens().items():
        found = FeatureStore(artefact).read(layer, wanted)
        assert found.dtype == np.float16
        assert np.array_equal(found, values[rows])


def test_no_ids_means_all_in_the_order_of_images(artefact: Artefact) -> None:
    assert np.array_equal(FeatureStore(artefact).read("head"), _tokens()["head"])


def test_ids_without_features_are_named(artefact: Artefact) -> None:
    with pytest.raises(DataError, match="41, 0"):
        FeatureStore(artefact).read("head", [40, 41, 0])


def test_an_unknown_layer_lists_those_there_are(artefact: Artefact) -> None:
    with pytest.raises(ConfigError, match=r"blocks\.4, head, blocks\.10"):
        FeatureStore(artefact).read("blocks.5")


def test_another_stage_is_refused(artefact_of: Make) -> None:
    other = artefact_of("prepare", lambda out: out.text("a.txt", "a"))
    with pytest.raises(ConfigError, match="prepare"):
        FeatureStore(other)


def test_a_bit_flipped_on_disk_is_found_when_its_row_is_read(artefact: Artefact) -> None:
    path = artefact.folder / "blocks.4.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # in the last row, image 99
    path.write_bytes(content)
    store = FeatureStore(artefact)
    assert len(store.read("blocks.4", [40, 3, 17])) == 3
    with pytest.raises(ArtefactError, match=f"row 3(.|\n)*{artefact.folder}"):
        store.read("blocks.4", [99])


@pytest.mark.parametrize("name", ["blocks.4.rows.npy", LAYERS, IMAGES])
def test_a_damaged_small_file_is_found_as_well(artefact: Artefact, name: str) -> None:
    path = artefact.folder / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=name):
        FeatureStore(artefact).read("blocks.4", [40])


def test_a_row_counts_when_every_layer_has_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("work")
    half = {layer: values[:2] for layer, values in _tokens().items()}
    with FeatureStoreWriter(folder, SHAPES, 4) as writer:
        writer.write(0, half)
        assert writer.done.tolist() == [True, True, False, False]
    (folder / "head.npy").unlink()
    with FeatureStoreWriter(folder, SHAPES, 4) as writer:
        assert not writer.done.any()
