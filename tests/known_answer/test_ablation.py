"""Networks left out, beside 100 random sets of their size: what was planted is found, and no more.

One kind of things is carried by the first network alone, a second by two networks alike, a third
by none; a further network is noise, and so are the targets outside all of them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from neuroattn.decoding.ablation import (
    CONCEPT,
    DROP,
    KEEP,
    MODES,
    Brain,
    Concept,
    Task,
    ablate,
    found,
)
from neuroattn.decoding.partial import PartialProducts, Split

NETWORKS = ("default", "control", "attention", "noise")
EACH, OUTSIDE, PATCH, TRAINING, TEST, DIM = 40, 240, 4, 400, 100, 9
CARRIED = {"default": "animal", "control": "vehicle", "attention": "vehicle"}
KINDS = ("animal", "vehicle", "food")
AXES = {kind: slice(3 * number, 3 * number + 3) for number, kind in enumerate(KINDS)}


@cache
def table() -> pd.DataFrame:
    """Every network left out and kept, with 100 controls."""
    return ablate([brain()], controls=100)


def brain() -> Brain:
    """A ridge decoder of the planted networks."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(TRAINING + TEST, DIM))
    raw = 2 * rng.normal(size=(len(images), len(NETWORKS) * EACH + OUTSIDE))
    for number, name in enumerate(NETWORKS):
        if name in CARRIED:
            axes = AXES[CARRIED[name]]
            raw[:, number * EACH : (number + 1) * EACH] += images[:, axes] @ rng.normal(
                size=(3, EACH)
            )
    x = (raw - raw[:TRAINING].mean(0)) / raw[:TRAINING].std(0)
    gram = x[:TRAINING].T @ x[:TRAINING] + TRAINING * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, x[:TRAINING].T @ images[:TRAINING]).T
    split = Split(weight.astype(np.float32), np.zeros(DIM, np.float32))
    concepts = [
        Concept(kind, np.eye(DIM)[AXES[kind].start], images[TRAINING:, AXES[kind].start] > 0)
        for kind in KINDS
    ]
    task = Task(images[TRAINING:], (np.zeros(DIM), images[:TRAINING].mean(0)), concepts)
    masking = PartialProducts(split, x[TRAINING:].astype(np.float32))
    networks = {
        name: np.arange(number * EACH, (number + 1) * EACH) for number, name in enumerate(NETWORKS)
    }
    parcels = [np.arange(start, start + PATCH) for start in range(0, raw.shape[1], PATCH)]
    return Brain("subj01", masking, task, networks, parcels)


@pytest.mark.parametrize(
    ("kind", "dropped", "kept"),
    [("animal", {"default"}, {"default"}), ("vehicle", set(), {"control", "attention"}),
     ("food", set(), set())],
)  # fmt: skip
def test_what_one_carries_is_lost_and_what_two_carry_is_left(
    kind: str, dropped: set[str], kept: set[str]
) -> None:
    assert set(found(table(), DROP, CONCEPT + kind)) == dropped
    assert set(found(table(), KEEP, CONCEPT + kind)) == kept


def test_a_network_of_noise_is_found_by_no_measure() -> None:
    carriers = {
        name for mode in MODES for measure in set(table()["measure"])
        for name in found(table(), mode, measure)
    }  # fmt: skip
    assert carriers == set(CARRIED)
    noise = table()[table()["network"] == "noise"]
    assert (noise["p"] > 0.01).mean() > 0.9
    assert (noise["share"].abs().dropna() < 0.1).mean() > 0.8


def test_controls_are_as_large_as_the_network_in_targets() -> None:
    assert set(table()["targets"]) == {EACH}
    assert table()["p"].min() == pytest.approx(1 / (100 * len(NETWORKS) + 1))
