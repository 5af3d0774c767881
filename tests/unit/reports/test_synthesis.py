"""The page of a real run of ``synthesize`` on the tiny chain, evaluation included."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.reports.blocks import Cards, Details, FactList, Notice, Picture, Table
from neuroattn.reports.sections import synthesis
from neuroattn.reports.sources import Sources
from neuroattn.synthesis.evaluate import GAINS, MATRIX, MEASURES
from tests.chain import neuroattn, words

SETTINGS = (
    "synthesis.objectives=[early_sim,late_sim]",
    "synthesis.images=7",
    "synthesis.chunk=7",
    "synthesis.evaluation.real=2",
    "synthesis.evaluation.reference=12",
    "synthesis.judge='encoder.alpha_min=10'",
)


@pytest.fixture(scope="module")
def made(tiny_data: Path, all_root: Path) -> Artefact:
    ran = neuroattn(*words("synthesize", tiny_data, all_root, *SETTINGS))
    assert ran.code == 0, ran.err
    return Artefact(ran.path)


@pytest.fixture(scope="module")
def sources(made: Artefact, all_root: Path) -> Sources:
    parents = {"synthesize": made}
    for stage in ("prepare", "encode"):
        known = json.loads((made.folder / "inputs.json").read_text())
        label = {name: row["label"] for name, row in known.items()}[stage]
        parents[stage] = Artefact(all_root / stage / label)
    return Sources(parents)


def _of(kind, blocks) -> list:
    found = [block for block in blocks if isinstance(block, kind)]
    for block in blocks:
        if isinstance(block, Details):
            found += [inner for inner in block.blocks if isinstance(inner, kind)]
    return found


def test_the_stage_leaves_the_evaluation(made: Artefact) -> None:
    assert tuple(made.table("evaluation.tsv").columns) == MEASURES
    assert tuple(made.table("gains.tsv").columns) == GAINS
    assert tuple(made.table("matrix.tsv").columns) == MATRIX
    measures = made.table("evaluation.tsv")
    assert {"guide", "judge", "gap", "diversity", "frechet", "nearest_pixels"} <= set(
        measures["measure"]
    )
    facts = made.json("evaluation.json")
    assert facts["reference"] == 12
    assert {"referee", "space"} <= set(facts["absent"]) | {
        name for name in ("referee", "space") if facts[name]
    }
    real = made.table("real.tsv")
    assert len(real) == 4
    assert all(made.has(file) for file in real["file"])
    assert "objective.early_sim.gain.judge" in made.metrics


def test_gains_can_be_recomputed_from_the_pictures_table(made: Artefact) -> None:
    images, gains = made.table("images.tsv"), made.table("gains.tsv")
    own = images[images["objective"] == "late_sim"].set_index("seed")
    guided, none = own[own["method"] != "none"], own[own["method"] == "none"]
    change = guided["judge_activation"] - none["judge_activation"]
    row = gains[(gains["objective"] == "late_sim") & (gains["measure"] == "judge")].iloc[0]
    assert row["gain"] == pytest.approx(change.mean())
    assert row["low"] <= row["gain"] <= row["high"]


def test_the_page_shows_grids_agreement_matrix_and_where_it_is_from(sources: Sources) -> None:
    blocks = synthesis.blocks(sources)
    pictures = _of(Picture, blocks)
    grids = [one for one in pictures if one.format == "webp"]
    assert len(grids) == 2
    assert "unguided of the same seeds" in grids[0].alt
    assert any("Matrix" in one.alt for one in pictures)
    titles = {card.label for (cards,) in [_of(Cards, blocks)] for card in cards.cards}
    assert {"Objectives", "Pictures", "Judge", "Guide"} <= titles
    tables = _of(Table, blocks)
    assert any("Every set by every measure" in one.caption for one in tables)
    (facts,) = _of(FactList, blocks)
    rows = dict(facts.stated)
    assert rows["Seeds"] == "0 to 6"
    assert rows["Generator"] == "folder"
    assert len(rows["Digest of its network"]) == 12


def test_a_judge_that_saw_the_guide_s_pictures_is_no_independent_one(sources: Sources) -> None:
    shared = sources.parents["synthesize"].metrics["judge.shared_training_images"]
    assert shared
    (warning,) = [one for one in _of(Notice, synthesis.blocks(sources)) if "judge" in one.title]
    assert (warning.level, f"same {shared:.0f} pictures" in warning.text) == ("warning", True)


def test_what_stands_under_a_grid_names_encoder_generator_seeds_and_scale(
    sources: Sources,
) -> None:
    images = sources.parents["synthesize"].table("images.tsv")
    told = synthesis._about(sources, images)
    for word in ("predicted activation by ridge", "generator folder", "seeds 0 to 6", "scale 1;"):
        assert word in told


def test_a_scale_of_its_own_stands_under_the_grid(sources: Sources) -> None:
    guidance = sources.parents["synthesize"].config["guidance"]
    images = sources.parents["synthesize"].table("images.tsv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(guidance, "scales", {"early_sim": 0.25})
        told = {name: synthesis._about(sources, rows) for name, rows in images.groupby("objective")}
    assert "scale 0.25;" in told.pop("early_sim")
    assert told
    assert all("scale 1;" in one for one in told.values())


def test_rows_of_a_grid_share_their_seeds(sources: Sources) -> None:
    images = sources.parents["synthesize"].table("images.tsv")
    own = images[images["objective"] == "early_sim"]
    real = sources.parents["synthesize"].table("real.tsv")
    strips = synthesis._strips(sources, own, real[real["objective"] == "early_sim"])
    assert [strip.name for strip in strips] == [
        "guided", "unguided", "guided", "unguided", "real pictures",
    ]  # fmt: skip
    guided = own[own["method"] != "none"].sort_values("rank")[:6]
    none = own[own["method"] == "none"].set_index("seed").loc[guided["seed"]]
    assert strips[0].values == pytest.approx(guided["guide_activation"].tolist())
    assert strips[1].values == pytest.approx(none["guide_activation"].tolist())


def test_a_run_in_which_all_failed_says_so(sources: Sources, monkeypatch) -> None:
    images = sources.parents["synthesize"].table("images.tsv").assign(status="failed", file=None)
    monkeypatch.setattr(synthesis, "_read", lambda *_: images)
    (notice,) = synthesis.blocks(sources)
    assert isinstance(notice, Notice)
    assert notice.level == "error"


def test_how_many_regions_are_driven_most_by_their_own_pictures() -> None:
    grid = np.array([[2.0, 1.0], [3.0, 4.0]])
    assert synthesis._won(grid, np.eye(2, dtype=bool)).startswith("1 of 2")
    assert synthesis._won(grid[:1], np.ones((1, 2), dtype=bool)) == ""
