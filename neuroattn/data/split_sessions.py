"""Splits by the time at which images were shown: what was seen in the last sessions is held out."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ids = NDArray[np.int64]
CHALLENGE_SESSIONS = 3
_TIMES = 3


def only_in_last(trials: pd.DataFrame, count: int) -> Ids:
    """Images that no subject saw before its last ``count`` sessions, ascending.

    Sessions are those that are there: a release that holds some back has other last ones.
    """
    early: list[Ids] = []
    for _, rows in trials.groupby("subject", sort=False):
        last = np.unique(rows["session"].to_numpy())[-count:]
        early.append(rows.loc[~rows["session"].isin(last), "image"].to_numpy(dtype=np.int64))
    return np.setdiff1d(trials["image"].to_numpy(dtype=np.int64), np.concatenate(early))


def last_sessions(trials: pd.DataFrame, count: int) -> tuple[Ids, Ids]:
    """(training, test) images: the test images were seen in the last sessions only."""
    shown = np.unique(trials["image"].to_numpy(dtype=np.int64))
    test = only_in_last(trials, count)
    return np.setdiff1d(shown, test), test


def algonauts2023(trials: pd.DataFrame, shared: Collection[int]) -> tuple[Ids, Ids]:
    """(training, test) images by the rule of the Algonauts Project 2023 challenge.

    Test: images seen in the last three sessions only. Shared images among them are on neither
    side, unless the subject completed the experiment, each image three times: then they stay.
    The challenge (Gifford et al. 2023, arXiv 2301.03198) took NSD with all its sessions.

    Parameters
    ----------
    trials : one subject's, or several subjects' (then an image must pass for each).
    shared : images that all subjects were to see.
    """
    held_out = only_in_last(trials, CHALLENGE_SESSIONS)
    shown = np.unique(trials["image"].to_numpy(dtype=np.int64))
    times = trials.groupby(["subject", "image"]).size()
    complete = (times == _TIMES).groupby(level="subject").all()
    unfinished = complete.index[~complete.to_numpy()]
    seen = trials.loc[trials["subject"].isin(unfinished), "image"]
    left_out = np.intersect1d(
        np.fromiter(shared, dtype=np.int64), np.unique(seen.to_numpy(dtype=np.int64))
    )
    return np.setdiff1d(shown, held_out), np.setdiff1d(held_out, left_out)
