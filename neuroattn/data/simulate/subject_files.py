"""Everything that NSD holds about one subject: betas, ncsnr, labels, t-maps, transforms.

Betas are made a session at a time, written in every space, added to the sums over repeats
and dropped, so memory does not grow with the number of sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.progress import Progress
from neuroattn.core.seeding import generator
from neuroattn.data.nsd import layout
from neuroattn.data.simulate import atlas, rules
from neuroattn.data.simulate.behaviour import behaviour
from neuroattn.data.simulate.cortex import Cortex
from neuroattn.data.simulate.image_files import (
    to_int16,
    write_ctab,
    write_hdf5_betas,
    write_mgh_betas,
    write_mgz,
    write_nifti,
)
from neuroattn.data.simulate.noise import VERSION, Noise, Repeats, session_betas
from neuroattn.data.simulate.plan import TRIALS, Plan
from neuroattn.data.simulate.rois import label_names
from neuroattn.data.simulate.sizes import Size
from neuroattn.data.simulate.spaces import (
    GRIDS,
    NativeSurface,
    Volume,
    plan_native,
    plan_volume,
)

Ids = NDArray[np.int64]
Betas = NDArray[np.float32]
_EXTRA_SPREAD: Final = 1.7  # % signal change, of the vertices that only a native surface has


@dataclass(frozen=True, eq=False)
class Subject:
    """All that is planted for one subject, and the spaces it is written in.

    Parameters
    ----------
    number : from 1.
    group : the cortex of subject 1, on which the group atlases are drawn.
    native : left and right; empty where the size has fsaverage alone, as ``volumes`` is.
    images : 73k ids that the subject sees, ascending: the rows of ``signal``.
    signal : (images, planted) noiseless responses.
    """

    number: int
    cortex: Cortex
    group: Cortex
    weights: rules.Weights
    noise: Noise
    native: tuple[NativeSurface, ...]
    volumes: dict[str, Volume]
    images: Ids
    signal: NDArray[np.float32]

    @property
    def name(self) -> str:
        """``subj01`` and so on."""
        return layout.subject_name(self.number)

    def labels(self, collection: str) -> NDArray[np.int32]:
        """Labels of all targets (targets,)."""
        owner = self.group if collection in atlas.GROUP else self.cortex
        return atlas.labels(owner, collection)

    def side(self, values: NDArray[Any], number: int) -> NDArray[Any]:
        """The part of one hemisphere of values over targets (last axis)."""
        per = self.cortex.per_hemisphere
        return values[..., number * per : (number + 1) * per]


def plan_spaces(
    size: Size, cortex: Cortex, seed: int, subject: int
) -> tuple[tuple[NativeSurface, ...], dict[str, Volume]]:
    """Native surfaces, on which NSD draws its labels, and the volumes of a size that has them."""
    native = tuple(plan_native(size.vertices, seed, subject, side) for side in range(2))
    volumes = {space: plan_volume(space, cortex, seed, subject) for space in GRIDS}
    return native, volumes if size.all_formats else {}


@dataclass(frozen=True, eq=False)
class SubjectFiles:
    """Writes every file of one subject below ``root``."""

    root: Path
    subject: Subject
    plan: Plan
    size: Size
    seed: int

    def write(self, bar: Progress) -> Repeats:
        """Write them; returns the sums over repeats. ``bar`` counts sessions."""
        path = layout.responses(self.root, self.subject.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = behaviour(self.plan, self.subject.number, self.seed)
        table.to_csv(path, sep="\t", index=False, na_rep="NaN", lineterminator="\n")
        for collection in atlas.COLLECTIONS:
            self._write_labels(collection)
        for collection, contrast in layout.FLOC_CONTRASTS.items():
            self._write_t_map(collection, contrast)
        for number, side in enumerate(layout.HEMISPHERES):
            nearest = self.subject.native[number].to_fsaverage + layout.FIRST_ID
            write_mgz(layout.to_fsaverage(self.root, self.subject.name, side), nearest)
        repeats = self._write_sessions(bar)
        self._write_ncsnr(repeats.ncsnr())
        return repeats

    def _write_sessions(self, bar: Progress) -> Repeats:
        subject, number = self.subject, self.subject.number
        shown = self.plan.shown(number)
        rows = np.searchsorted(subject.images, shown)
        total = np.bincount(rows)[rows]
        repeats = Repeats(subject.images, len(subject.cortex.roi))
        for session in range(1, self.plan.sessions[number - 1] + 1):
            part = slice((session - 1) * TRIALS, session * TRIALS)
            signal = subject.signal[rows[part]]
            betas = session_betas(
                subject.noise, subject.cortex, signal, session, seed=self.seed, subject=number
            )
            self.write_session(betas, session)
            repeats.add(shown[part], betas, total[part])
            bar.advance()
        return repeats

    def write_session(self, betas: Betas, session: int) -> None:
        """Write one session's betas (trials, targets), % signal change, in every space."""
        for number, side in enumerate(layout.HEMISPHERES):
            own = self.subject.side(betas, number)
            write_mgh_betas(self._betas("fsaverage", session, side), own)
            if self.size.all_formats:
                native = self.subject.native[number].carry(own, 0.0)
                extra = self.subject.native[number].source < 0
                stream = (self.seed, "native noise", self.subject.number, session, side)
                noise = generator(*stream).standard_normal((len(betas), int(extra.sum())))
                native[:, extra] = _EXTRA_SPREAD * noise
                write_hdf5_betas(self._betas("nativesurface", session, side), to_int16(native))
        for space, volume in self.subject.volumes.items():
            self._write_volume(space, volume, betas, session)

    def _write_volume(self, space: str, volume: Volume, betas: Betas, session: int) -> None:
        values = to_int16(betas[:, volume.targets])
        places, shape = volume.voxels[:, ::-1], volume.shape[::-1]
        write_hdf5_betas(self._betas(space, session, kind="hdf5"), values, shape, places)
        dense = np.zeros((len(values), *shape), dtype=np.int16)
        dense[:, places[:, 0], places[:, 1], places[:, 2]] = values
        write_nifti(self._betas(space, session, kind="nifti"), dense, volume.affine)

    def _betas(
        self, space: str, session: int, side: str | None = None, kind: str | None = None
    ) -> Path:
        return layout.betas(
            self.root, self.subject.name, space, VERSION, session, hemisphere=side, format=kind
        )

    def _write_ncsnr(self, ncsnr: Betas) -> None:
        name = self.subject.name
        for number, side in enumerate(layout.HEMISPHERES):
            own = self.subject.side(ncsnr, number)
            write_mgz(layout.ncsnr(self.root, name, "fsaverage", VERSION, side), own)
            if self.size.all_formats:
                native = self.subject.native[number].carry(own, 0.0)
                write_mgz(layout.ncsnr(self.root, name, "nativesurface", VERSION, side), native)
        for space, volume in self.subject.volumes.items():
            path = layout.ncsnr(self.root, name, space, VERSION)
            write_nifti(path, volume.fill(ncsnr, np.nan), volume.affine)

    def _write_labels(self, collection: str) -> None:
        """Label files on the native surface and in volumes; group atlases on fsaverage too."""
        name, values = self.subject.name, self.subject.labels(collection)
        is_group = collection in atlas.GROUP
        for owner in (name, layout.FSAVERAGE) if is_group else (name,):
            write_ctab(layout.ctab(self.root, owner, collection), label_names(collection))
        for number, side in enumerate(layout.HEMISPHERES):
            own = self.subject.side(values, number)
            native = self.subject.native[number].carry(own, 0)
            write_mgz(layout.roi_surface(self.root, name, collection, side), native)
            if is_group:
                write_mgz(layout.roi_surface(self.root, layout.FSAVERAGE, collection, side), own)
        for space in self.subject.volumes:
            self._write_label_volumes(space, collection, values.astype(np.int16))

    def _write_label_volumes(self, space: str, collection: str, values: NDArray[np.int16]) -> None:
        """The volume of both hemispheres, and one of either, with -1 outside its cortex."""
        volume, per = self.subject.volumes[space], self.subject.cortex.per_hemisphere
        hemisphere = np.arange(2 * per) // per
        sides: dict[str | None, NDArray[np.int16]] = {None: values}
        for number, side in enumerate(layout.HEMISPHERES):
            sides[side] = np.where(hemisphere == number, values, np.int16(layout.OUTSIDE))
        for part, own in sides.items():
            path = layout.roi_volume(self.root, self.subject.name, space, collection, part)
            write_nifti(path, volume.fill(own, layout.OUTSIDE), volume.affine)

    def _write_t_map(self, collection: str, contrast: str) -> None:
        name, number = self.subject.name, self.subject.number
        t = atlas.t_map(self.subject.cortex, collection, self.seed, number).astype(np.float32)
        for place, side in enumerate(layout.HEMISPHERES):
            own = self.subject.native[place].carry(self.subject.side(t, place), 0.0)
            write_mgz(layout.floc_tmap(self.root, name, "nativesurface", contrast, side), own)
        for space, volume in self.subject.volumes.items():
            path = layout.floc_tmap(self.root, name, space, contrast)
            write_nifti(path, volume.fill(t, np.nan), volume.affine)
