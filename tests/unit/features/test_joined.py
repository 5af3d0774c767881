"""Several stores read as one: names, shapes, values; pictures must be the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.features.joined import JoinedStore, further, open_features
from neuroattn.features.store import (
    IMAGES,
    LAYERS,
    FeatureStore,
    FeatureStoreWriter,
    LayerShape,
    layer_table,
)

from .conftest import finish

OWN, OTHER = LayerShape((1, 2), 3), LayerShape((2, 2), 5)


def stored(
    folder: Path, shape: LayerShape, ids: list[int], pictures: list[str] | None = None
) -> Artefact:
    """One layer ``map`` whose values are the image id and, in the last channel, the token."""
    folder.mkdir()
    out = ArtefactWriter(folder)
    values = np.zeros((len(ids), shape.tokens, shape.dim), np.float16)
    values += np.array(ids, np.float16)[:, None, None]
    values[..., -1] = np.arange(shape.tokens)
    with FeatureStoreWriter(out.work, {"map": shape}, len(ids)) as store:
        store.write(0, {"map": values})
        files = store.finish()
    for path in files:
        out.adopt(path, path.name)
    out.json(LAYERS, layer_table({"map": shape}))
    names = pictures or [f"p{image}" for image in ids]
    rows = {"row": range(len(ids)), "image": ids, "sha256": names}
    out.table(IMAGES, pd.DataFrame(rows))
    return finish(out, "features")


def test_layers_of_others_are_named_after_them(tmp_path: Path) -> None:
    own = stored(tmp_path / "own", OWN, [7, 5, 9])
    other = stored(tmp_path / "other", OTHER, [4, 9, 7, 5])
    joined = open_features(own, {"clip": other})
    assert joined.layers == ["map", "clip:map"]
    assert joined.images.tolist() == [7, 5, 9]
    assert joined.grid("clip:map") == (2, 2)
    assert joined.shape("map") == (3, 2, 3)
    assert joined.shape("clip:map") == (3, 4, 5), "the images of the run, not all of the store"
    assert joined.read("clip:map", [9, 5])[:, 0, 0].tolist() == [9, 5]
    assert joined.read("clip:map")[:, 0, 0].tolist() == [7, 5, 9]
    with pytest.raises(ConfigError, match=r"map, clip:map"):
        joined.read("late")


def test_one_store_is_itself(tmp_path: Path) -> None:
    assert isinstance(open_features(stored(tmp_path / "own", OWN, [1]), {}), FeatureStore)
    assert further({"features": 1, "features/a": 2, "prepare": 3}) == {"a": 2}


@pytest.mark.parametrize(
    ("ids", "pictures", "says"),
    [
        ([5], None, "1 missing, 0 others"),
        ([5, 7], ["p5", "another"], "0 missing, 1 others"),
    ],
)
def test_other_pictures_are_refused(
    tmp_path: Path, ids: list[int], pictures: list[str] | None, says: str
) -> None:
    own, other = (
        FeatureStore(stored(tmp_path / name, OWN, *made))
        for name, made in (("own", ([5, 7],)), ("other", (ids, pictures)))
    )
    with pytest.raises(DataError, match=says) as caught:
        JoinedStore(own, {"clip": other})
    assert "as image 7" in str(caught.value)
