"""From what is stored to the scale on which responses are fitted: one multiplication, one addition.

A half-precision store and a z-score per session are both linear in each session and target, so
they are joined before a value is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SessionScale:
    """Mean and standard deviation by which raw responses become z-scores.

    Parameters
    ----------
    mean, sd : (sessions, targets); ``sd`` is 1 for a target that is constant.
    trials : (sessions,) number of trials from which they were computed.
    """

    mean: Floats
    sd: Floats
    trials: Ids

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays for a sidecar."""
        return {"mean": self.mean, "sd": self.sd, "trials": self.trials}


@dataclass(frozen=True, eq=False)
class Linear:
    """``stored * gain + offset``, by session and target: (sessions, targets) each."""

    gain: Floats
    offset: Floats

    def then(self, scale: SessionScale) -> Linear:
        """The same, and z-scores after it."""
        return Linear(self.gain / scale.sd, (self.offset - scale.mean) / scale.sd)

    def apply(self, stored: NDArray[Any], sessions: Ids, columns: Ids) -> NDArray[np.float32]:
        """Values (rows, columns) float32 of stored rows of these sessions (rows,).

        Half precision is widened and scaled in float32, which adds an error of 2^-23 of what
        is multiplied and added; raw values far from 0 are scaled in float64. A row at a time
        stays in the processor's cache.
        """
        half = stored.dtype == np.float16
        out = _widened(stored) if half else np.empty(stored.shape, dtype=np.float32)
        kind = np.float32 if half else np.float64
        row = np.empty(stored.shape[1], dtype=kind)
        last, gain, offset = -1, row, row
        for place, session in enumerate(sessions.tolist()):
            if session != last:
                gain = self.gain[session][columns].astype(kind)
                offset = self.offset[session][columns].astype(kind)
                last = session
            np.multiply(out[place] if half else stored[place], gain, out=row)
            np.add(row, offset, out=out[place], casting="same_kind")
        return out


def _widened(half: NDArray[Any]) -> NDArray[np.float32]:
    """The same values in float32; torch converts three times as fast as NumPy."""
    import torch

    wide: NDArray[np.float32] = torch.from_numpy(np.ascontiguousarray(half)).float().numpy()
    return wide


def raw(sessions: int, targets: int) -> Linear:
    """The store holds raw values."""
    return Linear(np.ones((sessions, targets)), np.zeros((sessions, targets)))


def check_scale(scale: SessionScale, names: list[str]) -> SessionScale:
    """``scale``, if two trials at least stand behind each session.

    Parameters
    ----------
    names : sessions in words, in order.

    Raises
    ------
    DataError : a session has too few trials on the training side.
    """
    short = np.flatnonzero(scale.trials < 2)
    if short.size:
        raise DataError(
            "a session has too few training trials to fit its z-scores on",
            expected="2 or more training trials in every session",
            found=f"{int(scale.trials[short[0]])} in {names[short[0]]}, {short.size} in all",
            fix="choose a split that leaves training images in every session, or set"
            " dataset.normalise=none (session_all also works, and has seen test trials)",
        )
    return scale
