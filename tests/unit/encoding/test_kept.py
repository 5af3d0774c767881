"""What an encoder keeps for the report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.tables import read_tsv
from neuroattn.data.dataset import open_dataset
from neuroattn.data.registry import ArraysConfig
from neuroattn.encoding.kept import SIDE, keep_history, shown_pictures, write_curves
from neuroattn.features.registry import EfficientNetLiteConfig


def test_curves_have_a_row_for_each_epoch(tmp_path: Path) -> None:
    work, out = tmp_path / "work", ArtefactWriter(tmp_path)
    work.mkdir()
    write_curves(out, "fold-0", work)
    assert not (tmp_path / "fold-0").exists(), "nothing was trained"
    keep_history(work, [{"epoch": 1.0, "selection.r": 0.1}, {"epoch": 2.0, "selection.r": 0.25}])
    write_curves(out, "fold-0", work)
    table = read_tsv(tmp_path / "fold-0/curves.tsv", ("epoch", "selection.r"))
    assert table["selection.r"].tolist() == [0.1, 0.25]


def test_pictures_follow_the_images_and_are_left_out_where_there_are_none(tiny_data: Path) -> None:
    config = ArraysConfig(root=str(tiny_data))
    stimuli = open_dataset(config).stimuli
    ids = stimuli.ids
    table = pd.DataFrame({"image": ids, "sha256": [stimuli.digest(int(i)) for i in ids]})
    prepared: Any = SimpleNamespace(images=table.assign(file="x", source=""))
    kept = shown_pictures(config, EfficientNetLiteConfig(), prepared, ids[[3, 1]])
    pictures = kept["attention-pictures"]
    assert pictures.shape == (2, SIDE, SIDE, 3)
    alone = shown_pictures(config, EfficientNetLiteConfig(), prepared, ids[[1]])
    np.testing.assert_array_equal(pictures[1], alone["attention-pictures"][0])
    assert shown_pictures(ArraysConfig(), EfficientNetLiteConfig(), prepared, ids) == {}
