from __future__ import annotations

import numpy as np
import pytest

from neuroattn.core.errors import ConfigError, DataError, LeakError
from neuroattn.training.registry import Mode, StoppingConfig
from neuroattn.training.selection import (
    SelectionSet,
    Selector,
    TrainingData,
    check_sides,
    images_digest,
    monitored,
)

from .training_toy import ToySource


def sides(
    train: list[int], selection: list[int], test: list[int], name: str = "selection"
) -> TrainingData:
    chosen = SelectionSet(name, np.array(selection), ToySource(2))
    return TrainingData(ToySource(2), np.array(train), chosen, np.array(test))


def test_separate_sides_pass() -> None:
    check_sides(sides([1, 1, 2], [3], [4, 5]))
    check_sides(TrainingData(ToySource(2), np.array([1, 2])))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (sides([1, 2], [3, 4], [4, 5]), r"'selection' \(selection\) images are test images"),
        (sides([1, 4], [3], [4, 5]), "training images are test images"),
        (sides([1, 2], [3], [4, 5], name="Test"), "test set cannot be the selection set"),
        (sides([1, 3], [3], [4]), "are training images as well"),
    ],
)
def test_an_image_on_two_sides_is_a_leak(data: TrainingData, message: str) -> None:
    with pytest.raises(LeakError, match=message) as caught:
        check_sides(data)
    assert caught.value.fix


def test_the_leak_names_the_images() -> None:
    with pytest.raises(LeakError, match="7 images on both, as 10, 11, 12, 13, 14, \\.\\.\\."):
        check_sides(sides([1], list(range(10, 17)), list(range(10, 20))))


def test_selecting_on_training_images_must_be_said() -> None:
    check_sides(sides([1, 3], [3], [4], name="train"))
    with pytest.raises(LeakError):
        check_sides(sides([1, 3], [4], [4], name="train"))


def test_the_digest_of_images_depends_on_their_order() -> None:
    digests = {images_digest(np.array(ids)) for ids in ([1, 2], [2, 1], [1, 2, 3])}
    assert len(digests) == 3
    assert images_digest(np.array([1, 2], dtype=np.int32)) == images_digest(np.array([1, 2]))


def test_the_monitored_metric_must_be_there_and_finite() -> None:
    assert monitored({"loss": 1.0, "r": 0.5}, "r") == 0.5
    with pytest.raises(ConfigError, match="monitored name") as caught:
        monitored({"loss": 1.0, "r": 0.5}, "accuracy")
    assert caught.value.expected == "loss | r"
    with pytest.raises(DataError, match="'r' is nan"):
        monitored({"r": float("nan")}, "r")


def improvements(values: list[float], **keys: object) -> list[bool]:
    selector = Selector(StoppingConfig(**keys))
    return [selector.update(value) for value in values]


def test_a_tie_keeps_the_earlier_moment() -> None:
    assert improvements([2.0, 1.0, 1.0, 0.5]) == [True, True, False, True]
    assert improvements([0.1, 0.1, 0.2], mode=Mode.max) == [True, False, True]


def test_an_improvement_must_exceed_min_delta() -> None:
    assert improvements([1.0, 0.75, 0.5, 0.24], min_delta=0.25) == [True, False, True, True]
    assert improvements([1.0, 0.75], min_delta=0.25) == [True, False]  # equal is not enough


def test_a_slow_drift_is_measured_from_the_best_and_not_from_the_last() -> None:
    assert improvements([1.0, 0.9, 0.8, 0.7], min_delta=0.25) == [True, False, False, True]


def test_patience_counts_evaluations_in_a_row() -> None:
    selector = Selector(StoppingConfig(patience=2))
    exhausted = []
    for value in (1.0, 1.0, 0.9, 0.9, 0.95):
        selector.update(value)
        exhausted.append(selector.exhausted)
    assert exhausted == [False, False, False, False, True]


def test_without_patience_nothing_is_exhausted() -> None:
    selector = Selector(StoppingConfig())
    for _ in range(50):
        selector.update(1.0)
    assert not selector.exhausted


def test_a_selector_survives_its_state() -> None:
    selector = Selector(StoppingConfig(patience=3))
    for value in (1.0 / 3, 0.5, 0.5):
        selector.update(value)
    other = Selector(StoppingConfig(patience=3))
    other.load_state_dict(selector.state_dict())
    assert other == selector
