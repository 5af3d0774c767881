"""Reader of LAION-fMRI, or of data in its form; see `neuroattn.data.dataset.Dataset`.

Pictures are JPEG bytes in one HDF5 file, in the order of the table of pictures: a picture's
row, from 0, is its image id. Betas are float32, one NIfTI of all trials per session.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError, LeakError
from neuroattn.core.tables import ROI_SEPARATOR, TARGETS, TRIALS
from neuroattn.data.array_files import KeptArray, open_hdf5_array
from neuroattn.data.dataset import Description, ResponseBlock, Splits, Stimuli
from neuroattn.data.files import named, read_json_input
from neuroattn.data.grid import Grid, grid_of
from neuroattn.data.laion_fmri_files import LaionFmriFiles, find, refuse_duplicates
from neuroattn.data.nsd.betas import Part, open_betas, session_blocks
from neuroattn.data.nsd.maps import read_map
from neuroattn.data.pictures import decode
from neuroattn.data.registry import LaionFmriConfig, NanPolicy
from neuroattn.data.tables import read_input_table

FORMAT = "nifti-float"
_MIB = 1 << 20
_R2_OF_BRAIN = 15.0  # percent, as in the mask that comes with the data
_CEILING_REPEATS = 4
Ids = NDArray[np.int64]


class EncodedPictures:
    """Pictures as encoded bytes in one HDF5 array; the digest is that of the bytes."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self.path, self.names = path, names
        with open_hdf5_array(path, "images") as array:
            count, kind = array.shape, h5py.check_vlen_dtype(array.dtype)
        if count != (len(names),) or kind != np.uint8:
            raise DataError(
                "the pictures and their table do not fit", file=path,
                expected=f"{len(names)} byte strings, one for each line of the table",
                found=f"{count} of {kind or 'another type'}", fix="fetch both files again",
            )  # fmt: skip
        self._array = KeptArray(path, "images")
        self.ids: Ids = np.arange(len(names), dtype=np.int64)

    def file(self, image: int) -> str:
        """Place in the array, and the picture's name."""
        return f"images[{image}] {self.names[image]}"

    def read(self, image: int) -> NDArray[np.uint8]:
        """Decode the picture: (height, width, 3)."""
        return decode(self._bytes(image), name=f"{self.path}[{image}]")

    def digest(self, image: int) -> str:
        """SHA-256 of the encoded bytes."""
        return hashlib.sha256(self._bytes(image)).hexdigest()

    def read_with_digest(self, image: int) -> tuple[NDArray[np.uint8], str]:
        """The picture and the digest of the very bytes that it was decoded from."""
        content = self._bytes(image)
        picture = decode(content, name=f"{self.path}[{image}]")
        return picture, hashlib.sha256(content).hexdigest()

    def _bytes(self, image: int) -> bytes:
        if not 0 <= image < len(self.names):
            raise DataError(
                f"there is no picture of image {image}", file=self.path,
                expected=f"0 to {len(self.names) - 1}", found=str(image),
                fix="ask for an image that the table of images lists",
            )  # fmt: skip
        return self._array.read(image).tobytes()


class LaionFmriDataset:
    """One subject, in the space of its anatomical image."""

    one_subject: ClassVar[bool] = True  # several are put together by `open_dataset`

    def __init__(self, config: LaionFmriConfig) -> None:
        self.config, self.files = config, find(config)
        names = _picture_names(self.files.metadata)
        self._image_of = {name: image for image, name in enumerate(names)}
        self.stimuli: Stimuli = EncodedPictures(self.files.stimuli, names)
        self._shape, counts = _headers(self.files)
        self.trials: pd.DataFrame = _trials(self.files, counts, self._image_of)
        places = self._masked()
        self.lost = 0
        if config.nan_policy is NanPolicy.drop_targets:
            lost = self._lost(places)
            self.lost, places = int(lost.sum()), places[~lost]
        self.places: Ids = places

    @property
    def description(self) -> Description:
        """What was recorded."""
        words = {
            NanPolicy.refuse: "voxels without data refused",
            NanPolicy.drop_targets: f"{self.lost} voxels without data in a session left out",
            NanPolicy.zero: "responses without data set to zero",
        }
        return Description(
            name=f"LAION-fMRI {self.files.subject}",
            species="human",
            modality="fMRI, 7 T",
            units="GLMsingle betas (TYPED)",
            space="T1w",
            licence="data CC0 1.0; pictures under a data use agreement, no redistribution",
            citation="Roth, Hebart and colleagues 2026, LAION-fMRI (dataset, paper in preparation)",
            description=f"{len(self.files.sessions)} sessions; mask {self.config.mask}; "
            f"{words[self.config.nan_policy]}",
        )

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image shown, by ascending id."""
        shown = np.unique(self.trials["image"].to_numpy(dtype=np.int64))
        files = [self.stimuli.file(int(image)) for image in shown]
        return pd.DataFrame({"image": shown, "file": files, "source": ""})

    @cached_property
    def grid(self) -> Grid | None:
        """Shape and affine of the volumes of betas."""
        return grid_of([betas for betas, _ in self.files.sessions.values()], self._shape)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per voxel that is kept; ``vertex`` is its place in the file, from 0."""
        rois: list[list[str]] = [[] for _ in self.places]
        for name, path in self.files.rois.items():
            for row in np.flatnonzero(read_map(path, self._shape)[self.places] > 0):
                rois[row].append(name)
        columns = {
            "target": np.arange(len(self.places)),
            "subject": self.files.subject,
            "hemisphere": "",
            "vertex": self.places,
            "rois": [ROI_SEPARATOR.join(members) for members in rois],
        }
        return pd.DataFrame(columns)[list(TARGETS)].astype({"vertex": "Int64"})

    @cached_property
    def supplied_ncsnr(self) -> NDArray[np.float32] | None:
        """Ncsnr (targets,) from the ceiling of images with four repeats; it has seen test data.

        The files hold ``NC = 100 s^2 / (s^2 + 1/4)`` in percent (documentation, "Noise
        Ceilings"), which is solved for ``s``; a ceiling of 100 has none.
        """
        if self.files.ceiling is None:
            return None
        share = read_map(self.files.ceiling, self._shape)[self.places].astype(np.float64) / 100
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sqrt(share / (1 - share) / _CEILING_REPEATS)
        return np.where(np.isfinite(ratio), ratio, np.nan).astype(np.float32)

    @cached_property
    def splits(self) -> Splits:
        """The named splits that come with the data, over images that were shown."""
        shown = set(self.trials["image"].tolist())
        found = {
            name: _split(path, self._image_of, shown) for name, path in self.files.splits.items()
        }
        return {name: sides for name, sides in found.items() if all(sides.values())}

    @property
    def categories(self) -> dict[str, list[str]]:
        """None are known."""
        return {}

    @cached_property
    def captions(self) -> dict[str, list[str]]:
        """Captions of the images shown, in their order in the file."""
        if self.files.captions is None:
            return {}
        table = _csv(self.files.captions, ("image_name", "caption"))
        shown = set(self.trials["image"].tolist())
        found: dict[str, list[str]] = defaultdict(list)
        for name, text in zip(table["image_name"], table["caption"], strict=True):
            if self._image_of.get(name) in shown and text.strip():
                found[str(self._image_of[name])].append(text.strip())
        return {image: found[image] for image in sorted(found, key=int)}

    def response_blocks(self) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, voxels) float32), session by session.

        Raises
        ------
        DataError : a value is NaN, and ``nan_policy`` is not ``zero``.
        """
        done = 0
        for betas, _ in self.files.sessions.values():
            part = Part(betas, self.places)
            for rows, values in session_blocks([part], FORMAT, self.config.block_mib * _MIB):
                missing = np.isnan(values)
                if missing.any():
                    if self.config.nan_policy is not NanPolicy.zero:
                        raise _no_data(betas, rows.start, missing)
                    values[missing] = 0
                yield slice(done, done + len(values)), values
                done += len(values)

    def response_origin(self, row: int) -> tuple[Path, str]:
        """The file of betas, and the volume in it."""
        session = int(self.trials["session"].iloc[row])
        first = int(np.flatnonzero(self.trials["session"].to_numpy() == session)[0])
        return self.files.sessions[session][0], f"volume {row - first}"

    def _masked(self) -> Ids:
        mask = self.config.mask
        if mask == "all":
            return np.arange(int(np.prod(self._shape)), dtype=np.int64)
        path = self.files.brain or self.files.rois[mask]
        least = _R2_OF_BRAIN if "R2mean" in path.name else 0.0
        places = np.flatnonzero(read_map(path, self._shape) > least)
        if not places.size:
            raise DataError(
                f"the mask {mask} keeps nothing", file=path, expected="one voxel at least",
                found="none", fix="correct dataset.mask",
            )  # fmt: skip
        return places

    def _lost(self, places: Ids) -> NDArray[np.bool_]:
        """Voxels (targets,) that are NaN in the first or last trial of a session."""
        lost = np.zeros(len(places), dtype=np.bool_)
        for betas, _ in self.files.sessions.values():
            with open_betas(betas, FORMAT) as file:
                for trial in sorted({0, file.trials - 1}):
                    lost |= np.isnan(file.read(trial, trial + 1, places)[0])
        return lost


def _headers(files: LaionFmriFiles) -> tuple[tuple[int, ...], dict[int, int]]:
    """Shape of the volumes, and the number of betas of each session."""
    shapes, counts = {}, {}
    for session, (betas, _) in files.sessions.items():
        with open_betas(betas, FORMAT) as file:
            shapes[session], counts[session] = file.shape, file.trials
    if len(set(shapes.values())) != 1:
        raise DataError(
            "sessions have volumes of different shape", file=files.root, expected="one shape",
            found=named(shapes.items()), fix="fetch the sessions of this subject again",
        )  # fmt: skip
    return next(iter(shapes.values())), counts


def _trials(
    files: LaionFmriFiles, counts: dict[int, int], image_of: dict[str, int]
) -> pd.DataFrame:
    tables = []
    for session, (betas, path) in files.sessions.items():
        table = read_input_table(
            path, integers=("beta_index",), text=("label",), optional_text=("run",)
        )
        if table["beta_index"].tolist() != list(range(counts[session])):
            raise DataError(
                "the trials and the betas of a session do not fit", file=path,
                expected=f"beta_index 0 to {counts[session] - 1} in order, as {betas.name} holds",
                found=f"{len(table)} trials", fix="fetch both files of this session again",
            )  # fmt: skip
        unknown = sorted(set(table["label"]) - set(image_of))
        if unknown:
            raise DataError(
                "trials of images that the table of pictures does not know", file=path,
                expected="names of its column image_name", found=named(unknown),
                fix="fetch task-images_metadata.csv and the pictures of this release",
            )  # fmt: skip
        runs = [int(found[0]) if (found := re.findall(r"[0-9]+", text)) else pd.NA
                for text in table["run"]]  # fmt: skip
        table["session"], table["run"] = session, pd.array(runs, dtype="Int64")
        table["image"] = table["label"].map(image_of)
        tables.append(table)
    trials = pd.concat(tables, ignore_index=True)
    trials["trial"], trials["subject"] = np.arange(len(trials)), files.subject
    trials["repeat"] = trials.groupby("image").cumcount() + 1
    return trials[list(TRIALS)].astype({"image": np.int64})


def _picture_names(path: Path) -> list[str]:
    names: list[str] = _csv(path, ("image_name",))["image_name"].tolist()
    refuse_duplicates(names, path, "a picture is listed")
    return names


def _csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pd.read_csv(
            path, usecols=list(columns), dtype=str, keep_default_na=False
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(
            "the table cannot be read", file=path, expected="columns " + ", ".join(columns),
            found=error, fix="fetch the file again",
        ) from error  # fmt: skip
    return table


def _split(path: Path, image_of: dict[str, int], shown: set[int]) -> dict[str, list[int]]:
    """One named split over images; the form has a list of variants, of which there is one."""
    content = read_json_input(path)
    try:
        (variant,) = content["variants"]
        sides: dict[str, list[Any]] = {
            "train": list(variant["train_ids"]),
            "test": list(variant["test_ids"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "the split has another form", file=path,
            expected='{"variants": [{"train_ids": […], "test_ids": […]}]}', found=error,
            fix="fetch the file again",
        ) from error  # fmt: skip
    both = sorted(set(sides["train"]) & set(sides["test"]))
    if both:
        raise LeakError(
            "images stand on both sides of the split", file=path,
            expected="each image in train or in test", found=named(both),
            fix="remove them from one of the sides",
        )  # fmt: skip
    ids = {side: [image_of[name] for name in sides[side] if name in image_of] for side in sides}
    return {side: sorted(set(images) & shown) for side, images in ids.items()}


def _no_data(path: Path, start: int, missing: NDArray[np.bool_]) -> DataError:
    row, target = (int(place) for place in np.argwhere(missing)[0])
    return DataError(
        "voxels have no data in this session", file=path, expected="numbers",
        found=f"NaN at volume {start + row}, target {target} "
        f"({int(missing.any(axis=0).sum())} voxels)",
        fix="set dataset.nan_policy=drop_targets (leaves them out everywhere) or zero",
    )  # fmt: skip
