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


class Scaler:
    """Takes stored rows to responses, one at a time, with no table between.

    Half precision is widened and scaled in float32, which adds an error of 2^-23 of what is
    multiplied and added; raw values far from 0 are scaled in float64. A row stays in the
    processor's cache.

    Parameters
    ----------
    linear : how stored values become responses; None leaves them as they are.
    columns : those that are wanted: a slice or numbers.
    width : how many these are.
    half : the store holds half precision.
    """

    def __init__(self, linear: Linear | None, columns: Any, width: int, half: bool) -> None:
        self._linear, self._columns, self._half = linear, columns, half
        self._kind = np.float32 if half else np.float64
        self._row = np.empty(0 if half or linear is None else width)
        self._gain, self._offset, self._session = self._row, self._row, -1

    def put(self, stored: NDArray[Any], session: int, out: NDArray[np.float32]) -> None:
        """Write the responses (columns,) of one stored row of this session to ``out``."""
        values = stored[self._columns]
        if self._half:
            _widen(values, out)
            values = out
        if self._linear is None:
            if not self._half:
                out[:] = values
            return
        self._use(self._linear, session)
        product = out if self._half else self._row
        np.multiply(values, self._gain, out=product)
        np.add(product, self._offset, out=out, casting="same_kind")

    def _use(self, linear: Linear, session: int) -> None:
        if session != self._session:
            self._gain = linear.gain[session][self._columns].astype(self._kind)
            self._offset = linear.offset[session][self._columns].astype(self._kind)
            self._session = session


def _widen(half: NDArray[Any], out: NDArray[np.float32]) -> None:
    """The same values in float32; torch converts ten times as fast as NumPy."""
    import torch

    torch.from_numpy(out).copy_(torch.from_numpy(np.ascontiguousarray(half)))


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
