"""Targets that were planted and fitted are named by what they prefer, and null targets are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroattn.captioning.bank import Bank, make_bank
from neuroattn.captioning.captioners import Captioner, Setting, Told
from neuroattn.captioning.concepts import (
    Around,
    Concept,
    Splitting,
    concepts_of,
    mean_direction,
)
from neuroattn.captioning.gates import gate, gate_nulls
from neuroattn.captioning.keywords import Keywords
from neuroattn.captioning.nearest import Nearest
from neuroattn.captioning.nulls import one_sided
from neuroattn.captioning.prefix_lm import PrefixLm
from neuroattn.captioning.projection import project
from neuroattn.captioning.registry import (
    CaptionConfig,
    GateConfig,
    KeywordsConfig,
    NearestConfig,
    PrefixLmConfig,
)
from neuroattn.captioning.top_route import top_pictures
from tests.unit.captioning.cone import NOUNS, Cone, World, world
from tests.unit.captioning.speaker import saved, trained

DEFAULT = CaptionConfig()
SINGLE, PAIRS = len(NOUNS) * 6, len(NOUNS)
CHANCE = 1.6 / len(NOUNS)  # a caption of the bank names 1.6 of the nouns


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory.mktemp("planted"), pairs=PAIRS)


def _concepts(
    planted: World, weights: NDArray[np.float32], bank: Bank, temperature: float = 150.0
) -> list[Concept]:
    found = project(weights, bank.tiles, draws=5, temperature=temperature)
    mean = mean_direction(bank.tiles, planted.space.dim)
    split = Splitting(DEFAULT.concepts, DEFAULT.apart, DEFAULT.least)
    return [
        concept
        for row, top in enumerate(found.top)
        for concept in concepts_of(
            row,
            Around(weights[row], found.embedding[row], top, bank.vectors(top).astype(np.float32)),
            mean,
            temperature,
            split,
        )
    ]


def _named(planted: World, captioner: Captioner, concepts: list[Concept]) -> NDArray[np.bool_]:
    """Whether all that a target prefers stands in its captions."""
    said: dict[int, str] = {}
    for concept, told in zip(concepts, captioner.caption(concepts), strict=True):
        said[concept.row] = f"{said.get(concept.row, '')} {told.text}"
    return np.array([all(word in said[row] for word in planted.wants[row]) for row in sorted(said)])


def _nearest(planted: World, bank: Bank | None = None) -> Nearest:
    used = planted.bank if bank is None else bank
    return Nearest(NearestConfig(), Setting(used, planted.space, planted.weights))


class Reader:
    """Says the nouns whose direction an embedding has: what a good captioner would read off it."""

    def __init__(self, space: Cone) -> None:
        self.things = space.things

    def caption(self, concepts: Sequence[Concept]) -> list[Told]:
        return [self._one(concept) for concept in concepts]

    def methods(self) -> str:
        return "read off"

    def _one(self, concept: Concept) -> Told:
        assert concept.embedding is not None
        part = self.things @ concept.embedding
        said = [NOUNS[n] for n in np.argsort(-part)[:2] if part[n] > 0.5 * part.max()]
        return Told(" and ".join(said), 1.0)


def test_projected_embeddings_hold_what_was_planted(planted: World) -> None:
    reader = Reader(planted.space)
    named = _named(planted, reader, _concepts(planted, planted.weights, planted.bank))
    assert named[:SINGLE].mean() >= 0.9, f"chance is {CHANCE:.2f}"
    assert named[SINGLE:].mean() >= 0.8, "both things of a pair"
    warm = _concepts(planted, planted.weights[:SINGLE], planted.bank, 0.01)
    assert _named(planted, reader, warm).mean() < 0.3, "a mean over the whole bank names nothing"
    flipped = _concepts(planted, -planted.weights, planted.bank)
    assert _named(planted, reader, flipped)[:SINGLE].mean() < 0.1


@pytest.mark.slow
def test_a_small_captioner_names_nine_of_ten_and_both_things_of_most_pairs(
    planted: World, tmp_path: Path
) -> None:
    folder = saved(trained(planted), tmp_path / "captioner", planted.space.dim)
    setting = Setting(planted.bank, planted.space, planted.weights)
    captioner = PrefixLm(PrefixLmConfig(model=str(folder), beams=5), setting)
    named = _named(planted, captioner, _concepts(planted, planted.weights, planted.bank))
    assert named[:SINGLE].mean() >= 0.9, f"chance is {CHANCE:.2f}"
    assert named[SINGLE:].mean() >= 0.6, "both things of a pair"
    warm = _concepts(planted, planted.weights[:SINGLE], planted.bank, 0.01)
    assert _named(planted, captioner, warm).mean() < 0.3
    flipped = _concepts(planted, -planted.weights, planted.bank)
    assert _named(planted, captioner, flipped)[:SINGLE].mean() < 0.1


def test_captions_of_top_pictures_name_nine_of_ten(planted: World) -> None:
    concepts = _concepts(planted, planted.weights, planted.bank)
    named = _named(planted, _nearest(planted), concepts)
    assert named[:SINGLE].mean() >= 0.9, f"chance is {CHANCE:.2f}"
    assert named[SINGLE:].mean() >= 0.8, "both things of a pair"
    setting = Setting(planted.bank, planted.space, planted.weights)
    words = Keywords(KeywordsConfig(keywords=3), setting)
    assert _named(planted, words, concepts)[:SINGLE].mean() >= 0.9


def test_permuted_captions_and_flipped_weights_name_nothing(planted: World) -> None:
    order = np.random.default_rng(0).permutation(len(planted.bank))
    captions = [planted.bank.captions[n] for n in order]
    wrong = replace(planted.bank, captions=captions)
    permuted = _concepts(planted, planted.weights, wrong)
    assert _named(planted, _nearest(planted, wrong), permuted)[:SINGLE].mean() < 2 * CHANCE
    flipped = _concepts(planted, -planted.weights, planted.bank)
    assert _named(planted, _nearest(planted), flipped)[:SINGLE].mean() < 0.1


def test_null_targets_are_let_through_in_five_of_a_hundred_at_most(planted: World) -> None:
    config = GateConfig(q=1.0)
    real = gate(planted.scores, config)
    assert real.passed[:SINGLE].mean() >= 0.9
    ceiling = planted.scores["nc"].to_numpy()
    p = one_sided(planted.null_r, 200)
    assert gate_nulls(planted.null_r, p, ceiling, real).mean() <= 0.05
    # Without the gate a null target's caption reads like any other: this is why there is one.
    concepts = _concepts(planted, planted.null_weights, planted.bank)
    told = _nearest(planted).caption(concepts)
    assert np.mean([one.text.startswith("A photo of a ") for one in told]) == 1


def test_the_order_of_the_bank_changes_nothing(planted: World) -> None:
    bank, rng = planted.bank, np.random.default_rng(1)
    order = rng.permutation(len(bank))
    digests = [f"{n:08d}" for n in range(len(bank))]
    names = [str(n) for n in range(len(bank))]

    def made(rows: NDArray[np.int64]) -> Bank:
        return make_bank(
            bank.features, bank.ids[rows], [digests[n] for n in rows],
            names=[names[n] for n in rows], captions=[bank.captions[n] for n in rows], draws=5,
        )  # fmt: skip

    one, other = made(np.arange(len(bank))), made(order)
    first = project(planted.weights, one.tiles, draws=5)
    second = project(planted.weights, other.tiles, draws=5)
    for name in ("embedding", "effective", "stability", "top"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def test_the_route_by_predicted_activation_agrees(planted: World) -> None:
    columns = np.arange(len(planted.wants))
    places, values = top_pictures(planted.model, planted.bank, columns, 20)
    found = project(planted.weights, planted.bank.tiles, draws=5, top=20)
    same = [len(set(a) & set(b)) / 20 for a, b in zip(places, found.top, strict=True)]
    assert np.mean(same) > 0.97, "embeddings have unit length, so both rank by the same product"
    assert (np.diff(values, axis=1) <= 0).all()
    told = _named(
        planted, _nearest(planted), [Concept(n, 0, 1.0, top) for n, top in enumerate(places)]
    )
    assert told[:SINGLE].mean() >= 0.9
