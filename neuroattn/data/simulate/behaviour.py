"""``responses.tsv``: the memory task of NSD, answered by a simulated subject.

The columns are NSD's. What a trial showed and when it was shown before is exact; answers and
times are drawn, and nothing in the responses depends on them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate.plan import TRIALS, Plan

Ids = NDArray[np.int64]

COLUMNS: Final = (
    "SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID", "TIME", "ISOLD", "ISCORRECT", "RT",
    "CHANGEMIND", "MEMORYRECENT", "MEMORYFIRST", "ISOLDCURRENT", "ISCORRECTCURRENT", "TOTAL1",
    "TOTAL2", "BUTTON", "MISSINGDATA",
)  # fmt: skip
_CORRECT: Final = 0.85
_DAYS_BETWEEN: Final = 7
_START, _SLOT = 10 / 24, 4.0 / 86_400  # of a session's first trial, days; length of a slot


def behaviour(plan: Plan, subject: int, seed: int) -> pd.DataFrame:
    """One row per completed trial, in order; ids count from 1."""
    random = generator(seed, "behaviour", subject)
    places = plan.places(subject)
    count, trial = len(places), np.arange(len(places))
    session = trial // TRIALS + 1
    run = np.tile(plan.runs, count // TRIALS)
    first, recent = _earlier(places)
    start = np.maximum.accumulate(np.where(np.diff(session, prepend=0) > 0, trial, 0))
    old, old_today = recent >= 0, recent >= start
    correct = random.random(count) < _CORRECT
    button = np.where(old == correct, 2, 1)  # 2: seen before
    within = trial - start
    columns = (
        np.full(count, subject), session, run, _trial_in_run(run), plan.shown(subject) + 1,
        places + 1, (session - 1) * _DAYS_BETWEEN + _START + within * 1.2 * _SLOT, old * 1,
        correct * 1, random.gamma(12.0, 80.0, count).round(3), (random.random(count) < 0.03) * 1,
        _gap(recent, trial), _gap(first, trial), old_today * 1, ((button == 2) == old_today) * 1,
        (button == 1) * 1, (button == 2) * 1, button, np.zeros(count, dtype=np.int64),
    )  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def _earlier(places: Ids) -> tuple[Ids, Ids]:
    """First and latest earlier trial of each trial's image, -1 where there is none."""
    first, recent = np.full(len(places), -1), np.full(len(places), -1)
    seen: dict[int, tuple[int, int]] = {}
    for trial, place in enumerate(places.tolist()):
        if place in seen:
            first[trial], recent[trial] = seen[place]
        seen[place] = (seen.get(place, (trial, trial))[0], trial)
    return first, recent


def _gap(earlier: Ids, trial: Ids) -> NDArray[np.float64]:
    """Stimulus trials in between, NaN where the image is new."""
    return np.where(earlier >= 0, trial - earlier - 1.0, np.nan)


def _trial_in_run(run: Ids) -> Ids:
    start = np.flatnonzero(np.diff(run, prepend=0) != 0)
    return np.arange(len(run)) - np.repeat(start, np.diff(np.append(start, len(run)))) + 1
