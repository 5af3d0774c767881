"""Sections on encoders: other models beside the main one, training curves, attention."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.hdf5 import add_dataset
from neuroattn.figures.attention import Look
from neuroattn.reports.blocks import Notice, Picture, Table
from neuroattn.reports.registry import ReportConfig
from neuroattn.reports.sections import attention, others, training
from neuroattn.reports.sources import Sources

IMAGES, TARGETS = 12, 4
ROIS = ["FFA", "FFA", "PPA", ""]


def encoder(folder: Path, *, r: float = 0.5, pictures: bool = True, test: int = IMAGES) -> Artefact:
    """An encode artefact whose target k responds most to image k, and looks at cell k."""
    folder.mkdir(parents=True)
    writer = ArtefactWriter(folder)
    table = pd.DataFrame(
        {"target": range(TARGETS), "rois": ROIS, "hemisphere": ["lh", "rh", "lh", "lh"]}
    )
    writer.table("targets.tsv", table)
    writer.table(
        "scores.tsv", table.assign(r=[0.2, 0.6, 0.4, 0.1], r_squared=0.1, r2=0.1, r_pooled=r)
    )
    rois = pd.DataFrame(
        {
            "roi": ["all targets", "FFA", "PPA"], "n_targets": [4, 2, 1], "r": [r, r, r + 0.1],
            "r_low": r - 0.1, "r_high": r + 0.1, "r_squared_over_nc": 0.3,
        }
    )  # fmt: skip
    writer.table("rois.tsv", rois)
    side = np.where(np.arange(2 * IMAGES) < test, "test", "train")
    writer.table(
        "folds.tsv", pd.DataFrame({"fold": 0, "image": np.arange(2 * IMAGES), "side": side})
    )
    predicted = np.eye(IMAGES, TARGETS, dtype=np.float32)
    with writer.hdf5("predictions.h5") as file:
        group = file.create_group("test")
        add_dataset(group, "predicted", predicted)
        add_dataset(group, "image", np.arange(IMAGES))
        add_dataset(group, "fold", np.zeros(IMAGES, dtype=np.int32))
    with writer.hdf5("attention.h5") as file:
        _attention(file, pictures)
    selection = [0.1, 0.3, 0.3]
    rows = {"epoch": [1, 2, 3], "train.epoch_loss": [3, 2, 1.0], "selection.r": selection}
    writer.table("fold-0/curves.tsv", pd.DataFrame(rows))
    payload = {"stage": "encode", "version": 1, "science": {}, "parents": {}, "leaves": {"r": r}}
    write_json(folder / "fingerprint.json", payload)
    write_json(folder / "inputs.json", {})
    writer.finish(provenance={}, metrics={}, methods="Fitted.")
    return Artefact(folder)


def _attention(file: h5py.File, pictures: bool) -> None:
    file.attrs["queries"] = ["lh.FFA", "rh.FFA", "lh.PPA", "lh.rest"]
    file.attrs["grid"] = [2, 2]
    group = file.create_group("fold-0")
    weights = np.tile(np.eye(4, dtype=np.float16), (IMAGES, 1, 1))  # query q looks at cell q
    add_dataset(group, "attention", weights)
    add_dataset(group, "image", np.arange(IMAGES))
    if pictures:
        add_dataset(group, "picture", np.full((IMAGES, 8, 8, 3), 90, dtype=np.uint8))


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources({"encode": encoder(tmp_path / "main-00000001")})


def of(kind: type, blocks: Any) -> list[Any]:
    return [block for block in blocks if isinstance(block, kind)]


@pytest.mark.usefixtures("undrawn")
def test_models_stand_side_by_side_with_their_intervals(sources: Sources, tmp_path: Path) -> None:
    assert others.blocks(sources) == ()
    other = encoder(tmp_path / "rival-00000002", r=0.3)
    both = replace(sources, parents={**sources.parents, "encode/other-1": other})
    blocks = others.blocks(both)
    (table,) = of(Table, blocks)
    first, second = table.rows[:2]
    assert first[:4] == ("all targets", "main-00000001", "0.500", "0.400 to 0.600")
    assert second[:4] == ("", "rival-00000002", "0.300", "0.200 to 0.400")
    assert [row[0] for row in table.rows[::2]] == ["all targets", "PPA", "FFA"], "best first"
    assert not of(Notice, blocks)


@pytest.mark.usefixtures("undrawn")
def test_models_tested_on_other_images_are_no_comparison(sources: Sources, tmp_path: Path) -> None:
    other = encoder(tmp_path / "rival-00000002", test=IMAGES - 1)
    both = replace(sources, parents={**sources.parents, "encode/other-1": other})
    (notice,) = of(Notice, others.blocks(both))
    assert (notice.level, notice.title) == (
        "warning", "rival-00000002 was tested on other images",
    )  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_curves_name_the_epoch_that_was_kept(sources: Sources) -> None:
    (picture,) = of(Picture, training.blocks(sources))
    assert "kept epochs: 2 of 3" in picture.caption, "the earliest of equals"
    assert "0.300" in picture.caption


def test_a_query_is_read_by_the_targets_of_its_region_and_hemisphere(sources: Sources) -> None:
    wanted = {"lh.FFA": [0], "rh.FFA": [1], "PPA": [2], "lh.rest": [3], "lh": [0, 2, 3], "all": 4}
    for query, rows in wanted.items():
        expected = list(range(rows)) if isinstance(rows, int) else rows
        assert attention.targets_of(sources, query).tolist() == expected, query


def test_the_better_hemisphere_of_a_region_stands_for_it(sources: Sources) -> None:
    queries = ["lh.FFA", "rh.FFA", "lh.PPA", "lh.rest"]
    assert attention.best_queries(sources, queries) == ["rh.FFA", "lh.PPA", "lh.rest"]


def test_images_of_the_highest_response_are_shown_with_the_weights_of_their_query(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, list[Look]]] = []
    monkeypatch.setattr(attention, "attention_overlays", lambda rows, *_, **__: shown.extend(rows))
    monkeypatch.setattr(attention, "to_webp", lambda figure: b"webp")
    attention.blocks(sources)
    assert [name for name, _ in shown] == ["rh.FFA", "lh.PPA", "lh.rest"]
    for name, looks in shown:
        target = int(attention.targets_of(sources, name)[0])
        assert looks[0].caption.startswith(f"image {target},"), name
        assert np.asarray(looks[0].weights).ravel().argmax() == target, name


@pytest.mark.usefixtures("undrawn")
def test_without_pictures_the_section_says_why(tmp_path: Path) -> None:
    bare = Sources({"encode": encoder(tmp_path / "bare-00000003", pictures=False)})
    (notice,) = attention.blocks(bare)
    assert notice.title == "No pictures were kept"
    off = replace(bare, options=ReportConfig(attention_queries=0))
    assert attention.blocks(off) == ()
