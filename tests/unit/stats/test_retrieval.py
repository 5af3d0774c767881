"""Retrieval: directions, ties, repeats, draws, permutations, intervals, hard rivals."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats import retrieval
from neuroattn.stats.retrieval import BRAIN_FROM_IMAGE, DIRECTIONS, IMAGE_FROM_BRAIN, NOT_PAIRED


def noisy(count: int, signal: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, count)) + signal * np.eye(count)


def test_pairs_on_the_diagonal_are_all_found_and_shuffled_ones_are_not() -> None:
    found = retrieval.ranks(np.eye(50))
    assert [retrieval.accuracy(found[d]) for d in DIRECTIONS] == [1.0, 1.0]
    moved = retrieval.ranks(np.eye(50)[np.roll(np.arange(50), 1)])
    assert [retrieval.accuracy(moved[d]) for d in DIRECTIONS] == [0.0, 0.0]


def test_a_rectangle_fixes_what_is_looked_for() -> None:
    # Brain 0 finds its image; image 0 is nearer to brain 1, so it does not find its brain.
    similarity = np.array([[0.5, 0.1, 0.1, 0.1, 0.1], [0.9, 1.0, 0, 0, 0], [0, 0, 0.3, 0.2, 0.4]])
    found = retrieval.ranks(similarity, np.array([0, 1, 2]))
    assert found[IMAGE_FROM_BRAIN].tolist() == [0, 0, 1]
    assert found[BRAIN_FROM_IMAGE].tolist() == [1, 0, 0, NOT_PAIRED, NOT_PAIRED]
    assert retrieval.accuracy(found[IMAGE_FROM_BRAIN]) == pytest.approx(2 / 3)
    assert np.isnan(retrieval.hits(found[BRAIN_FROM_IMAGE])[3:]).all()
    with pytest.raises(ValueError, match="told their pairs"):
        retrieval.ranks(similarity)


@pytest.mark.parametrize("value", [0.0, 0.7, np.nan])
def test_constant_predictions_score_nothing(value: float) -> None:
    similarity = np.full((20, 20), value)
    found = retrieval.ranks(similarity)
    assert [retrieval.accuracy(found[d], 5) for d in DIRECTIONS] == [0.0, 0.0]
    assert retrieval.draws_of(similarity, ways=5, draws=2)[IMAGE_FROM_BRAIN].tolist() == [0, 0]
    tested = retrieval.permutation_tests([similarity], draws=20)
    assert tested[IMAGE_FROM_BRAIN, "top1"].observed == 0
    assert tested[IMAGE_FROM_BRAIN, "top1"].p == 1


def test_several_brains_of_an_image_are_no_rivals_of_each_other() -> None:
    similarity = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.85]])
    found = retrieval.ranks(similarity, np.array([0, 0, 1]))
    assert found[IMAGE_FROM_BRAIN].tolist() == [0, 0, 0]
    assert found[BRAIN_FROM_IMAGE].tolist() == [0, 0]
    with pytest.raises(ValueError, match="average repeats"):
        retrieval.permutation_tests([similarity], [np.array([0, 0, 1])])


def test_averaging_repeats_is_free_of_order_and_invents_nothing() -> None:
    rng = np.random.default_rng(0)
    outputs, image = rng.normal(size=(7, 4)), np.array([5, 5, 5, 2, 2, 9, 5])
    mean, ids = retrieval.average_repeats(outputs, image)
    assert ids.tolist() == [2, 5, 9]
    np.testing.assert_allclose(mean[2], outputs[5])
    np.testing.assert_allclose(mean[1], outputs[[0, 1, 2, 6]].mean(0))
    order = rng.permutation(7)
    again, _ = retrieval.average_repeats(outputs[order], image[order])
    np.testing.assert_allclose(again, mean)


def test_centring_undoes_hubs() -> None:
    rng = np.random.default_rng(1)
    images = rng.normal(size=(200, 32)) + 2 * rng.normal(size=32)
    shrunk = images.mean(0) + 0.05 * (images - images.mean(0)) + 0.01 * rng.normal(size=(200, 32))
    raw = retrieval.ranks(retrieval.cosine_similarity(shrunk, images))
    centred = retrieval.cosine_similarity(shrunk, images, (shrunk.mean(0), images.mean(0)))
    found = retrieval.ranks(centred)
    for direction in DIRECTIONS:
        assert retrieval.accuracy(found[direction]) >= retrieval.accuracy(raw[direction])
    assert retrieval.accuracy(found[IMAGE_FROM_BRAIN]) > 0.95
    assert retrieval.accuracy(raw[IMAGE_FROM_BRAIN]) < 0.5


def test_similarity_is_of_brains_by_images() -> None:
    brains, images = np.eye(3, 4), np.eye(5, 4)
    assert retrieval.cosine_similarity(brains, images).shape == (3, 5)
    with pytest.raises(ValueError, match="two spaces"):
        retrieval.cosine_similarity(brains, np.eye(5, 6))


def test_the_closed_form_is_the_mean_over_draws() -> None:
    similarity = noisy(40, 2.0)
    found = retrieval.ranks(similarity)
    drawn = retrieval.draws_of(similarity, ways=10, draws=800)
    for direction in DIRECTIONS:
        exact = retrieval.expected_accuracy(found[direction], 39, 10)
        assert drawn[direction].mean() == pytest.approx(exact, abs=0.012)
    whole = retrieval.expected_accuracy(found[IMAGE_FROM_BRAIN], 39, 40)
    assert whole == pytest.approx(retrieval.accuracy(found[IMAGE_FROM_BRAIN]))
    assert retrieval.expected_accuracy(found[IMAGE_FROM_BRAIN], 39, 1) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="ways"):
        retrieval.draws_of(similarity, ways=41)


def test_the_spread_over_draws_is_not_the_interval_over_images() -> None:
    similarity = noisy(100, 2.0)
    hit = retrieval.hits(retrieval.ranks(similarity)[IMAGE_FROM_BRAIN])
    drawn = retrieval.draws_of(similarity, ways=95, draws=30)[IMAGE_FROM_BRAIN]
    means = retrieval.bootstrap([hit], [np.arange(100)], draws=500)
    assert means.std() > 2 * drawn.std()
    assert means.std() == pytest.approx(np.sqrt(hit.mean() * (1 - hit.mean()) / 100), rel=0.15)


def test_permuting_looks_up_what_counting_would_find() -> None:
    similarity = noisy(12, 1.0)[:9]
    own = np.arange(9)[::-1] + 2
    tables = retrieval.rank_tables(similarity)
    found = retrieval.ranks(similarity, own)
    assert tables[IMAGE_FROM_BRAIN][np.arange(9), own].tolist() == found[IMAGE_FROM_BRAIN].tolist()
    looked = tables[BRAIN_FROM_IMAGE][np.arange(9), own]
    assert looked.tolist() == found[BRAIN_FROM_IMAGE][own].tolist()


def test_permutations_find_signal_and_never_say_zero() -> None:
    tested = retrieval.permutation_tests([noisy(60, 3.0), noisy(40, 3.0, 1)], draws=200)
    for direction in DIRECTIONS:
        assert tested[direction, "top1"].p == pytest.approx(1 / 201)
        assert tested[direction, "top1"].null.mean() == pytest.approx(
            (1 / 60 + 1 / 40) / 2, rel=0.2
        )
    with pytest.raises(ValueError, match="no subject"):
        retrieval.permutation_tests([])


def test_pairs_are_exchanged_within_a_subject_only() -> None:
    # One subject is perfect, one at random: exchanging over subjects would change the sizes.
    perfect = retrieval.permutation_tests([np.eye(5), np.eye(3)], draws=300)
    top1 = perfect[IMAGE_FROM_BRAIN, "top1"]
    assert set(np.round(top1.null * 2 * 15).astype(int)) <= {
        3 * a + 5 * b for a in range(6) for b in range(4)
    }


def test_bootstrap_draws_an_image_in_all_subjects() -> None:
    hit = np.array([1.0, 0.0, 1.0, 0.0])
    same = retrieval.bootstrap([hit, hit], [np.arange(4)] * 2, draws=50)
    alone = retrieval.bootstrap([hit], [np.arange(4)], draws=50)
    np.testing.assert_allclose(same, alone)


def test_hard_rivals_share_objects_and_say_how_many_there_are() -> None:
    labels = [["cat", "dog"], ["cat"], ["dog", "car"], ["boat"], ["cat", "dog"], []]
    gallery = retrieval.hard_gallery(labels, 2)
    assert 3 not in gallery.query
    assert 5 not in gallery.query
    first = gallery.rivals[gallery.query.tolist().index(0)]
    assert first[0] == 4
    assert set(first.tolist()) <= {1, 2, 4}
    assert gallery.ways == 3
    assert retrieval.hard_gallery(labels, 7).ways == 0


def test_a_decoder_of_kinds_alone_fails_among_images_of_the_same_kind() -> None:
    rng = np.random.default_rng(3)
    kind = np.arange(60) % 3
    similarity = 5.0 * (kind[:, None] == kind[None, :]) + rng.normal(size=(60, 60))
    gallery = retrieval.hard_gallery([[str(name)] for name in kind], 9)
    found = retrieval.ranks(similarity)
    beside = retrieval.expected_accuracy(found[IMAGE_FROM_BRAIN], 59, 10)
    for direction in DIRECTIONS:
        hard = retrieval.hard_hits(similarity, gallery)[direction].mean()
        assert hard < 0.25 < beside
