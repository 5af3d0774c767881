"""The members of a comparison: fitted encoders, read from their artefacts and checked to match.

What is compared must have been tested on the same images, fold by fold, against the same measured
responses; else a paired difference has no meaning. Members of different groups (subjects, other
datasets) are never paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.compare.registry import GROUP
from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import DataError
from neuroattn.core.tables import FOLDS, SCORES, TARGETS, read_tsv

PREDICTIONS = "predictions.h5"

Floats = NDArray[np.float64]
Table = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted encoder under the name that it has in the comparison.

    Parameters
    ----------
    model : name within its group.
    """

    model: str
    artefact: Artefact

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Its ``scores.tsv``, in the order of `targets`."""
        return read_tsv(self.artefact.path("scores.tsv"), SCORES)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Its ``targets.tsv``."""
        return read_tsv(self.artefact.path("targets.tsv"), TARGETS)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """Its ``folds.tsv``."""
        return read_tsv(self.artefact.path("folds.tsv"), FOLDS)

    @property
    def training_images(self) -> float:
        """Training images, averaged over folds."""
        sizes = self.folds.loc[self.folds["side"] == "train"].groupby("fold").size()
        return float(sizes.mean())

    def option(self, path: str) -> Any:
        """A key of the config that it was fitted with; None where it has none."""
        place: Any = self.artefact.config
        for part in path.split("."):
            place = place.get(part) if isinstance(place, Mapping) else None
        return place


def groups(parents: Mapping[str, Artefact]) -> dict[str, list[Member]]:
    """Members by group and in the order of their names; without groups there is one, ``""``."""
    found: dict[str, list[Member]] = {}
    for alias, artefact in sorted(parents.items()):
        model, _, group = alias.partition("/")[2].partition(GROUP)
        found.setdefault(group, []).append(Member(model, artefact))
    return found


@dataclass(frozen=True, eq=False)
class Bench:
    """Members of one group with their prediction files open: the same rows and targets in all.

    Parameters
    ----------
    members : in the order of their names.
    files : open ``predictions.h5`` of each.
    fold, image : (rows,) of each test row.
    """

    members: Sequence[Member]
    files: Sequence[h5py.File]
    fold: NDArray[np.int64]
    image: NDArray[np.int64]

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return [member.model for member in self.members]

    @property
    def targets(self) -> pd.DataFrame:
        """The targets, which are the same in all."""
        return self.members[0].targets

    @property
    def fold_numbers(self) -> list[int]:
        """Numbers of the folds, ascending."""
        return [int(number) for number in np.unique(self.fold)]

    def parts(self, mebibytes: int) -> list[slice]:
        """Blocks of targets whose predictions of all members fit into so much memory."""
        width = 8 * len(self.fold) * (len(self.members) + 2)
        size = max(1, (mebibytes << 20) // width)
        count = len(self.targets)
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def predicted(self, part: slice) -> list[Table]:
        """Predictions (rows, targets) of each member."""
        return [np.asarray(file["test/predicted"][:, part]) for file in self.files]

    def measured(self, part: slice) -> Table:
        """Measured responses (rows, targets).

        Raises
        ------
        DataError : the members were tested against different ones.
        """
        first = np.asarray(self.files[0]["test/measured"][:, part])
        for member, file in zip(self.members[1:], self.files[1:], strict=True):
            other = file["test/measured"][:, part]
            if not np.allclose(first, other, rtol=1e-5, atol=1e-6, equal_nan=True):
                raise self._differs(
                    member,
                    "was tested against other responses",
                    "equal measured responses",
                    f"differences of up to {float(np.nanmax(np.abs(first - other))):.3g}",
                    "compare encoders of one dataset with one dataset.normalise",
                )
        return first

    def selection(self, member: int) -> Floats | None:
        """Accuracy (folds, targets) on images held out from training; None where not kept."""
        file = self.files[member]
        if "selection/r" not in file:
            return None
        return np.asarray(file["selection/r"], dtype=np.float64)

    def check(self) -> None:
        """Check that rows and targets are the same in all.

        Raises
        ------
        DataError : naming the first member that differs, and in what.
        """
        for member, file in zip(self.members, self.files, strict=True):
            names, others = self.targets["target"], member.targets["target"]
            if list(names) != list(others):
                raise self._differs(
                    member, "has other targets", f"{len(names)} targets", _unlike(names, others),
                    "compare encoders of one dataset, or put it into a group: model@group",
                )  # fmt: skip
            image, fold = (np.asarray(file[f"test/{name}"]) for name in ("image", "fold"))
            if not (np.array_equal(image, self.image) and np.array_equal(fold, self.fold)):
                found = f"{len(image)} in {np.unique(fold).size} folds"
                missing = np.setdiff1d(self.image, image).size
                raise self._differs(
                    member,
                    "was tested on other images",
                    f"the same {len(self.image)} test images in {len(self.fold_numbers)} folds",
                    f"{found}, without {missing} of them" if missing else f"{found}, otherwise put",
                    "fit it with the same dataset.split",
                )

    def _differs(
        self, member: Member, problem: str, expected: str, found: str, fix: str
    ) -> DataError:
        return DataError(
            f"the member {member.model} {problem} than {self.members[0].model}",
            file=member.artefact.folder,
            expected=expected,
            found=found,
            fix=fix,
        )


def _unlike(names: pd.Series[Any], others: pd.Series[Any]) -> str:
    if len(names) != len(others):
        return f"{len(others)} targets"
    place = next(row for row, (a, b) in enumerate(zip(names, others, strict=True)) if a != b)
    return f"{others.iloc[place]} in the place of {names.iloc[place]}"


@contextmanager
def bench(members: Sequence[Member]) -> Iterator[Bench]:
    """Open the predictions of members that belong together, and check that they do.

    Raises
    ------
    DataError : they differ in test images, targets or measured responses.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(each.artefact.hdf5(PREDICTIONS)) for each in members]
        image, fold = (np.asarray(files[0][f"test/{name}"], int) for name in ("image", "fold"))
        opened = Bench(members, files, fold, image)
        opened.check()
        yield opened
