"""What is wrong with a file of a dataset, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass

from neuroattn.core.errors import NeuroattnError

FETCH = "fetch this file again (`neuroattn data plan` prints the command)"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Parameters
    ----------
    file : path below the dataset's folder.
    problem : one sentence without a full stop.
    expected, found : what should be there and what is.
    remedy : what to do.
    """

    file: str
    problem: str
    expected: str
    found: str
    remedy: str = FETCH

    def __str__(self) -> str:
        """Five lines that end with the remedy."""
        return (
            f"{self.file}\n  problem:  {self.problem}\n  expected: {self.expected}\n"
            f"  found:    {self.found}\n  remedy:   {self.remedy}"
        )


def finding_of(file: str, error: NeuroattnError) -> Finding:
    """The finding that an error of a reader amounts to."""
    return Finding(
        file, error.problem, str(error.expected or "a sound file"), str(error.found or "damage"),
        error.fix or FETCH,
    )  # fmt: skip
