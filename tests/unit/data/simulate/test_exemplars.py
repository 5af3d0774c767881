"""The catalogue: enough sources, split cleanly, evened in light."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from neuroattn.core.errors import MissingDataError
from neuroattn.data.simulate import backgrounds, exemplars_photographs, words
from neuroattn.data.simulate.compose import categories, counts, places
from neuroattn.data.simulate.exemplars import (
    GROUPS,
    UNSEEN_GROUPS,
    catalogue,
    exemplars,
    luminance,
    patch,
    pool_groups,
)
from neuroattn.data.simulate.exemplars_photographs import CROPS, PHOTOGRAPHS, VIEWS
from neuroattn.data.simulate.scene import CATEGORIES, PLACES, Pool


def test_there_are_enough_sources() -> None:
    table = counts().groupby("category")["sources"].sum()
    assert set(table.index) == {*categories(), *places()}
    assert table.min() >= 20
    assert counts()["sources"].min() >= 4


def test_ids_are_unique_and_stable_names() -> None:
    names = [one.id for one in (*catalogue(), *backgrounds.catalogue())]
    assert len(set(names)) == len(names)
    assert {"face/lfw-017", "word/milk-0", "animal/cat-03"} <= set(names)


def test_no_source_lies_in_two_groups() -> None:
    groups: dict[str, set[int]] = {}
    for one in (*catalogue(), *backgrounds.catalogue()):
        groups.setdefault(one.source, set()).add(one.group)
    assert all(len(found) == 1 for found in groups.values())


def test_pools_share_no_source_no_exemplar_and_no_word() -> None:
    for field in ("source", "id", "text"):
        seen, unseen = (
            {getattr(one, field) for one in catalogue() if one.group in pool_groups(pool)} - {""}
            for pool in (Pool.seen, Pool.unseen)
        )
        assert seen
        assert unseen
        assert not seen & unseen
    assert set(pool_groups(Pool.unseen)) == set(UNSEEN_GROUPS)
    assert len(pool_groups(Pool.seen)) + len(UNSEEN_GROUPS) == GROUPS


def test_every_group_holds_every_category_place_and_drawn_kind() -> None:
    drawn = {(one.category, one.kind) for one in catalogue() if not one.photograph}
    for group in range(GROUPS):
        here = {(one.category, one.kind) for one in catalogue() if one.group == group}
        assert drawn <= here
        assert all(len(exemplars(category, group)) >= 6 for category in CATEGORIES)
        assert all(len(backgrounds.backgrounds(place, group)) >= 2 for place in PLACES)


def test_no_two_sources_give_the_same_picture() -> None:
    """A shape seed is a shape of its own: the pools could not be told apart by names alone."""
    for category in CATEGORIES:
        kept = [one for one in catalogue() if one.category == category][::3]
        small = [np.asarray(Image.fromarray(patch(one)).resize((24, 24)), float) for one in kept]
        least = min(np.abs(a - b).mean() for a, b in combinations(small, 2))
        assert least > 1, category


def test_light_and_contrast_do_not_tell_the_category() -> None:
    at = np.linspace(-1, 1, 128)
    inside = at[:, None] ** 2 + at[None, :] ** 2 < 0.8
    rows: dict[str, list[tuple[float, float]]] = {category: [] for category in CATEGORIES}
    for one in catalogue()[::5]:
        light = luminance(patch(one).astype(np.float32) / 255)[inside]
        rows[one.category].append((float(light.mean()), float(light.std())))
    found = np.array([np.mean(values, axis=0) for values in rows.values()])
    assert np.ptp(found[:, 0]) < 0.01
    assert np.ptp(found[:, 1]) < 0.015


def test_drawn_faces_know_their_expression_and_photographs_do_not() -> None:
    faces = [one for one in catalogue() if one.category == "face"]
    drawn = [one.known["expression"] for one in faces if not one.photograph]
    assert len(drawn) >= 20
    assert min(drawn) < -0.5
    assert max(drawn) > 0.5
    assert not any(one.known for one in faces if one.photograph)


def test_a_judge_s_exemplars_stand_in_no_set_for_fitting() -> None:
    """Drawings and words are its own; of photographs it has those of the held-out pool."""
    apart = [
        one
        for group in pool_groups(Pool.apart)
        for one in (
            *(one for category in CATEGORIES for one in exemplars(category, group)),
            *(one for place in PLACES for one in backgrounds.backgrounds(place, group)),
        )
    ]
    known = [*catalogue(), *backgrounds.catalogue()]
    seen = {one.source for one in known if one.group in pool_groups(Pool.seen)}
    unseen = {one.source for one in known if one.group in UNSEEN_GROUPS}
    assert not {one.source for one in apart} & seen
    shared = {one.source for one in apart} & unseen
    assert shared == {one.source for one in known if one.photograph} & unseen
    own = [one.id for one in apart if not one.photograph or "mixed" in one.id]
    assert len(set(own)) == len(own) > 8000, "no rendering, drawing or mixture comes twice"


def test_groups_set_apart_hold_every_category_place_and_drawn_kind() -> None:
    drawn = {(one.category, one.kind) for one in catalogue() if not one.photograph}
    for group in pool_groups(Pool.apart)[::9]:
        here = [one for category in CATEGORIES for one in exemplars(category, group)]
        assert drawn <= {(one.category, one.kind) for one in here}
        assert {one.group for one in here} == {group}
        assert all(len(backgrounds.backgrounds(place, group)) >= 2 for place in PLACES)
    other, first = exemplars("animal", pool_groups(Pool.apart)[0]), exemplars("animal", 0)
    assert np.abs(patch(other[0]).astype(int) - patch(first[0])).mean() > 1


def test_words_are_no_names_of_things_or_places() -> None:
    texts = [text for group in words.TEXTS for text in group] + list(words.APART_TEXTS)
    named = {one.kind for one in catalogue()} | {*CATEGORIES, *PLACES}
    assert len(set(texts)) == len(texts) == 80 + 128
    assert not set(texts) & {word for name in named for word in name.split()}


def test_photographs_lie_in_installed_packages_with_their_terms() -> None:
    for name, photograph in PHOTOGRAPHS.items():
        assert exemplars_photographs.locate(name).is_file()
        assert photograph.licence
    used = {crop[0] for crop in CROPS} | {view[0] for view in VIEWS} | {"lfw"}
    assert used == set(PHOTOGRAPHS)


def test_a_missing_photograph_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = exemplars_photographs.Photograph("skimage", "data/no-such.png", "", "", 0)
    monkeypatch.setattr(exemplars_photographs, "PHOTOGRAPHS", {"gone": gone})
    with pytest.raises(MissingDataError, match="skimage"):
        exemplars_photographs.locate("gone")
