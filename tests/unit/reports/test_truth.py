"""The section on planted truth: absent for recordings, passed and missed promises told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroattn.reports.blocks import Block, Cards, Notice, Table
from neuroattn.reports.sections import truth
from neuroattn.reports.sections.truth import Found, _verdicts, blocks
from neuroattn.reports.sources import Sources
from neuroattn.stats.recovery import LATE, NULL, SCORES
from tests.unit.reports.fabricate import Chain


def found(encoder: str, **values: float) -> Found:
    """A table with a row of means, V1 and null targets."""
    rows = {LATE: values, "V1v": {"r_truth": values.get("v1", np.nan)},
            NULL: {"r": values.get("null", 0.0), "r_sd": 0.045, "n_targets": 900}}  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index")
    return Found(encoder, encoder, table.reindex(columns=["category", "n_targets", *SCORES]))


def levels(made: tuple[Block, ...]) -> dict[str, Notice]:
    return {block.title: block for block in made if isinstance(block, Notice)}


def promised(made: tuple[Block, ...]) -> tuple[tuple[str, ...], ...]:
    return next(block for block in made if isinstance(block, Table)).rows


def models(**attention: float) -> list[Found]:
    main = {"r_attributes": 0.62, "share": 0.8, "share_unseen": 0.82, "v1": 0.65} | attention
    return [
        found("attention", **main), found("ridge", r_attributes=0.1, v1=0.76),
        found("linear_pool", r_attributes=0.09), found("mask_oracle", r_attributes=0.69),
    ]  # fmt: skip


def test_all_that_was_promised_is_told_as_passed() -> None:
    made = _verdicts(models(), ["V1v"])
    told = levels(made)
    assert set(told) == {"Planted selectivity was found", "Null targets are at chance"}
    assert len(promised(made)) == 5
    cards = next(block for block in made if isinstance(block, Cards)).cards
    assert [card.headline for card in cards] == [True, False, False, False]
    assert "0.90 of the oracle" in cards[0].note


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        ({"r_attributes": 0.5}, "share of the mask oracle"),
        ({"share_unseen": 0.6}, "unseen exemplars"),
        ({"v1": 0.9}, "V1"),
    ],
)
def test_what_was_missed_is_a_warning(worse: dict[str, float], said: str) -> None:
    missed = levels(_verdicts(models(**worse), ["V1v"]))
    notice = missed["Less was found than was planted to be found"]
    assert notice.level == "warning"
    assert said in notice.text
    assert ";" not in notice.text


def test_null_targets_above_chance_are_a_warning() -> None:
    assert "Null targets are not at chance" in levels(_verdicts(models(null=0.1), ["V1v"]))


def test_without_an_oracle_nothing_is_compared_with_it() -> None:
    rows = promised(_verdicts(models()[:1], []))
    assert rows
    assert all("oracle" not in row[0] for row in rows)


def test_recordings_have_no_such_section(made: Chain) -> None:
    assert blocks(Sources(made.parents)) == ()
    assert truth.FILE == "truth.h5"
