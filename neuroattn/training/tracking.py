"""Where training metrics go: anything with ``log``, as the tracker of `neuroattn.core`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class Tracker(Protocol):
    """Takes rows of metrics."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record ``metrics`` (dotted keys) at ``step``."""


@runtime_checkable
class RewindableTracker(Protocol):
    """A tracker that can forget the rows that a resumed run will write again."""

    def rewind(self, step: int) -> None:
        """Forget rows after ``step``."""


class Advance(Protocol):
    """Takes progress, as the reporter of `neuroattn.core.progress`."""

    def advance(self, count: int = 1) -> None:
        """Report ``count`` more steps done."""

    def resume(self, count: int) -> None:
        """Report ``count`` steps that an earlier run has done."""


class Silent:
    """Tracks nothing and shows nothing."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Forget ``metrics``."""

    def advance(self, count: int = 1) -> None:
        """Show nothing."""

    def resume(self, count: int) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class Shifted:
    """Several runs in one tracker, one after the other (the folds of a cross-validation).

    Parameters
    ----------
    tracker : the common tracker.
    offset : steps of all runs before this one, so that steps only ever grow.
    prefix : put before every key, as in ``fold-1.``.
    """

    tracker: Tracker
    offset: int = 0
    prefix: str = ""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record ``metrics`` under the run's prefix and steps."""
        at = None if step is None else step + self.offset
        self.tracker.log({f"{self.prefix}{key}": value for key, value in metrics.items()}, step=at)

    def rewind(self, step: int) -> None:
        """Forget this run's rows after ``step``; rows of earlier runs stay."""
        if isinstance(self.tracker, RewindableTracker):
            self.tracker.rewind(step + self.offset)
