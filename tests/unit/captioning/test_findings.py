"""Tables beside the captions, on captions whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.captioning.analysis import ALL, NULLS
from neuroattn.captioning.findings import (
    CLASSES,
    MAPS,
    NOUNS,
    TOP,
    Captioned,
    HeldOut,
    verified_metrics,
    verify_sentences,
    write_findings,
)
from neuroattn.captioning.registry import AnalysisConfig
from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import DataError
from neuroattn.core.tables import read_tsv
from tests.planted_captions import BELOW, CONCEPTS, EACH, embed, planted, sentence

OPTIONS = AnalysisConfig(concepts=["a face", "a dog"], draws=50, deals=5)
REAL = EACH * len(CONCEPTS)


@pytest.fixture(scope="module")
def found() -> Captioned:
    return planted()


@pytest.fixture(scope="module")
def folder(found: Captioned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("findings")
    metrics = write_findings(ArtefactWriter(place), found, OPTIONS, seed=0)
    assert metrics["vocabulary.captions"] == len(CONCEPTS)
    assert metrics["vocabulary"] == len(CONCEPTS) + 3  # a, in, city
    assert metrics["person_share"] == pytest.approx(2 / 6 / 2)  # faces and persons, with cities
    return place


def test_top_nouns_are_those_that_were_planted(folder: Path) -> None:
    top = read_tsv(folder / TOP).groupby("roi").first()
    for region, noun in CONCEPTS.items():
        assert top.loc[region, "noun"] == noun
        assert top.loc[region, "low"] > top.loc[region, "chance"] == pytest.approx(1 / 6)
        assert top.loc[region, "n"] == EACH
    assert {ALL, NULLS} <= set(top.index)


def test_nulls_and_targets_below_the_gate_are_in_no_region(folder: Path, found: Captioned) -> None:
    table = read_tsv(folder / TOP)
    assert table[table["roi"] == "FFA"]["n"].unique().tolist() == [EACH]
    null = np.array([own == [sentence("face")] for own in found.captions])[REAL + BELOW :]
    of_face = table[(table["roi"] == "FFA") & (table["noun"] == "face")]["null"].iloc[0]
    assert of_face == pytest.approx(null.mean())


def test_maps_have_a_row_for_each_target_and_nothing_below_the_gate(folder: Path) -> None:
    table = read_tsv(folder / MAPS)
    assert len(table) == len(planted().targets)
    below = table[~table["gated"] & ~table["null"]]
    assert len(below) == BELOW
    for name in ("person_share", "red", "concept-a face"):
        assert below[name].isna().all()
        assert table[table["gated"]][name].notna().all()
    assert (below["class"] == "").all()
    people = table["person_share"].to_numpy()[:REAL].reshape(len(CONCEPTS), EACH)
    assert (people > 0).all(axis=1).tolist() == [True, True, False, False, False, False]


def test_concept_maps_lie_where_planted(folder: Path) -> None:
    table = read_tsv(folder / MAPS)[:REAL]
    for name, region in (("concept-a face", "FFA"), ("concept-a dog", "animals")):
        mean = table[name].to_numpy().reshape(len(CONCEPTS), EACH).mean(axis=1)
        assert list(CONCEPTS)[mean.argmax()] == region


def test_nouns_and_classes_of_every_target(folder: Path, found: Captioned) -> None:
    nouns = read_tsv(folder / NOUNS)
    told = np.array([bool(own) for own in found.captions])
    null = found.targets["target"][found.null & told]
    assert len(null)
    assert set(nouns[nouns["null"]]["target"]) == set(null), "nulls have numbers of real targets"
    assert nouns.iloc[0].tolist() == [0, "city", "place", 1.0, False]
    shares = read_tsv(folder / CLASSES)
    word = shares[(shares["roi"] == "VWFA") & (shares["class"] == "word")].iloc[0]
    assert word["share"] == pytest.approx(0.5)
    assert word["chance"] == pytest.approx(1 / 12)


def measured(found: Captioned, noise: float = 0.3) -> HeldOut:
    """Responses to 30 test images that follow the planted concepts."""
    rng = np.random.default_rng(1)
    told = [[sentence(list(CONCEPTS.values())[n % 6])] for n in range(30)]
    signal = embed([one for (one,) in told]) @ np.nan_to_num(found.weights).T
    responses = signal + noise * rng.normal(size=signal.shape)
    selection = np.where(found.null, np.nan, 0.5)
    return HeldOut(selection=selection, responses=responses, told=told)


def test_the_score_parts_true_captions_from_dealt_ones(found: Captioned) -> None:
    verified = verify_sentences(found, measured(found), OPTIONS, seed=0)
    assert verified is not None
    figures = verified_metrics(verified)
    assert figures["verified.sentence.low"] > figures["verified.sentence.shuffled.high"]
    assert figures["verified.sentence.difference.low"] > 0.3
    assert int(verified.table["n_targets"].iloc[0]) == REAL


def test_permuted_captions_are_no_better_than_dealt_ones(found: Captioned) -> None:
    order = np.random.default_rng(5).permutation(REAL)
    mixed = [found.captions[n] for n in order] + list(found.captions[REAL:])
    wrong = replace(found, captions=mixed)
    verified = verify_sentences(wrong, measured(found), OPTIONS, seed=0)
    assert verified is not None
    true = verify_sentences(found, measured(found), OPTIONS, seed=0)
    assert true is not None
    assert verified_metrics(verified)["verified.sentence"] < 0.2
    assert verified_metrics(true)["verified.sentence"] > 0.5


def test_nothing_is_verified_without_a_text_side_or_targets(found: Captioned) -> None:
    tested = measured(found)
    assert verify_sentences(replace(found, embed=None), tested, OPTIONS, seed=0) is None
    nowhere = replace(tested, selection=np.full(len(tested.selection), np.nan))
    assert verify_sentences(found, nowhere, OPTIONS, seed=0) is None


def test_test_images_without_captions_are_told(found: Captioned) -> None:
    silent = replace(measured(found), told=[[] for _ in range(30)])
    with pytest.raises(DataError, match="nobody described"):
        verify_sentences(found, silent, OPTIONS, seed=0)


def test_an_encoder_without_a_space_has_neither_colours_nor_concepts(
    found: Captioned, tmp_path: Path
) -> None:
    bare = replace(found, embed=None, weights=np.full((len(found.targets), 1), np.nan), bank=[])
    write_findings(ArtefactWriter(tmp_path), bare, OPTIONS, seed=0)
    table = read_tsv(tmp_path / MAPS)
    assert table["red"].isna().all()
    assert not [name for name in table if name.startswith("concept-")]
    assert read_tsv(tmp_path / TOP)["chance"].isna().all()


def test_no_gated_target_leaves_empty_tables(found: Captioned, tmp_path: Path) -> None:
    none = found.targets.assign(gated=False)
    silent: list[list[str]] = [[] for _ in range(len(none))]
    empty = replace(found, targets=none, captions=silent)
    write_findings(ArtefactWriter(tmp_path), empty, OPTIONS, seed=0)
    assert isinstance(read_tsv(tmp_path / TOP), pd.DataFrame)
    assert len(read_tsv(tmp_path / MAPS)) == len(none)
