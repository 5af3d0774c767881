"""Nouns by region: shares, chance, intervals, nulls; people and classes of each target."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from neuroattn.captioning.analysis import (
    ALL,
    NULLS,
    base_rate,
    class_chance,
    class_shares,
    groups,
    leading_class,
    person_share,
    said,
    top_nouns,
    vocabulary,
)
from neuroattn.captioning.lexicon import CLASSES
from neuroattn.captioning.nouns import Noun, kind_of, words_of

FACE, DOG, BOTH = "A face in a city.", "A dog on a beach.", "A face and a dog."


def test_a_noun_counts_as_the_share_of_a_targets_captions() -> None:
    table = said([[FACE, FACE, DOG, BOTH], [DOG], []])
    share = dict(zip(table.nouns, table.share.toarray().T.tolist(), strict=True))
    assert share["face"] == [0.75, 0, 0]
    assert share["dog"] == [0.5, 1, 0]
    assert share["city"] == [0.5, 0, 0]


def test_person_share_and_leading_class() -> None:
    table = said([[FACE], [BOTH], [DOG], []])
    assert person_share(table)[:3].tolist() == [0.5, 0.5, 0]
    assert np.isnan(person_share(table)[3])
    assert leading_class(table)[3] == ""
    chance = np.array([0.5 * (name in ("place", "face")) for name in CLASSES])
    assert leading_class(table, chance)[1] == "animal"  # faces are everywhere in this bank
    assert leading_class(said([["A gizmo and a dog."]])) == ["animal"]
    weights = table.by_class()[:3]
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_chance_is_the_share_of_the_banks_captions() -> None:
    bank = [[FACE, DOG], [DOG], [], [FACE]]
    assert base_rate(["face", "dog", "bus"], bank).tolist() == [0.5, 0.5, 0]
    assert np.isnan(base_rate(["face"], [[], []])).all()


def test_counting_item_by_item_is_the_mean_over_the_whole_table() -> None:
    rng = np.random.default_rng(0)
    captions = [FACE, DOG, BOTH, "A bus on a street.", "Nothing."]
    bank = [list(rng.choice(captions, size=rng.integers(0, 4))) for _ in range(50)]
    nouns = ["beach", "bus", "city", "dog", "face", "street", "tree"]
    known = [words_of(own) for own in bank if own]
    table = np.array([[np.mean([n in one for one in own]) for n in nouns] for own in known])
    np.testing.assert_allclose(base_rate(nouns, bank), table.mean(axis=0), rtol=1e-12)
    of_class = table @ np.array([[kind_of(n) == name for name in CLASSES] for n in nouns])
    of_class = of_class[of_class.any(axis=1)]
    shares = (of_class / of_class.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(class_chance(bank), shares, rtol=1e-12)
    found = said(bank)
    dense = dict(zip(found.nouns, found.share.toarray().T, strict=True))
    for column, noun in enumerate(nouns[:-1]):
        told = dense[noun][[bool(own) for own in bank]]
        np.testing.assert_allclose(told, table[:, column], rtol=1e-12)


def test_no_table_of_all_items_and_nouns_is_made() -> None:
    bank = [[str(number)] for number in range(3000)]  # as many nouns as items: 72 MB if dense

    def find(caption: str) -> list[Noun]:
        return [Noun(caption, kind_of(caption))]

    tracemalloc.start()
    try:
        base_rate(["1", "2"], bank, find)
        class_chance(bank, find)
        table = said(bank, find)
        top_nouns(table, {"FFA": np.arange(20)}, np.zeros(len(table.nouns)), draws=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10e6


def test_groups_leave_out_what_is_below_the_gate_and_keep_nulls_apart() -> None:
    gated = np.array([True, True, False, True])
    null = np.array([False, False, False, True])
    found = groups(["FFA|ventral", "FFA", "FFA", "FFA"], gated, null)
    assert {name: rows.tolist() for name, rows in found.items()} == {
        ALL: [0, 1], NULLS: [3], "FFA": [0, 1], "ventral": [0],
    }  # fmt: skip


def test_top_nouns_stand_above_chance_with_intervals_over_targets() -> None:
    rng = np.random.default_rng(0)
    region = [[FACE] if rng.random() < 0.8 else [DOG] for _ in range(60)]
    null = [[FACE] if rng.random() < 0.3 else [DOG] for _ in range(40)]
    table = said(region + null)
    members = {"FFA": np.arange(60), NULLS: np.arange(60, 100)}
    bank = [[FACE]] * 30 + [[DOG]] * 70
    found = top_nouns(table, members, base_rate(table.nouns, bank), draws=400)
    first = found[found["roi"] == "FFA"].iloc[0]
    share = float(np.mean([own == [FACE] for own in region]))
    assert first["noun"] in ("face", "city")
    assert first["chance"] == pytest.approx(0.3)
    assert first["share"] == pytest.approx(share)
    assert 0.3 < first["low"] < share < first["high"]
    # The width of a share of 60 draws, by the normal approximation.
    width = 2 * 1.96 * (share * (1 - share) / 60) ** 0.5
    assert first["high"] - first["low"] == pytest.approx(width, rel=0.25)
    assert first["null"] == pytest.approx(np.mean([own == [FACE] for own in null]))
    assert set(found["roi"]) == {"FFA", NULLS}


def test_a_noun_below_chance_does_not_stand_out() -> None:
    table = said([[FACE]] * 30 + [[DOG]] * 10)
    chance = np.array([0.9 if noun in ("face", "city") else 0.0 for noun in table.nouns])
    found = top_nouns(table, {"FFA": np.arange(40)}, chance, draws=200)
    assert set(found["noun"][:2]) == {"dog", "beach"}


def test_what_nulls_say_as_often_does_not_stand_out() -> None:
    table = said([[FACE]] * 30 + [[DOG]] * 10 + [[FACE]] * 20)
    members = {"FFA": np.arange(40), NULLS: np.arange(40, 60)}
    found = top_nouns(table, members, np.zeros(len(table.nouns)), draws=200)
    assert set(found[found["roi"] == "FFA"]["noun"][:2]) == {"dog", "beach"}


def test_class_shares_add_up_in_every_group() -> None:
    table = said([[FACE], [DOG], [BOTH]])
    found = class_shares(table, {"a": np.arange(2), "b": np.array([2])}, [[DOG]], draws=50)
    assert found.groupby("roi")["share"].sum().tolist() == pytest.approx([1, 1])
    assert found.groupby("roi")["chance"].sum().tolist() == pytest.approx([1, 1])
    assert len(found) == 2 * len(CLASSES)
    assert np.isnan(found[found["roi"] == "b"]["low"]).all()  # one target has no interval


def test_vocabulary_counts_different_words() -> None:
    assert vocabulary([FACE, FACE, DOG]) == 7
