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
from neuroattn.data.simulate.noise import VERSION, Noise, Repeats, session_betas, session_noise
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
class Measured:
    """What the betas that were written say of the planted signal.

    Parameters
    ----------
    repeats : sums over the repeats of the best version.
    ncsnr : (targets,) estimated, by version.
    """

    repeats: Repeats
    ncsnr: dict[str, Betas]


@dataclass(frozen=True)
class Where:
    """Which of the subject's files of betas: preparation, session (from 1) and experiment."""

    version: str
    session: int = 1
    trial_set: str = layout.CORE

    @property
    def stream(self) -> tuple[str | int, ...]:
        """Names of the random stream of what only these files hold."""
        extra = () if self.trial_set == layout.CORE else (self.trial_set,)
        return (self.session, *extra, *(() if self.version == VERSION else (self.version,)))


@dataclass(frozen=True, eq=False)
class SubjectFiles:
    """Writes every file of one subject below ``root``."""

    root: Path
    subject: Subject
    plan: Plan
    size: Size
    seed: int

    def write(self, bar: Progress) -> Measured:
        """Write those of the main experiment. ``bar`` counts sessions of every version."""
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
        ncsnr = {}
        for version in self.size.versions:  # the best comes last; sums of one are held at a time
            repeats = self._write_sessions(version, bar)
            ncsnr[version] = repeats.ncsnr()
            self._write_ncsnr(version, ncsnr[version])
        return Measured(repeats, ncsnr)

    def _write_sessions(self, version: str, bar: Progress) -> Repeats:
        subject, number = self.subject, self.subject.number
        shown = self.plan.shown(number)
        rows = np.searchsorted(subject.images, shown)
        total = np.bincount(rows)[rows]
        repeats = Repeats(subject.images, len(subject.cortex.roi))
        for session in range(1, self.plan.sessions[number - 1] + 1):
            part = slice((session - 1) * TRIALS, session * TRIALS)
            betas = session_betas(
                subject.noise, subject.cortex, subject.signal[rows[part]], session,
                seed=self.seed, subject=number, version=version,
            )  # fmt: skip
            self.write_betas(betas, Where(version, session))
            repeats.add(shown[part], betas, total[part])
            bar.advance()
        return repeats

    def write_experiment(self, signal: NDArray[np.float32], trial_set: str) -> None:
        """Write the one session of a further experiment, in the versions that NSD has of it.

        Parameters
        ----------
        signal : (trials, planted) noiseless responses, in the units of the main experiment.
        """
        subject = self.subject
        noise = session_noise(subject.noise, self.seed, subject.number, trial_set)
        for version in self.size.versions:
            if version in layout.EXPERIMENT_VERSIONS:
                betas = session_betas(
                    noise, subject.cortex, signal, 1, seed=self.seed, subject=subject.number,
                    version=version, experiment=trial_set,
                )  # fmt: skip
                self.write_betas(betas, Where(version, trial_set=trial_set))

    def write_betas(self, betas: Betas, where: Where) -> None:
        """Write betas (trials, targets), % signal change, in every space that has them."""
        for number, side in enumerate(layout.HEMISPHERES):
            own = self.subject.side(betas, number)
            write_mgh_betas(self._betas("fsaverage", where, side), own)
            if self.size.all_formats:
                native = self.subject.native[number].carry(own, 0.0)
                extra = self.subject.native[number].source < 0
                random = generator(
                    self.seed, "native noise", self.subject.number, *where.stream, side
                )
                noise = random.standard_normal((len(betas), int(extra.sum())))
                native[:, extra] = _EXTRA_SPREAD * noise
                write_hdf5_betas(self._betas("nativesurface", where, side), to_int16(native))
        for space, volume in self.subject.volumes.items():
            if where.version in layout.VERSIONS_IN[space]:
                self._write_volume(space, volume, betas, where)

    def _write_volume(self, space: str, volume: Volume, betas: Betas, where: Where) -> None:
        values = to_int16(betas[:, volume.targets])
        places, shape = volume.voxels[:, ::-1], volume.shape[::-1]
        write_hdf5_betas(self._betas(space, where, kind="hdf5"), values, shape, places)
        dense = np.zeros((len(values), *shape), dtype=np.int16)
        dense[:, places[:, 0], places[:, 1], places[:, 2]] = values
        path = self._betas(space, where, kind="nifti")
        write_nifti(path, dense, volume.affine, layout.TR_SECONDS[space])

    def _betas(
        self, space: str, where: Where, side: str | None = None, kind: str | None = None
    ) -> Path:
        return layout.betas(
            self.root, self.subject.name, space, where.version, where.session,
            hemisphere=side, format=kind, trial_set=where.trial_set,
        )  # fmt: skip

    def _write_ncsnr(self, version: str, ncsnr: Betas) -> None:
        name = self.subject.name
        for number, side in enumerate(layout.HEMISPHERES):
            own = self.subject.side(ncsnr, number)
            write_mgz(layout.ncsnr(self.root, name, "fsaverage", version, side), own)
            if self.size.all_formats:
                native = self.subject.native[number].carry(own, 0.0)
                write_mgz(layout.ncsnr(self.root, name, "nativesurface", version, side), native)
        for space, volume in self.subject.volumes.items():
            if version in layout.VERSIONS_IN[space]:
                path = layout.ncsnr(self.root, name, space, version)
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
