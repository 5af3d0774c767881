"""Network ablation on brains whose signal stands where it was put."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neuroattn.decoding.ablation import (
    CONCEPT,
    DROP,
    KEEP,
    Brain,
    Concept,
    Task,
    ablate,
    area,
    concepts_of,
    contributions,
    discriminants,
    found,
    margin,
)
from neuroattn.decoding.partial import PartialProducts, Split
from neuroattn.stats.retrieval import BRAIN_FROM_IMAGE, IMAGE_FROM_BRAIN

NETWORKS, EACH, IMAGES, TRAINING, DIM = 7, 40, 80, 300, 12
NAMES = [f"network-{index}" for index in range(NETWORKS)]


def planted(
    where: dict[int, slice], offset: float = 0.0, noise: float = 1.0, seed: int = 0
) -> Brain:
    """A ridge decoder of brains whose network ``k`` carries the axes ``where[k]`` of the images."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(TRAINING + IMAGES, DIM))
    raw = noise * rng.normal(size=(len(images), NETWORKS * EACH))
    for network, axes in where.items():
        columns = slice(network * EACH, (network + 1) * EACH)
        raw[:, columns] += images[:, axes] @ rng.normal(size=(images[:, axes].shape[1], EACH))
    raw += offset
    mean, sd = raw[:TRAINING].mean(0), raw[:TRAINING].std(0)
    x = (raw - mean) / sd
    known = x[:TRAINING]
    gram = known.T @ known + 30 * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, known.T @ images[:TRAINING]).T
    split = Split(weight.astype(np.float32), np.zeros(DIM, np.float32))
    masking = PartialProducts(split, x[TRAINING:].astype(np.float32))
    centre = np.zeros(DIM), images[:TRAINING].mean(0)
    present = images[:, DIM - 1] > 0
    concept = Concept("last", np.eye(DIM)[DIM - 1], present[TRAINING:])
    task = Task(images[TRAINING:], centre, [concept])
    networks = {
        name: np.arange(index * EACH, (index + 1) * EACH) for index, name in enumerate(NAMES)
    }
    parcels = [np.arange(start, start + 4) for start in range(0, NETWORKS * EACH, 4)]
    return Brain("subj01", masking, task, networks, parcels)


def rows(table: pd.DataFrame, mode: str, measure: str) -> pd.DataFrame:
    return table.query("mode == @mode and measure == @measure").set_index("network")


def test_the_only_network_with_signal_is_found_both_ways_and_no_other() -> None:
    table = ablate([planted({2: slice(0, DIM)})], controls=20)
    for direction in (IMAGE_FROM_BRAIN, BRAIN_FROM_IMAGE):
        dropped = rows(table, DROP, direction)
        assert dropped.loc[NAMES[2], "intact"] > 0.9
        assert dropped.loc[NAMES[2], "value"] < 0.06
        assert (dropped.drop(NAMES[2])["share"].abs() <= 0.03).all()
        assert found(table, DROP, direction) == [NAMES[2]]
        assert found(table, KEEP, direction) == [NAMES[2]]
    assert table["p"].min() > 0


def test_signal_in_two_networks_is_seen_by_keeping_one() -> None:
    table = ablate([planted({1: slice(0, DIM), 5: slice(0, DIM)}, noise=3)], controls=20)
    dropped = rows(table, DROP, "percentile")
    assert (dropped["share"] < 0.1).all()
    assert found(table, DROP, "percentile") == []
    assert set(found(table, KEEP, "percentile")) == {NAMES[1], NAMES[5]}


def test_a_component_of_one_network_is_found_by_its_concept_alone() -> None:
    table = ablate([planted({0: slice(0, DIM - 1), 4: slice(DIM - 1, DIM)})], controls=20)
    measure = CONCEPT + "last"
    assert found(table, DROP, measure) == [NAMES[4]]
    assert rows(table, DROP, measure).loc[NAMES[4], "value"] == pytest.approx(0.5, abs=0.25)
    assert rows(table, DROP, measure).loc[NAMES[0], "share"] < 0.1


def test_a_constant_on_the_raw_betas_changes_nothing() -> None:
    plain, moved = (
        ablate([planted({2: slice(0, DIM)}, offset=offset)], controls=3) for offset in (0.0, 50.0)
    )
    np.testing.assert_allclose(plain["value"], moved["value"], atol=1e-3)


def test_subjects_are_averaged() -> None:
    brains = [planted({2: slice(0, DIM)}), planted({3: slice(0, DIM)}, seed=1)]
    table = rows(ablate(brains, controls=3), DROP, "percentile")
    assert table.loc[NAMES[2], "share"] == pytest.approx(0.5, abs=0.1)
    assert table.loc[NAMES[2], "targets"] == 2 * EACH


def test_kinds_that_one_subject_lacks_are_measured_of_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def seeing(brain: Brain, names: str) -> Brain:
        concepts = [replace(brain.task.concepts[0], name=name) for name in names]
        return replace(brain, task=replace(brain.task, concepts=concepts))

    whole = planted({2: slice(0, DIM)})
    with caplog.at_level(logging.INFO, logger="neuroattn.decoding"):
        for first, second in (("ab", "bc"), ("b", "bac")):
            table = ablate([seeing(whole, first), seeing(whole, second)], controls=2)
            kinds = [name for name in table["measure"].unique() if name.startswith(CONCEPT)]
            assert kinds == [CONCEPT + "b"]
    assert caplog.text.count("left out: a, c") == 2


def test_the_map_shows_where_the_decoder_reads() -> None:
    brain = planted({2: slice(0, DIM)})
    values = contributions(brain)
    inside = np.zeros(NETWORKS * EACH, dtype=bool)
    inside[brain.networks[NAMES[2]]] = True
    assert values[inside].mean() > 10 * np.abs(values[~inside]).mean()
    assert np.isfinite(values).all()


def test_area_and_margin_have_their_known_values() -> None:
    present = np.array([True, True, False, False])
    assert area(np.array([3.0, 2, 1, 0]), present) == 1
    assert area(np.zeros(4), present) == 0.5
    assert np.isnan(area(np.zeros(4), np.zeros(4, bool)))
    assert margin(np.eye(5)) == 1
    assert margin(np.full((5, 5), np.nan)) == 0


def test_a_kind_is_read_apart_from_louder_ones() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.random((600, 2)) < 0.5
    space = rng.normal(size=(600, 6))
    space[:, 0] += kinds[:, 0]
    space[:, :2] += 3 * kinds[:, 1:]  # the second is loud, and lies partly along the first
    labels = [[name for name, there in zip("ab", row, strict=True) if there] for row in kinds]
    concepts = concepts_of(space, labels, labels)
    plain = space[kinds[:, 0]].mean(0) - space[~kinds[:, 0]].mean(0)
    louder = space + 3 * kinds[:, 1:] * np.array([1, 1, 0, 0, 0, 0])
    assert area(louder @ concepts[0].axis, kinds[:, 0]) > area(louder @ plain, kinds[:, 0]) + 0.05


def test_discriminants_through_images_are_those_through_dimensions() -> None:
    rng = np.random.default_rng(0)
    training, difference = rng.normal(size=(20, 30)), rng.normal(size=(2, 30))
    centred = training - training.mean(0)
    ridge = 0.1 * np.square(centred).mean()
    wanted = np.linalg.solve(centred.T @ centred / 20 + ridge * np.eye(30), difference.T).T
    np.testing.assert_allclose(discriminants(training, difference), wanted, rtol=1e-6)
    wide = np.vstack([training, training])[:, :10]
    assert discriminants(wide, difference[:, :10]).shape == (2, 10)


def test_rare_kinds_are_no_concepts() -> None:
    training = np.vstack([np.ones((10, 3)), np.zeros((10, 3))])
    labels = [["cat"]] * 10 + [["dog"]] * 10
    concepts = concepts_of(training, labels, [["cat"]] * 6 + [["dog", "bird"]] * 6)
    assert [concept.name for concept in concepts] == ["cat", "dog"]
    np.testing.assert_allclose(concepts[0].axis, -concepts[1].axis, atol=1e-9)
    assert (concepts[0].axis > 0).all()
    assert concepts_of(training, labels, [["cat"]] * 6) == []
