"""What a decoder reads of a trial: chosen targets, standardised and projected.

Everything here is fitted on training rows alone and is linear, so whatever a decoder weighs can
be folded back to the targets exactly (`SubjectInput.fold`). Responses stream past in blocks; the
projected table of the training rows is mapped from a file, so memory does not grow with trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.resources import user_path
from neuroattn.core.seeding import generator
from neuroattn.decoding.decoder_schemas import InputConfig, Reduce, Source
from neuroattn.decoding.projections import Parcels, Principal, Projection, parcel_means, principal
from neuroattn.encoding.parcels import atlas_names, parcel_names, response_points

BLOCK = 64 << 20  # bytes of a table that are held at a time
Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SubjectInput:
    """From responses of one subject's chosen targets to what its decoder is given.

    Parameters
    ----------
    columns : (targets,) that are read, among those of the subject.
    trs : blocks of equally many columns, one a TR.
    mean, sd : (targets,) of the training rows; sd is 1 for a constant target.
    projection : of one TR's targets; None keeps them.
    gain : what projected values are multiplied by, so that they vary by about 1.
    """

    columns: NDArray[np.int64]
    trs: int
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]
    projection: Projection | None = None
    gain: float = 1.0

    @property
    def targets(self) -> int:
        """Targets of one TR."""
        return len(self.columns) // self.trs

    @property
    def width(self) -> int:
        """Numbers of one TR after projection."""
        return self.targets if self.projection is None else self.projection.width

    def standardised(self, responses: Rows) -> Rows:
        """Responses (rows, targets) in units of their training deviation; 0 is the mean."""
        return np.asarray((responses - self.mean) / self.sd, dtype=np.float32)

    def projected(self, standardised: Rows) -> Rows:
        """(rows, trs x width) from standardised responses (rows, targets)."""
        if self.projection is None:
            return standardised
        frames = standardised.reshape(-1, self.targets)
        return (self.projection.apply(frames) * np.float32(self.gain)).reshape(
            len(standardised), -1
        )

    def apply(self, responses: Rows) -> Rows:
        """(rows, trs x width) from responses (rows, targets) as they were measured."""
        return self.projected(self.standardised(responses))

    def fold(self, weights: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Weights (trs x width, outputs) as weights of the standardised targets (targets, outputs).

        Exact: ``projected(z) @ weights == z @ fold(weights)``.
        """
        if self.projection is None:
            return np.asarray(weights, dtype=np.float32)
        parts = np.split(np.asarray(weights, dtype=np.float32), self.trs)
        return np.concatenate([self.projection.fold(part * self.gain) for part in parts])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything by name, for a sidecar."""
        found: dict[str, NDArray[Any]] = {
            "columns": self.columns,
            "mean": self.mean,
            "sd": self.sd,
            "gain": np.array([self.gain]),
            "trs": np.array([self.trs]),
        }
        return found | ({} if self.projection is None else self.projection.arrays())

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> SubjectInput:
        """What `arrays` gave, back."""
        known: dict[str, type[Parcels] | type[Principal]] = {"parcel": Parcels, "basis": Principal}
        kind = next((kind for name, kind in known.items() if name in arrays), None)
        return cls(
            arrays["columns"], int(arrays["trs"][0]), arrays["mean"], arrays["sd"],
            None if kind is None else kind.from_arrays(arrays), float(arrays["gain"][0]),
        )  # fmt: skip


def chosen_columns(config: InputConfig, targets: pd.DataFrame) -> NDArray[np.int64]:
    """Targets that are read: those of the regions and networks asked for.

    Parameters
    ----------
    targets : of one subject; ``target`` says where each stands in an atlas file.

    Raises
    ------
    ConfigError : a region or network that there is not, or nothing is left.
    """
    members = [set(str(names).split("|")) - {""} for names in targets["rois"].fillna("")]
    known = set().union(*members) if members else set()
    _check_names("region", config.rois + config.without, known, "decoder.input.rois")
    keep = np.array([not (own & set(config.without)) for own in members], dtype=bool)
    if config.rois:
        keep &= np.array([bool(own & set(config.rois)) for own in members], dtype=bool)
    if config.networks:
        names = network_names(config, targets)
        _check_names("network", config.networks, set(names) - {""}, "decoder.input.networks")
        keep &= np.isin(names, config.networks)
    if not keep.any():
        raise ConfigError(
            "no target is left to decode from",
            expected="regions and networks with a target in common",
            found=f"rois={config.rois}, without={config.without}, networks={config.networks}",
            fix="ask for more of them",
        )
    return np.flatnonzero(keep).astype(np.int64)


def network_names(config: InputConfig, targets: pd.DataFrame) -> NDArray[Any]:
    """Name of each target's network or parcel in the atlas file; empty for none.

    Raises
    ------
    ConfigError : no atlas was given.
    """
    if config.atlas is None:
        raise ConfigError(
            "there is no atlas to take networks from",
            expected="decoder.input.atlas=FILE, a .tsv (target, parcel) or a .npy (targets,)",
            found="none; no atlas comes with neuroattn",
            fix="write one for your targets (docs/decoding.md), or choose decoder.input.rois",
        )
    return np.asarray(atlas_names(user_path(config.atlas), targets), dtype=object)


def fit_input(
    config: InputConfig,
    targets: pd.DataFrame,
    columns: NDArray[np.int64],
    table: Rows,
    seed: int,
) -> SubjectInput:
    """Standardise and project by the training rows of one subject.

    Parameters
    ----------
    columns : the targets read, among ``targets``.
    table : (rows, columns) training responses; read in blocks.

    Raises
    ------
    ConfigError : the series does not divide into TRs, or has too few targets or rows.
    DataError : a response is not finite.
    """
    trs = config.trs if config.source is Source.series else 1
    _check_frames(len(columns), trs)
    mean, sd = column_statistics(table)
    plain = SubjectInput(columns, trs, mean, sd)
    if config.projection is Reduce.none:
        return plain

    def frames() -> Iterator[Rows]:
        for part in blocks(table):
            yield plain.standardised(table[part]).reshape(-1, plain.targets)

    one_tr = targets.iloc[columns[: plain.targets]].reset_index(drop=True)
    projection = _project(config, one_tr, frames, len(table) * trs, seed)
    squares = sum(float(np.square(projection.apply(z), dtype=np.float64).sum()) for z in frames())
    rms = (squares / (len(table) * trs * projection.width)) ** 0.5
    return SubjectInput(columns, trs, mean, sd, projection, 1 / rms if rms > 0 else 1.0)


def _project(
    config: InputConfig,
    targets: pd.DataFrame,
    frames: Callable[[], Iterator[Rows]],
    rows: int,
    seed: int,
) -> Projection:
    if config.projection is Reduce.pca:
        return principal(frames, len(targets), rows, config.components, seed)
    return parcel_means(parcels_of(config, targets, frames, seed))


def parcels_of(
    config: InputConfig,
    targets: pd.DataFrame,
    frames: Callable[[], Iterator[Rows]],
    seed: int,
) -> NDArray[Any]:
    """Name of each target's parcel: of the atlas, or of a cluster of alike training responses."""
    if config.atlas is not None:
        return network_names(config, targets)
    random = generator(seed, "parcels")
    first = next(frames())  # one block says enough of who is alike
    sides = targets["hemisphere"].fillna("").astype(str).tolist()
    names = parcel_names(response_points(first, random), sides, config.parcels, 1, random)
    return np.array([f"{side}-{name}" for side, name in zip(sides, names, strict=True)], object)


def write_table(path: Path, fitted: SubjectInput, table: Rows) -> Rows:
    """Project training rows into a file and map it: (rows, trs x width)."""
    shape = (len(table), fitted.trs * fitted.width)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for part in blocks(table):
        out[part] = fitted.apply(table[part])
    out.flush()
    return out


def blocks(table: Rows) -> Iterator[slice]:
    """Rows of a table in turn, `BLOCK` bytes at a time."""
    step = max(1, BLOCK // max(1, 4 * table.shape[1]))
    return (slice(start, start + step) for start in range(0, len(table), step))


def column_statistics(table: Rows) -> tuple[Rows, Rows]:
    """Mean and deviation (columns,) of all rows; the deviation is 1 where nothing varies.

    Raises
    ------
    DataError : a response is NaN or infinite.
    """
    mean, squares = np.zeros((2, table.shape[1]))
    for part in blocks(table):
        mean += table[part].sum(0, dtype=np.float64) / len(table)
    for part in blocks(table):
        squares += np.square(table[part] - mean).sum(0) / len(table)
    sd = np.sqrt(squares)
    if not np.isfinite(sd).all():
        raise DataError(
            "the training responses are not all finite",
            expected="a number for every trial and target",
            found=f"{int((~np.isfinite(sd)).sum())} targets with NaN or infinity",
            fix="leave these targets out when the dataset is prepared",
        )
    alive = sd > 1e-6 * np.maximum(np.abs(mean), _least(sd))
    return mean.astype(np.float32), np.where(alive, sd, 1.0).astype(np.float32)


def _least(sd: NDArray[np.float64]) -> float:
    return 1e-6 * float(sd.max(initial=0.0))


def _check_frames(columns: int, trs: int) -> None:
    if columns % trs:
        raise ConfigError(
            "the series does not divide into TRs",
            expected=f"blocks of equally many columns for {trs} TRs",
            found=f"{columns} columns",
            fix="set decoder.input.trs to the number of TRs of a trial, first TR first",
        )


def _check_names(kind: str, wanted: list[str], known: set[str], key: str) -> None:
    absent = [name for name in wanted if name not in known]
    if absent:
        raise ConfigError(
            f"there is no {kind} {', '.join(absent)}",
            expected=", ".join(sorted(known)) or f"none: the targets are in no {kind}",
            found=", ".join(absent),
            fix=f"choose {key} among them",
        )
