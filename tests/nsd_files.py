"""Small files in the exact form of NSD, whose betas tell their own image.

The beta of a place on a trial is ``(73k id mod 997) / 100 + place / 5000`` (in units of
1/300, so that integers hold it exactly), so a shift by one anywhere fails.
"""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from scipy.io import savemat

from neuroattn.data.nsd import layout

IMAGES = 40  # distinct images in the design of the fabricated experiment
STIMULI = 60  # pictures in imgBrick, fewer than the 73,000 of the real file
VOLUME = (4, 3, 2)
VERTICES = {"fsaverage": 30, "nativesurface": 17}
RUNS = 3


@dataclass
class Nsd:
    """One fabricated copy of NSD: what to write, and the truth for comparison."""

    root: Path
    n_sessions: int = 4
    per_session: int = 15
    subjects: int = 2
    seed: int = 0
    pattern: bool = True
    ordering: np.ndarray = field(init=False)
    images: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        trials = self.n_sessions * self.per_session
        self.ordering = rng.integers(0, IMAGES, trials)
        shared = np.sort(rng.permutation(STIMULI)[:10])
        rest = np.setdiff1d(np.arange(STIMULI), shared)
        self.images = np.stack(
            [
                np.concatenate([shared, rng.permutation(rest)[: IMAGES - 10]])
                for _ in range(self.subjects)
            ]
        )

    @property
    def shared(self) -> np.ndarray:
        return self.images[0, :10]

    def shown(self, subject: str = "subj01") -> np.ndarray:
        """73k ids of all trials, from 0."""
        return self.images[int(subject[4:]) - 1][self.ordering]

    def write_design(self, hdf5: bool = False) -> None:
        """The design, the behaviour of subject 1, stimuli and the stimulus table."""
        path = _new(layout.expdesign(self.root))
        content = {
            "masterordering": self.ordering[None].astype(float) + 1,
            "subjectim": self.images.astype(float) + 1,
            "sharedix": self.shared[None].astype(float) + 1,
            "basiccnt": np.zeros((3, self.n_sessions)),
        }
        if self.pattern:
            content["stimpattern"] = self._pattern().astype(float)
        if hdf5:
            with h5py.File(path, "w") as file:
                for key, value in content.items():
                    file[key] = value.T
        else:
            savemat(path, content)
        with h5py.File(_new(layout.stimuli(self.root)), "w") as file:
            file[layout.STIMULI_KEY] = picture(np.arange(STIMULI))
        self._write_stim_info()

    def run_lengths(self) -> list[int]:
        return [len(part) for part in np.array_split(np.arange(self.per_session), RUNS)]

    def _pattern(self) -> np.ndarray:
        pattern = np.zeros((self.n_sessions, RUNS, self.per_session), dtype=bool)
        for run, length in enumerate(self.run_lengths()):
            pattern[:, run, :length] = True
        return pattern

    def write_behaviour(self, subject: str = "subj01", n_sessions: int | None = None) -> Path:
        path = _new(layout.responses(self.root, subject))
        runs = [run + 1 for run, length in enumerate(self.run_lengths()) for _ in range(length)]
        shown = self.shown(subject)
        with path.open("w", newline="") as handle:
            writer = csv.writer(handle, delimiter="\t")
            writer.writerow(
                ["SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID", "TIME", "ISCORRECT"]
            )
            for trial in range((n_sessions or self.n_sessions) * self.per_session):
                session, place = divmod(trial, self.per_session)
                writer.writerow(
                    [1, session + 1, runs[place], place + 1, shown[trial] + 1,
                     self.ordering[trial] + 1, 1.5, "NaN"]
                )  # fmt: skip
        return path

    def _write_stim_info(self) -> None:
        columns = ["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000"]
        columns += ["shared1000", *[f"subject{s}" for s in range(1, 9)]]
        columns += [f"subject{s}_rep{r}" for s in range(1, 9) for r in range(3)]
        assert len(columns) == 41
        with _new(layout.stim_info(self.root)).open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(columns)
            for image in range(STIMULI):
                head = [image, coco(image), split(image), "(0, 0, 0.125, 0)", 0.1, image]
                tail = [False, False, image in self.shared.tolist()]
                writer.writerow([*head, *tail, *[0] * 32])

    def write_coco(self) -> None:
        for name in layout.COCO_SPLITS:
            mine = [image for image in range(STIMULI) if split(image) == name]
            captions = [
                {"image_id": coco(image), "id": 2 * image + 1 - k, "caption": f" {k} of {image} "}
                for image in mine
                for k in range(2)
            ]
            instances = {
                "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "cake"}],
                "images": [{"id": coco(image), "width": 80, "height": 60} for image in mine],
                "annotations": [
                    {"image_id": coco(image), "category_id": 1 if left else 3, "bbox": box}
                    for image in mine
                    for left, box in ((True, [0, 0, 12, 60]), (False, [20, 10, 30, 30]))
                ],
            }
            path = _new(layout.coco_annotations(self.root, name))
            path.write_text(json.dumps({"annotations": captions, "images": []}))
            _new(layout.coco_annotations(self.root, name, "instances")).write_text(
                json.dumps(instances)
            )

    def session_ids(self, session: int, subject: str = "subj01") -> np.ndarray:
        start = (session - 1) * self.per_session
        return self.shown(subject)[start : start + self.per_session]

    def write_betas(
        self,
        space: str,
        kind: str,
        sessions: range | list[int] | None = None,
        subject: str = "subj01",
        version: str = "b3",
        chunks: bool = True,
    ) -> None:
        """Betas of ``sessions`` in one space and format."""
        for session in sessions or range(1, self.n_sessions + 1):
            for side in layout.sides(space):
                path = _new(
                    layout.betas(
                        self.root, subject, space, version, session, hemisphere=side, format=kind
                    )
                )
                write_betas(path, kind, space, self.session_ids(session, subject), side, chunks)

    def write_maps(self, space: str, subject: str = "subj01", version: str = "b3") -> None:
        """Ncsnr, nsdgeneral, prf-visualrois and floc-faces, with their names and t-maps."""
        for side in layout.sides(space):
            write_map(
                _new(layout.ncsnr(self.root, subject, space, version, side)), ncsnr(space, side)
            )
        for name, labels in LABELS.items():
            owner = layout.label_subject(space, subject)
            if space in layout.VOLUMES:
                values = labels(space, None)
                write_map(_new(layout.roi_volume(self.root, subject, space, name)), values)
                left = np.zeros(VOLUME, dtype=bool)
                left[: VOLUME[0] // 2] = True
                for side in layout.HEMISPHERES:
                    mine = values.reshape(VOLUME, order="F").copy()
                    mine[~left if side == "lh" else left] = -1
                    path = _new(layout.roi_volume(self.root, subject, space, name, side))
                    write_map(path, mine.reshape(-1, order="F"))
            else:
                for side in layout.HEMISPHERES:
                    write_map(
                        _new(layout.roi_surface(self.root, owner, name, side)), labels(space, side)
                    )
        for side in layout.sides(space):
            owner = layout.label_subject(space, subject)
            write_map(
                _new(layout.floc_tmap(self.root, owner, space, "faces", side)),
                np.arange(n_places(space), dtype=np.float32) / 2,
            )
        write_ctabs(self.root, layout.label_subject(space, subject))


def write_ctabs(root: Path, owner: str) -> None:
    for name, lines in CTABS.items():
        _new(layout.ctab(root, owner, name)).write_text(lines)


CTABS = {
    "prf-visualrois": "0 Unknown\n1 V1v\n2 V1d\n3 V2v\n",
    "floc-faces": "0 Unknown\n1 OFA\n2 mid temporal faces\n",
    "Kastner2015": "0 Unknown 0 0 0 0\n1 V1v 255 0 0 0\n2 hV4 0 255 0 0\n",
}


def n_places(space: str) -> int:
    return int(np.prod(VOLUME)) if space in layout.VOLUMES else VERTICES[space]


def _general(space: str, side: str | None) -> np.ndarray:
    """-1 (volumes) at the first places, 0 next, 1 from the sixth; on the right from the ninth."""
    places = np.arange(n_places(space))
    outside = -1 if space in layout.VOLUMES else 0
    return np.where(places < 3, outside, (places >= (8 if side == "rh" else 5)).astype(int))


def _prf(space: str, side: str | None) -> np.ndarray:
    labels = np.where(np.arange(n_places(space)) % 4 == 0, 0, np.arange(n_places(space)) % 4)
    return np.where(_general(space, side) < 0, -1, labels)


def _faces(space: str, side: str | None) -> np.ndarray:
    places = np.arange(n_places(space))
    labels = np.select([places % 5 == 1, places % 5 == 2], [1, 2], 0)
    return np.where(_general(space, side) < 0, -1, labels)


LABELS = {
    "nsdgeneral": _general,
    "prf-visualrois": _prf,
    "floc-faces": _faces,
    "Kastner2015": lambda space, side: np.where(_prf(space, side) == 3, 0, _prf(space, side)),
}


def coco(image: int) -> int:
    return 9000 + 7 * image


def split(image: int) -> str:
    return layout.COCO_SPLITS[image % 2]


def ncsnr(space: str, side: str | None) -> np.ndarray:
    values = np.arange(n_places(space), dtype=np.float32) / 10 + (1 if side == "rh" else 0)
    values[-1] = np.nan
    return values


def units(ids: np.ndarray, places: np.ndarray, side: str | None) -> np.ndarray:
    """Betas (trials, places) in units of 1/300 % signal change."""
    offset = 11 if side == "rh" else 0
    return (ids[:, None] % 997) * 30 + (places[None] + offset) % 25 - 100


def betas(ids: np.ndarray, places: np.ndarray, side: str | None = None) -> np.ndarray:
    """What a reader must return."""
    return (units(ids, places, side).astype(np.float32) / np.float32(300)).astype(np.float32)


def write_betas(
    path: Path, kind: str, space: str, ids: np.ndarray, side: str | None, chunks: bool = True
) -> None:
    values = units(ids, np.arange(n_places(space)), side)
    if kind == "hdf5":
        shape = tuple(reversed(VOLUME)) if space in layout.VOLUMES else (n_places(space),)
        array = values.astype(np.int16).reshape(len(ids), *shape)
        with h5py.File(path, "w") as file:
            voxel = (len(ids), *[1] * len(shape)) if chunks else None
            file.create_dataset(layout.BETAS_KEY, data=array, chunks=voxel)
    elif kind == "nifti":
        array = values.T.astype(np.int16).reshape(*VOLUME, len(ids), order="F")
        nib.save(nib.Nifti1Image(array, np.eye(4), dtype=np.int16), path)
    else:
        array = betas(ids, np.arange(n_places(space)), side).T.reshape(-1, 1, 1, len(ids))
        nib.save(nib.MGHImage(array.astype(np.float32), np.eye(4)), path)


def write_map(path: Path, values: np.ndarray) -> None:
    """One value per place, in the order of the file."""
    if path.name.endswith(".nii.gz"):
        array = values.astype(np.float32).reshape(VOLUME, order="F")
        nib.save(nib.Nifti1Image(array, np.eye(4)), path)
        return
    nib.save(nib.MGHImage(values.astype(np.float32).reshape(-1, 1, 1), np.eye(4)), path)


def picture(ids: np.ndarray, side: int = 8) -> np.ndarray:
    """Pictures (ids, side, side, 3) that tell their id: its two bytes in red and green."""
    pictures = np.zeros((len(ids), side, side, 3), dtype=np.uint8)
    pictures[..., 0] = (ids % 256)[:, None, None]
    pictures[..., 1] = (ids // 256)[:, None, None]
    return pictures


def cut(path: Path, share: float = 0.6) -> None:
    """Leave the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def repack(path: Path) -> bytes:
    """The bytes inside a gzip file."""
    return gzip.decompress(path.read_bytes())


def _new(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
