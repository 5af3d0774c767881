"""Splits by session: what was seen late only, by hand and by the rule of the challenge."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.data.registry import SplitConfig, SplitKind
from neuroattn.data.split_sessions import algonauts2023, last_sessions, only_in_last
from neuroattn.data.splits import folds


def trials(*shown: tuple[str, int, int]) -> pd.DataFrame:
    """Rows (subject, session, image)."""
    return pd.DataFrame(shown, columns=["subject", "session", "image"])


def complete(subject: str = "a") -> pd.DataFrame:
    """Five sessions; every image three times: 0 early, 1 and 2 late, 3 across."""
    late = [(subject, session, image) for image in (1, 2) for session in (3, 4, 5)]
    early = [(subject, session, 0) for session in (1, 1, 2)]
    return trials(*early, *late, (subject, 2, 3), (subject, 4, 3), (subject, 5, 3))


def test_an_image_seen_before_the_last_sessions_is_trained_on() -> None:
    assert only_in_last(complete(), 3).tolist() == [1, 2]
    train, test = last_sessions(complete(), 3)
    assert (train.tolist(), test.tolist()) == ([0, 3], [1, 2])
    assert only_in_last(complete(), 4).tolist() == [1, 2, 3]
    assert only_in_last(complete(), 1).tolist() == []


def test_every_subject_has_its_own_last_sessions() -> None:
    other = trials(("b", 1, 0), ("b", 1, 1), ("b", 2, 2), ("b", 3, 2), ("b", 4, 2), ("b", 4, 3))
    both = pd.concat([complete(), other], ignore_index=True)
    assert only_in_last(both, 3).tolist() == [2]  # the other saw image 1 early


def test_sessions_are_those_that_are_there() -> None:
    released = complete().query("session <= 4")
    assert only_in_last(released, 1).tolist() == []
    assert only_in_last(released, 2).tolist() == [1, 2]


def test_the_challenge_keeps_shared_images_of_complete_subjects_only() -> None:
    train, test = algonauts2023(complete(), shared=[0, 1])
    assert (train.tolist(), test.tolist()) == ([0, 3], [1, 2])
    unfinished = complete().drop(index=11)  # image 3 was shown twice
    train, test = algonauts2023(unfinished, shared=[0, 1])
    assert (train.tolist(), test.tolist()) == ([0, 3], [2])  # image 1 is on neither side


def prepared(**more: Any) -> SimpleNamespace:
    table = complete()
    images = pd.DataFrame({"image": range(4), "sha256": list("wxyz"), "source": ""})
    return SimpleNamespace(
        images=images, trials=table, captions={}, categories={}, **{"splits": {}, **more}
    )


def test_named_kinds_take_the_splits_of_the_dataset() -> None:
    shared = {
        "shared1000": {"train": [0, 3], "test": [1, 2]},
        "shared515": {"train": [0, 2, 3], "test": [1]},
    }
    data = prepared(splits=shared)
    for kind, test in ((SplitKind.shared1000, [1, 2]), (SplitKind.shared515, [1])):
        (fold,) = folds(data, SplitConfig(kind=kind))
        assert (fold.name, fold.test.tolist()) == (kind.value, test)
    (fold,) = folds(data, SplitConfig(kind=SplitKind.algonauts2023))
    assert (fold.name, fold.train.tolist(), fold.test.tolist()) == ("algonauts2023", [0, 3], [1, 2])
    (fold,) = folds(data, SplitConfig(kind=SplitKind.last_sessions, sessions=4))
    assert fold.test.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "kind", [SplitKind.shared1000, SplitKind.shared515, SplitKind.algonauts2023]
)
def test_a_dataset_without_shared_images_is_an_error(kind: SplitKind) -> None:
    with pytest.raises(ConfigError, match="does not say which images"):
        folds(prepared(), SplitConfig(kind=kind))


@pytest.mark.parametrize("sessions", [1, 5])
def test_an_empty_side_is_an_error(sessions: int) -> None:
    with pytest.raises(DataError, match="leaves no image on the"):
        folds(prepared(), SplitConfig(kind=SplitKind.last_sessions, sessions=sessions))
