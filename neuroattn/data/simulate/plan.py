"""The experiment: who sees which image when, in the numbers of ``nsd_expdesign.mat``.

One order of 30,000 trials serves all subjects. `Plan` counts from 0; `expdesign` turns it
into the file's arrays, which count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.nsd.layout import N_STIMULI
from neuroattn.data.simulate.sizes import Size

Ids = NDArray[np.int64]

SUBJECTS, SESSIONS, RUNS, SLOTS, TRIALS = 8, 40, 12, 75, 750
SHARED, OWN, REPEATS = 1000, 9000, 3
#: Sessions that the subjects of NSD completed.
COMPLETED: Final = (40, 40, 32, 30, 40, 32, 40, 30)

# How many of the shared and of the other images have 0, 1, 2 and 3 presentations after 30
# and after 32 sessions (NSD data manual, "Technical notes"; the others by subtraction).
_AFTER_30: Final = {"shared": (93, 141, 251, 515), "own": (698, 1222, 2150, 4930)}
_AFTER_32: Final = {"shared": (70, 103, 213, 614), "own": (519, 953, 1908, 5620)}


@dataclass(frozen=True, eq=False)
class Plan:
    """The design, counted from 0.

    Parameters
    ----------
    ordering : (30000,) place of each trial's image in a row of ``images``, below 1,000 shared.
    images : (8, 10000) 73k ids, the shared ones first and ascending.
    sessions : number of sessions of each simulated subject.
    """

    ordering: Ids
    images: Ids
    sessions: tuple[int, ...]

    @property
    def shared(self) -> Ids:
        """73k ids of the shared images, ascending."""
        return np.asarray(self.images[0, :SHARED])

    def places(self, subject: int) -> Ids:
        """Place (0 to 9999) of the image of every completed trial of a subject (from 1)."""
        return np.asarray(self.ordering[: self.sessions[subject - 1] * TRIALS])

    def shown(self, subject: int) -> Ids:
        """73k id of every completed trial of a subject (from 1)."""
        return np.asarray(self.images[subject - 1][self.places(subject)])

    @cached_property
    def runs(self) -> Ids:
        """Run, from 1, of each trial of a session: 63 in odd ones, 62 in even ones."""
        counts = [63 if run % 2 else 62 for run in range(1, RUNS + 1)]
        return np.repeat(np.arange(1, RUNS + 1), counts)


def plan_experiment(size: Size, subjects: int, seed: int) -> Plan:
    """The design of a size: NSD's own counts, or all of a few images in the first sessions."""
    ordering = _nsd_ordering(seed) if size.real else _short_ordering(size, seed)
    sessions = tuple(min(COMPLETED[s % SUBJECTS], size.sessions) for s in range(subjects))
    return Plan(ordering, _subject_images(seed), sessions)


def _subject_images(seed: int) -> Ids:
    """73k ids of every subject: the shared ones avoid both ends, as in NSD (2950 to 72948)."""
    random = generator(seed, "73k")
    shared = np.sort(random.choice(np.arange(2950, 72949), SHARED, replace=False))
    rest = random.permutation(np.setdiff1d(np.arange(N_STIMULI), shared))
    own = rest.reshape(SUBJECTS, OWN)
    return np.hstack([np.tile(shared, (SUBJECTS, 1)), own]).astype(np.int64)


def _short_ordering(size: Size, seed: int) -> Ids:
    """Every image of the size three times within its sessions, the others afterwards."""
    used = np.concatenate([np.arange(size.shared), SHARED + np.arange(size.own)])
    rest = np.setdiff1d(np.arange(SHARED + OWN), used)
    random = generator(seed, "ordering")
    parts = [random.permutation(np.repeat(part, REPEATS)) for part in (used, rest)]
    return np.concatenate(parts)


def _nsd_ordering(seed: int) -> Ids:
    """An order with NSD's numbers of presentations after 30, 32 and 40 sessions."""
    random = generator(seed, "ordering")
    blocks: list[list[Ids]] = [[], [], []]
    for name, places in (("shared", np.arange(SHARED)), ("own", SHARED + np.arange(OWN))):
        after_30 = random.permutation(np.repeat(np.arange(4), _AFTER_30[name]))
        after_32 = _advance(after_30, _AFTER_32[name], random)
        counts = (after_30, after_32 - after_30, REPEATS - after_32)
        for block, count in zip(blocks, counts, strict=True):
            block.append(np.repeat(places, count))
    return np.concatenate([random.permutation(np.concatenate(block)) for block in blocks])


def _advance(state: Ids, wanted: tuple[int, ...], random: np.random.Generator) -> Ids:
    """Show some images once more, so that ``wanted`` images have 0, 1, 2, 3 presentations."""
    after = state.copy()
    moved = 0
    for level in range(3):
        members = np.flatnonzero(state == level)
        moved = len(members) + moved - wanted[level]
        after[random.permutation(members)[:moved]] += 1
    return after


def expdesign(plan: Plan) -> dict[str, NDArray[np.generic]]:
    """The arrays of ``nsd_expdesign.mat``, counted from 1.

    ``basiccnt``: how many distinct images were shown once or more, twice or more and three
    times by the end of each session (our reading of a field that nothing here needs).
    """
    return {
        "basiccnt": _basic_counts(plan.ordering).astype(np.uint16),
        "masterordering": (plan.ordering + 1)[None].astype(np.uint16),
        "sharedix": (plan.shared + 1)[None].astype(np.uint32),
        "stimpattern": stimulus_pattern(),
        "subjectim": (plan.images + 1).astype(np.uint32),
    }


def stimulus_pattern() -> NDArray[np.uint8]:
    """1 where a 4-s slot shows a stimulus: (40, 12, 75), 63 in odd runs and 62 in even ones.

    Runs begin with three blank slots and end with four (five in even runs); the other blanks
    are spread over the run.
    """
    pattern = np.zeros((SESSIONS, RUNS, SLOTS), dtype=np.uint8)
    for run in range(RUNS):
        first, last = 3, SLOTS - (4 if run % 2 == 0 else 5)
        inner = np.linspace(first, last - 1, 7).round().astype(int)[1:-1]
        pattern[:, run, first:last] = 1
        pattern[:, run, inner] = 0
    return pattern


def _basic_counts(ordering: Ids) -> Ids:
    counts = np.zeros((3, SESSIONS), dtype=np.int64)
    shown = np.zeros(SHARED + OWN, dtype=np.int64)
    for session in range(SESSIONS):
        shown += np.bincount(ordering[session * TRIALS : (session + 1) * TRIALS],
                             minlength=len(shown))  # fmt: skip
        counts[:, session] = [(shown >= often).sum() for often in (1, 2, 3)]
    return counts
