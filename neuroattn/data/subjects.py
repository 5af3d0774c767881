"""Several subjects of a layout that is read one subject at a time, as one dataset.

Images are the layout's own (their ids are shared); trials and targets follow subject by
subject, in the order in which the subjects were named. See `neuroattn.data.dataset.Dataset`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.dataset import Dataset, Description, ResponseBlock, Splits, Stimuli

Ids = NDArray[np.int64]


class SharedStimuli:
    """Pictures of several subjects by image id; an id must mean one picture for all.

    Parameters
    ----------
    parts : subject -> its pictures and the images that it saw.
    """

    def __init__(self, parts: Mapping[str, tuple[Stimuli, Ids]]) -> None:
        self.parts = dict(parts)
        self.ids: Ids = np.unique(np.concatenate([part.ids for part, _ in parts.values()]))
        self._seen = {subject: frozenset(seen.tolist()) for subject, (_, seen) in parts.items()}

    def file(self, image: int) -> str:
        """Where the picture stands, for the first subject that saw it."""
        return self._owners(image)[0][1].file(image)

    def read(self, image: int) -> NDArray[np.uint8]:
        """The picture as (height, width, 3) sRGB."""
        return self._owners(image)[0][1].read(image)

    def digest(self, image: int) -> str:
        """SHA-256 of the picture's bytes.

        Raises
        ------
        DataError : subjects saw different pictures under this id.
        """
        (first, stimuli), *others = self._owners(image)
        digest, file = stimuli.digest(image), stimuli.file(image)
        for subject, other in others:
            # One name inside one folder is one picture, which need not be read twice.
            if other.file(image) != file and other.digest(image) != digest:
                raise DataError(
                    f"image {image} is another picture for {subject} than for {first}",
                    file=Path(other.file(image)),
                    expected=f"the picture of {file}",
                    found="other bytes",
                    fix="prepare these subjects one by one, or copy the pictures again",
                )
        return digest

    def _owners(self, image: int) -> list[tuple[str, Stimuli]]:
        """Subjects that saw the image; for one that nobody saw, those that have a picture."""
        saw = [name for name in self.parts if image in self._seen[name]]
        if not saw:
            saw = [name for name, (part, _) in self.parts.items() if image in part.ids]
        return [(name, self.parts[name][0]) for name in saw or list(self.parts)[:1]]


class SeveralSubjects:
    """Subjects with targets of their own, side by side.

    Parameters
    ----------
    parts : subject -> its dataset alone; ``prepare`` stores each by itself.
    """

    def __init__(self, parts: Mapping[str, Dataset]) -> None:
        self.parts = dict(parts)
        self.trials: pd.DataFrame = _numbered([part.trials for part in parts.values()], "trial")
        self.stimuli: Stimuli = SharedStimuli(
            {
                name: (part.stimuli, part.images["image"].to_numpy(dtype=np.int64))
                for name, part in parts.items()
            }
        )
        self.splits: Splits = merged_splits([part.splits for part in parts.values()])
        self.captions = _by_image([part.captions for part in parts.values()])
        self.categories = _by_image([getattr(part, "categories", {}) for part in parts.values()])

    @property
    def description(self) -> Description:
        """What was recorded, said once where it is the same for all."""
        (first, about), *_ = texts = [(name, part.description) for name, part in self.parts.items()]
        said = {name: text.description for name, text in texts}
        notes = "; ".join(f"{name}: {text}" for name, text in said.items())
        return replace(
            about,
            name=about.name.replace(first, ", ".join(self.parts)),
            description=about.description if len(set(said.values())) == 1 else notes,
            simulated=any(text.simulated for _, text in texts),
        )

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per column of responses, subject by subject."""
        return _numbered([part.targets for part in self.parts.values()], "target")

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image that any subject saw, by ascending id."""
        frame = pd.concat([part.images for part in self.parts.values()], ignore_index=True)
        first = frame.drop_duplicates("image", keep="first")
        return first.sort_values("image", kind="stable").reset_index(drop=True)

    @cached_property
    def supplied_ncsnr(self) -> NDArray[np.float32] | None:
        """Ncsnr (targets,) that came with the data, NaN for subjects without."""
        given = [getattr(part, "supplied_ncsnr", None) for part in self.parts.values()]
        if all(values is None for values in given):
            return None
        unknown = [np.full(len(part.targets), np.nan, np.float32) for part in self.parts.values()]
        pairs = zip(given, unknown, strict=True)
        return np.concatenate([none if values is None else values for values, none in pairs])

    @cached_property
    def localisers(self) -> pd.DataFrame:
        """What other experiments measured of each target, NaN for subjects without."""
        parts = [
            pd.DataFrame(getattr(part, "localisers", None), index=range(len(part.targets)))
            for part in self.parts.values()
        ]
        return pd.concat(parts, ignore_index=True)

    def response_blocks(self) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, targets)), NaN at targets of other subjects.

        ``prepare`` asks the parts instead, whose blocks have no such gaps.
        """
        row = column = 0
        for part in self.parts.values():
            columns = slice(column, column + len(part.targets))
            for rows, values in part.response_blocks():
                wide = np.full((len(values), len(self.targets)), np.nan, dtype=np.float32)
                wide[:, columns] = values
                yield slice(row + rows.start, row + rows.stop), wide
            row, column = row + len(part.trials), columns.stop

    def response_origin(self, row: int) -> tuple[Path, str]:
        """File and place from which a row of responses came."""
        for part in self.parts.values():
            if row < len(part.trials):
                return part.response_origin(row)
            row -= len(part.trials)
        raise IndexError(row)


def merged_splits(parts: list[Splits]) -> Splits:
    """Splits that every subject has, over the images of all.

    An image that is on the test side for one subject is trained on for none: its repeats
    would otherwise stand on both sides.
    """
    names = [name for name in parts[0] if all(name in splits for splits in parts)]
    merged: Splits = {}
    for name in names:
        sides = {side: _union(parts, name, side) for side in ("train", "test")}
        train = sides["train"] - sides["test"]
        merged[name] = {"train": sorted(train), "test": sorted(sides["test"])}
    return merged


def _union(parts: list[Splits], name: str, side: str) -> set[int]:
    return {image for splits in parts for image in splits[name][side]}


def _by_image(parts: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    """What is said of images, of each by the first subject that saw it."""
    found: dict[str, list[str]] = {}
    for part in reversed(parts):
        found |= part
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def _numbered(frames: list[pd.DataFrame], column: str) -> pd.DataFrame:
    """Tables one below the other, with ``column`` counting the rows."""
    frame = pd.concat(frames, ignore_index=True)
    frame[column] = np.arange(len(frame))
    return frame
