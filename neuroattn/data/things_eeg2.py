"""Reader of THINGS-EEG2, and of THINGS-MEG in its form; see `neuroattn.data.dataset.Dataset`.

Ten people saw 1,654 things in ten pictures each, four times, and 200 other things in one picture
each, eighty times (Gifford et al. 2022). A trial is one epoch; a target is one channel at one
time, channel by channel, so that a row of responses is an epoch laid out flat. ``rois`` names the
channel and ``vertex`` is the number of the sample. How many channels, samples and repeats there are
the files say themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import TARGETS, TRIALS
from neuroattn.data.dataset import Description, ResponseBlock, Splits, Stimuli
from neuroattn.data.files import named
from neuroattn.data.mapped_pickle import read_mapped_dictionary
from neuroattn.data.registry import ThingsEeg2Config, ThingsMegConfig
from neuroattn.data.stimuli import PictureFiles
from neuroattn.data.things_eeg2_files import ARCHIVE, KEYS, SIDES, Shown, find, own_pictures

_MIB = 1 << 20
_AGAIN = "fetch this file again, or prepare these subjects one by one"


@dataclass(frozen=True, eq=False)
class Epochs:
    """One file.

    Parameters
    ----------
    values : mapped, (images, repeats, channels, times).
    channels : their names.
    times : of the samples, seconds after the picture came.
    listed : concept and file of each picture, where the file says so itself.
    """

    path: Path
    values: NDArray[Any]
    channels: list[str]
    times: NDArray[np.float64]
    listed: list[tuple[str, str]] | None = None


class ThingsEeg2Dataset:
    """The subjects of a config; they share their targets."""

    def __init__(self, config: ThingsEeg2Config) -> None:
        self.config, self.files = config, find(config)
        self._first = {"training": 0, "test": len(self.files.pictures["training"])}
        pictures: dict[int, Shown] = dict(
            enumerate(one for side in SIDES for one in self.files.pictures[side])
        )
        paths = {image: one.path for image, one in pictures.items()}
        self.stimuli: Stimuli = PictureFiles(paths, self.files.root)
        self._pictures = pictures
        self.epochs = self._open()
        some = self.epochs[0][2]
        self.channels, self._columns = _kept_channels(config, some)
        self._samples = _kept_samples(config, some)
        self.times: NDArray[np.float64] = some.times[self._samples]
        self.captions: dict[str, list[str]] = {}
        self.supplied_ncsnr: NDArray[np.float32] | None = None

    def _open(self) -> list[tuple[str, str, Epochs]]:
        """Subject, side and file of every part, in the order of the trials."""
        kind = "meg" if isinstance(self.config, ThingsMegConfig) else "eeg"
        parts = []
        for subject, sides in self.files.responses.items():
            for side in SIDES:
                if self._is_kept(subject, side):
                    shown = self.files.pictures[side]
                    part = open_epochs(sides[side], KEYS[kind], len(shown))
                    _check_order(part, shown, f"{subject}, {side}")
                    parts.append((subject, side, part))
        for subject, side, part in parts[1:]:
            _check_alike(parts[0][2], part, f"{subject}, {side}")
        return parts

    def _is_kept(self, subject: str, side: str) -> bool:
        left_out = self.config.leave_out
        return left_out is None or (subject == left_out) == (side == "test")

    def _repeats(self, part: Epochs) -> int:
        return 1 if self.config.average else int(part.values.shape[1])

    @property
    def description(self) -> Description:
        """What was recorded."""
        meg = isinstance(self.config, ThingsMegConfig)
        first, last = self.times[0], self.times[-1]
        notes = [f"{len(self.channels)} channels"]
        notes += [f"{len(self.times)} samples from {first:g} to {last:g} s"]
        notes += ["repeats averaged"] if self.config.average else []
        left_out = self.config.leave_out
        notes += [f"tested on {left_out}, trained on all others"] if left_out else []
        simulated = self.files.simulated is not None
        return Description(
            name=f"{'THINGS-MEG' if meg else 'THINGS-EEG2'} {', '.join(self.files.responses)}"
            + (" (simulated)" if simulated else ""),
            species="human",
            modality="MEG" if meg else "EEG",
            units="as in the published preprocessing",
            space="channels x times",
            licence="simulated" if simulated else "see the pages of the repository",
            citation=_MEG_SOURCE if meg else _EEG_SOURCE,
            description="; ".join(notes),
            simulated=simulated,
        )

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per epoch: subject by subject, training first, picture by picture."""
        tables = []
        for subject, side, part in self.epochs:
            images, repeats = len(part.values), self._repeats(part)
            columns = {
                "subject": subject,
                # Repeats of several sessions were mixed before they were published.
                "session": 1,
                "image": np.repeat(self._first[side] + np.arange(images), repeats),
                "repeat": np.tile(np.arange(1, repeats + 1), images),
            }
            tables.append(pd.DataFrame(columns))
        found = pd.concat(tables, ignore_index=True)
        found["trial"], found["run"] = (
            np.arange(len(found)),
            pd.array([pd.NA] * len(found), "Int64"),
        )
        return found[list(TRIALS)]

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per picture shown, training first."""
        shown = np.unique(self.trials["image"].to_numpy(dtype=np.int64))
        files = [self.stimuli.file(int(image)) for image in shown]
        return pd.DataFrame({"image": shown, "file": files, "source": ""})

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per channel and sample, channel by channel."""
        samples, subjects = len(self.times), list(self.files.responses)
        columns = {
            "target": np.arange(len(self.channels) * samples),
            "subject": subjects[0] if len(subjects) == 1 else "",
            "hemisphere": "",
            "vertex": np.tile(self._samples, len(self.channels)),
            "rois": np.repeat(self.channels, samples),
        }
        return pd.DataFrame(columns)[list(TARGETS)].astype({"vertex": "Int64"})

    @cached_property
    def splits(self) -> Splits:
        """The published split: other things in training than in test."""
        ends = np.cumsum([len(self.files.pictures[side]) for side in SIDES])
        return {
            "things_eeg2": {
                "train": list(range(int(ends[0]))),
                "test": list(range(int(ends[0]), int(ends[1]))),
            }
        }

    @cached_property
    def categories(self) -> dict[str, list[str]]:
        """The thing in each picture."""
        return {str(image): [one.thing] for image, one in self._pictures.items()}

    def response_blocks(self) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, targets) float32); each file is read once, in order."""
        done = 0
        for _, _, part in self.epochs:
            one = int(np.prod(part.values.shape[1:])) * part.values.dtype.itemsize
            step = max(1, self.config.block_mib * _MIB // max(one, 1))
            for start in range(0, len(part.values), step):
                values = self._flat(np.asarray(part.values[start : start + step]))
                yield slice(done, done + len(values)), values
                done += len(values)

    def _flat(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """Epochs (images x repeats, channels x times) of (images, repeats, channels, times)."""
        kept = block[:, :, self._columns][..., self._samples]
        if self.config.average:
            kept = kept.mean(axis=1, keepdims=True, dtype=np.float64)
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(
                kept.reshape(-1, len(self._columns) * len(self._samples)), dtype=np.float32
            )

    def response_origin(self, row: int) -> tuple[Path, str]:
        """The file, and the picture and repeat in it."""
        for _, _, part in self.epochs:
            rows = len(part.values) * self._repeats(part)
            if row < rows:
                image, repeat = divmod(row, self._repeats(part))
                return part.path, f"picture {image}, repeat {repeat}"
            row -= rows
        raise IndexError(row)


_EEG_SOURCE = "Gifford et al. 2022, NeuroImage 264:119754"
_MEG_SOURCE = "Hebart et al. 2023, eLife 12:e82580"


def open_epochs(path: Path, key: str, images: int) -> Epochs:
    """One file, its array mapped.

    Parameters
    ----------
    key : of the array.
    images : pictures that it must hold.

    Raises
    ------
    SecurityError, DataError : it holds code, or is of another form.
    """
    table = _table(path, key)
    absent = [name for name in (key, "ch_names", "times") if name not in table]
    if absent:
        raise DataError(
            f"the dictionary lacks {named(absent)}", file=path, expected=f"{key}, ch_names, times",
            found=named(table), fix="fetch this file again, preprocessed as published",
        )  # fmt: skip
    values, channels = table[key], [str(name) for name in table["ch_names"]]
    times = np.asarray(table["times"], dtype=np.float64).reshape(-1)
    shape: tuple[int, ...] = tuple(getattr(values, "shape", ()))
    if len(shape) == 5:  # pictures by concept
        values = values.reshape(-1, *shape[2:])
    if len(shape) not in (4, 5) or values.dtype.kind != "f" or values.shape[0] != images:
        raise DataError(
            "the epochs have another form", file=path,
            expected=f"({images} pictures, repeats, channels, times), floating-point",
            found=f"{shape}, {getattr(values, 'dtype', type(values).__name__)}",
            fix="take this file and the pictures from one release",
        )  # fmt: skip
    # A published script cuts the time before the picture off the epochs and not off the times.
    if len(channels) != values.shape[2] or len(times) < values.shape[3]:
        raise DataError(
            "the epochs have another number of channels or samples than are named", file=path,
            expected=f"{len(channels)} channels, {len(times)} times", found=str(shape),
            fix="fetch this file again",
        )  # fmt: skip
    listed = own_pictures(table, path) if path.suffix == ARCHIVE else None
    return Epochs(path, values, channels, times[len(times) - values.shape[3] :], listed)


def _table(path: Path, key: str) -> Mapping[str, Any]:
    """What a file holds, under the names of the first release.

    The blur prior's authors say ``eeg`` of MEG as well, and leave out what channels and times of
    MEG are: channels are numbered then, and samples run from 0 to 1 s, as their script cuts them.
    """
    table: Mapping[str, Any] = read_mapped_dictionary(path)
    shape: tuple[int, ...] = getattr(table.get("eeg"), "shape", ())
    if path.suffix != ARCHIVE or len(shape) != 4:
        return table
    named_so = {
        "ch_names": [f"channel{number:03d}" for number in range(1, shape[2] + 1)],
        "times": np.linspace(0.0, 1.0, shape[3]),
    }
    return {**named_so, **table, key: table["eeg"]}


def _check_order(part: Epochs, shown: list[Shown], name: str) -> None:
    """Refuse a subject whose pictures stand in another order than those of the first.

    Raises
    ------
    DataError : names the first picture that differs.
    """
    wanted = [(one.concept, one.path.name) for one in shown]
    if part.listed is None or part.listed == wanted:
        return
    alike = [mine == first for mine, first in zip(part.listed, wanted, strict=False)]
    odd = alike.index(False) if False in alike else len(alike)
    at = slice(odd, odd + 1)
    raise DataError(
        f"the pictures of {name} are others than those of the first subject, or in another order",
        file=part.path, expected=f"{len(wanted)} pictures; at {odd}: {wanted[at]}",
        found=f"{len(part.listed)}; {part.listed[at]}", fix=_AGAIN,
    )  # fmt: skip


def _check_alike(first: Epochs, other: Epochs, name: str) -> None:
    """Refuse parts whose targets differ.

    Raises
    ------
    DataError : names what differs.
    """
    if first.channels != other.channels:
        differ = sorted(set(first.channels) ^ set(other.channels))
        raise DataError(
            f"the channels of {name} are others than those of {first.path.parent.name}",
            file=other.path, expected=f"{len(first.channels)} channels: {named(first.channels)}",
            found=f"{len(other.channels)}; {named(differ) or 'another order'}", fix=_AGAIN,
        )  # fmt: skip
    if first.times.shape != other.times.shape or not np.allclose(first.times, other.times):
        raise DataError(
            f"the samples of {name} are at other times than those of {first.path.parent.name}",
            file=other.path, expected=f"{len(first.times)} from {first.times[0]:g} s",
            found=f"{len(other.times)} from {other.times[0]:g} s", fix=_AGAIN,
        )  # fmt: skip


def _kept_channels(config: ThingsEeg2Config, part: Epochs) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the channels kept, in the order of the file, and their places in it."""
    unknown = [name for name in config.channels if name not in part.channels]
    if unknown:
        raise ConfigError(
            "there are no such channels", file=part.path, expected=f"some of {part.channels}",
            found=named(unknown), fix="correct dataset.channels=[…]",
        )  # fmt: skip
    wanted = config.channels or part.channels
    places = np.array([n for n, name in enumerate(part.channels) if name in wanted], dtype=np.int64)
    return [part.channels[place] for place in places], places


def _kept_samples(config: ThingsEeg2Config, part: Epochs) -> NDArray[np.int64]:
    if not config.window:
        return np.arange(len(part.times))
    first, last = config.window
    # Half a microsecond: times come out of divisions.
    kept = np.flatnonzero((part.times >= first - 5e-7) & (part.times <= last + 5e-7))
    if not kept.size:
        raise ConfigError(
            "no sample lies in the window", file=part.path,
            expected=f"times between {part.times[0]:g} and {part.times[-1]:g} s",
            found=f"dataset.window={config.window}", fix="correct dataset.window=[first,last]",
        )  # fmt: skip
    return kept
