"""Figures by name, verdicts, and what of a run leaves the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv
from neuroattn.pipeline.published import Certainty, ExpectedConfig
from neuroattn.pipeline.reproduce import (
    Row,
    Verdict,
    distance,
    figure,
    judged,
    overall,
    without_paths,
)


def expected(value: float | None = 0.5, **more: object) -> ExpectedConfig:
    known = Certainty.unread if value is None else Certainty.read
    return ExpectedConfig(figure="test.r", value=value, certainty=known, **more)


@pytest.mark.parametrize(
    ("row", "found", "verdict"),
    [
        (expected(tolerance=0.1), 0.6, Verdict.within),
        (expected(tolerance=0.1), 0.4, Verdict.within),
        (expected(tolerance=0.1), 0.61, Verdict.outside),
        (expected(tolerance=0.1), 0.39, Verdict.outside),
        (expected(upper=0.7), 0.6, Verdict.within),
        (expected(upper=0.7), 0.71, Verdict.outside),
        (expected(upper=0.7, tolerance=0.02), 0.49, Verdict.within),
        (expected(), None, Verdict.not_measured),
        (expected(None), 0.5, Verdict.not_known),
        (expected(subject="subj02"), 0.5, Verdict.other_subject),
        (expected(subject="subj01"), 0.5, Verdict.within),
    ],
)
def test_verdicts(row: ExpectedConfig, found: float | None, verdict: Verdict) -> None:
    assert judged(row, found, ["subj01"], fits=True) is verdict
    assert judged(row, found, ["subj01"], fits=False) is Verdict.other_data


def test_a_figure_of_one_subject_is_not_that_of_several() -> None:
    row = expected(subject="subj01")
    for subjects in ([], ["subj01", "subj02"]):
        assert judged(row, 0.5, subjects, fits=True) is Verdict.other_subject


def test_distance_is_from_the_value_or_to_the_range() -> None:
    assert distance(expected(), 0.4) == pytest.approx(0.1)
    assert distance(expected(upper=0.7), 0.6) == 0
    assert distance(expected(upper=0.7), 0.9) == pytest.approx(0.2)


def test_one_figure_outside_decides() -> None:
    def word(*verdicts: Verdict) -> str:
        return overall([Row("test.r", 0.5, verdict, expected()) for verdict in verdicts])

    assert word(Verdict.within, Verdict.outside, Verdict.not_known) == "outside"
    assert word(Verdict.within, Verdict.other_subject) == "within"
    assert word(Verdict.other_data) == word() == "nothing to compare"


def test_figures_by_name(tiny_root: Path) -> None:
    (folder,) = (done.parent for done in tiny_root.glob("encode/*/DONE"))
    artefact = Artefact(folder)
    table = read_tsv(folder / "scores.tsv")
    assert figure("test.r", artefact) == artefact.metrics["test.r"]
    assert figure("scores.r", artefact) == pytest.approx(table["r"].mean())
    side = table["hemisphere"].iloc[0]
    own = table.loc[table["hemisphere"] == side, "r"].mean()
    assert figure(f"scores.r.{side}", artefact) == pytest.approx(own)
    ratio = artefact.metrics["test.r"] / artefact.metrics["test.r_pooled"]
    assert figure("test.r / test.r_pooled", artefact) == pytest.approx(ratio)
    for absent in ("no.such", "scores.nonesuch", "scores.r.nowhere", "test.r / no.such"):
        assert figure(absent, artefact) is None


def test_members_are_told_without_paths() -> None:
    assert without_paths("encoder=ridge seed=1") == "encoder=ridge seed=1"
    assert without_paths("encoder=ridge encoder.atlas=/home/me/a.tsv") == (
        "encoder=ridge encoder.atlas=…"
    )
    assert without_paths("/home/me/outputs/encode/ridge-1a2b3c4d") == "a finished artefact"
