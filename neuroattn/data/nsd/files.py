"""Which files of NSD make one subject's dataset, found and named; nothing is read here.

Cost of the leaves: their digests read every byte once, 39 GB for 40 fsaverage sessions and
40 GB for the stimuli (minutes at a disk's rate); the digest cache answers from then on
while size, time and inode of a file stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.files import existing_file, named, of_all_subjects
from neuroattn.data.nsd import layout
from neuroattn.data.registry import NsdConfig, NsdFormat, NsdTrials, SuppliedCeiling

ALL, FILE = "all", "file"
_FETCH = "fetch it (data_manifests/ lists the files of NSD and where they come from)"


@dataclass(frozen=True)
class LabelFiles:
    """One label collection: a file per part of the space.

    ``nearest`` maps fsaverage to the subject's surface, on which ``parts`` then stand;
    ``tmaps`` are the localiser's maps that a threshold is applied to.
    """

    name: str
    parts: tuple[Path, ...]
    nearest: tuple[Path, ...] = ()
    ctab: Path | None = None
    tmaps: tuple[Path, ...] = ()

    def all(self) -> tuple[Path, ...]:
        """Every file of the collection."""
        return (*self.parts, *self.nearest, *self.tmaps, *([self.ctab] if self.ctab else []))


@dataclass(frozen=True)
class NsdFiles:
    """The files of one subject; ``sessions`` maps a session to a file per part of the space."""

    root: Path
    subject: str
    format: str
    sessions: Mapping[int, tuple[Path, ...]]
    design: tuple[Path, ...]
    stimuli: tuple[Path, ...]
    behaviour: Path | None = None
    stim_info: Path | None = None
    captions: Mapping[str, Path] = field(default_factory=dict)
    instances: Mapping[str, Path] = field(default_factory=dict)
    labels: Mapping[str, LabelFiles] = field(default_factory=dict)
    cortex: tuple[Path, ...] = ()
    ncsnr: tuple[Path, ...] = ()
    mask_file: Path | None = None
    simulated: Path | None = None
    truth: Mapping[str, Path] = field(default_factory=dict)
    pairs: Mapping[str, Path] = field(default_factory=dict)
    planted: Mapping[str, Path] = field(default_factory=dict)
    localisers: Mapping[str, LabelFiles] = field(default_factory=dict)

    def all(self) -> dict[str, Path]:
        """Every file by its name relative to the dataset's folder."""
        files = [*self.design, *self.stimuli, *self.captions.values(), *self.instances.values()]
        files += [*self.cortex, *self.ncsnr]
        files += [path for parts in self.sessions.values() for path in parts]
        files += [path for label in self.labels.values() for path in label.all()]
        files += [path for maps in self.localisers.values() for path in maps.all()]
        files += [*self.truth.values(), *self.pairs.values(), *self.planted.values()]
        files += [path for path in (self.behaviour, self.stim_info, self.simulated) if path]
        named = {path.relative_to(self.root).as_posix(): path for path in sorted(set(files))}
        return named | ({"mask": self.mask_file} if self.mask_file else {})


def leaves(config: NsdConfig) -> dict[str, Path]:
    """Every input file by its name relative to the dataset's folder."""
    return of_all_subjects(config, lambda one: find(one).all())


def find(config: NsdConfig) -> NsdFiles:
    """Find the files of the subject of ``config``.

    Raises
    ------
    ConfigError : no root, no such subject, a format that the space does not have.
    MissingDataError : a file is not there, or was not fetched.
    """
    root, subject = _root(config.root), _subject(config)
    kind, sessions = _sessions(config, root, subject)
    return NsdFiles(
        root=root,
        subject=subject,
        format=kind,
        sessions=sessions,
        design=_design(config, root, subject),
        stimuli=_stimuli(config, root, subject),
        behaviour=_core_only(config, layout.responses(root, subject)),
        stim_info=_core_only(config, layout.stim_info(root)),
        captions=_annotations(config, root, "captions"),
        instances=_annotations(config, root, "instances"),
        labels={name: _labels(config, root, subject, name) for name in _collections(config)},
        cortex=_cortex(config, root, subject),
        ncsnr=_ncsnr(config, root, subject),
        mask_file=_mask_file(config),
        simulated=marker if (marker := layout.simulated(root)).is_file() else None,
        truth=_truth(config, root),
        pairs=_pairs(config, root),
        planted=_planted(config, root, subject),
        localisers=_localisers(config, root, subject),
    )


def _root(name: str | None) -> Path:
    if not name:
        raise ConfigError(
            "the folder of NSD is not set",
            expected="dataset.root=DIR, the folder that holds nsddata and nsddata_betas",
            found="dataset.root is empty",
            fix="add dataset.root=DIR to the command",
        )
    root = user_path(name)
    if not (root / "nsddata").is_dir():
        raise MissingDataError(
            "this is not the folder of NSD",
            file=root,
            expected="a folder that holds nsddata, nsddata_betas and nsddata_stimuli",
            found="no nsddata in it" if root.is_dir() else "nothing",
            fix="correct dataset.root=DIR",
        )
    return root


def _subject(config: NsdConfig) -> str:
    subject = config.subjects[0]
    if layout.subject_number(subject) is None:
        raise ConfigError(
            "this is no subject of NSD", expected="subj01, subj02 …", found=subject,
            fix="set dataset.subjects=[subj01]",
        )  # fmt: skip
    return subject


def _sessions(
    config: NsdConfig, root: Path, subject: str
) -> tuple[str, dict[int, tuple[Path, ...]]]:
    space, version = config.space.value, config.betas.value

    def parts(session: int, kind: str) -> tuple[Path, ...]:
        return tuple(
            layout.betas(
                root, subject, space, version, session,
                hemisphere=side, format=kind, trial_set=config.trial_set.value,
            )
            for side in layout.sides(space)
        )  # fmt: skip

    present = {kind: _present(config, parts, kind) for kind in _formats(config)}
    kind = max(present, key=lambda kind: len(present[kind]))
    if not present[kind]:
        raise _no_betas(config, parts(1, kind)[0])
    wanted = config.sessions or _without_gaps(present[kind], parts(1, kind)[0])
    return kind, {
        session: tuple(
            existing_file(path, f"a file of betas of session {session}", fix=_FETCH)
            for path in parts(session, kind)
        )
        for session in sorted(wanted)
    }


def _present(
    config: NsdConfig, parts: Callable[[int, str], tuple[Path, ...]], kind: str
) -> list[int]:
    """Sessions of which the first part is there, fetched or not."""
    first = parts(1, kind)[0]
    if config.trial_set is not NsdTrials.core:
        return [1] if first.exists() or first.is_symlink() else []
    side = first.name.split("betas_")[0]
    listed = first.parent.glob(f"{side}betas_session*{layout.SUFFIXES[kind]}")
    return sorted(number for path in listed if (number := layout.session_of(path)))


def _formats(config: NsdConfig) -> tuple[str, ...]:
    known = layout.FORMATS[config.space.value]
    if config.format is NsdFormat.auto:
        return known
    if config.format.value not in known:
        raise ConfigError(
            f"betas in {config.space.value} do not come as {config.format.value}",
            expected=" or ".join(known),
            found=f"dataset.format={config.format.value}",
            fix="set dataset.format=auto, or correct dataset.space",
        )
    return (config.format.value,)


def _without_gaps(present: list[int], first: Path) -> list[int]:
    """All sessions that are there; a release ends early, but a copy with a hole is refused."""
    absent = sorted(set(range(1, max(present) + 1)) - set(present))
    if absent:
        raise MissingDataError(
            "betas of sessions are missing",
            file=first.parent,
            expected=f"sessions 1 to {max(present)}, {first.name} and so on",
            found=f"no file of session {named(absent)}",
            fix="fetch them, or name the sessions to use: dataset.sessions=[1,2,…]",
        )
    return present


def _no_betas(config: NsdConfig, first: Path) -> MissingDataError:
    return MissingDataError(
        f"there are no betas {config.betas.value} of {config.subjects[0]} in {config.space.value}",
        file=first.parent,
        expected=f"{first.name} and so on",
        found="no such file" if first.parent.is_dir() else "no such folder",
        fix="correct dataset.space, dataset.betas, dataset.subjects, dataset.trial_set or "
        "dataset.format, or fetch the files (data_manifests/ lists them)",
    )


def _design(config: NsdConfig, root: Path, subject: str) -> tuple[Path, ...]:
    kind = config.trial_set.value
    if kind in (layout.IMAGERY, layout.IMAGERY_SEEN):
        return tuple(
            existing_file(
                layout.imagery_behaviour(root, subject, run), f"the trials of {run}", fix=_FETCH
            )
            for run in layout.IMAGERY_RUNS
        )
    path = layout.expdesign(root, kind)
    return (existing_file(path, "the design of the experiment", fix=_FETCH),)


def _stimuli(config: NsdConfig, root: Path, subject: str) -> tuple[Path, ...]:
    if config.trial_set is NsdTrials.core:
        paths: tuple[Path, ...] = (layout.stimuli(root),)
    elif config.trial_set is NsdTrials.synthetic:
        paths = (layout.synthetic_stimuli(root), layout.synthetic_stimuli(root, subject))
    else:
        folders = [folder for folder in layout.imagery_pictures(root) if folder.is_dir()]
        paths = tuple(path for folder in folders for path in sorted(folder.iterdir()))
    return tuple(existing_file(path, "a file of pictures", fix=_FETCH) for path in paths)


def _core_only(config: NsdConfig, path: Path) -> Path | None:
    """An optional file of the main experiment."""
    if config.trial_set is not NsdTrials.core or not (path.exists() or path.is_symlink()):
        return None
    return existing_file(path, "a table of NSD", fix="fetch it, or remove what stands there")


def _truth(config: NsdConfig, root: Path) -> dict[str, Path]:
    """Tables of a simulation that say of which exemplars its pictures are made."""
    if not layout.simulated(root).is_file():
        return {}
    found = {name: _core_only(config, layout.truth(root, name)) for name in layout.TRUTH}
    return {name: path for name, path in found.items() if path}


def _planted(config: NsdConfig, root: Path, subject: str) -> dict[str, Path]:
    """All that a simulation planted in this subject, where its targets are those of fsaverage."""
    if config.space.value != layout.FSAVERAGE or not layout.simulated(root).is_file():
        return {}
    found = {name: _core_only(config, layout.truth(root, name)) for name in layout.PLANTED}
    found |= {
        name: _core_only(config, layout.truth(root, f"{subject}/{name}"))
        for name in layout.PLANTED_SUBJECT
    }
    kept = {name: path for name, path in found.items() if path}
    return kept if len(kept) == len(found) else {}


def _localisers(config: NsdConfig, root: Path, subject: str) -> dict[str, LabelFiles]:
    """Maps of the other experiments by column of ``localisers.tsv``; those that are whole."""
    space = config.space.value
    sides = layout.sides(space)
    found = {
        f"prf_{quantity.lower()}": [
            layout.prf_map(root, subject, space, quantity, side) for side in sides
        ]
        for quantity in layout.PRF_QUANTITIES
    }
    for contrast in layout.FLOC_CONTRASTS.values():
        found[f"t_{contrast}"] = [
            layout.floc_tmap(root, subject, space, contrast, side) for side in sides
        ]
    nearest: tuple[Path, ...] = ()
    if space == layout.FSAVERAGE:
        nearest = tuple(layout.to_fsaverage(root, subject, side) for side in layout.HEMISPHERES)
    return {
        name: LabelFiles(name, tuple(parts), nearest)
        for name, parts in found.items()
        if all(path.exists() for path in (*parts, *nearest))
    }


def _pairs(config: NsdConfig, root: Path) -> dict[str, Path]:
    """NSD-imagery: what the cues of each set stand for, where that is there."""
    if config.trial_set.value not in (layout.IMAGERY, layout.IMAGERY_SEEN):
        return {}
    found = {letter: layout.imagery_pairs(root, letter) for letter in layout.IMAGERY_SETS}
    return {letter: path for letter, path in found.items() if path.is_file()}


def _annotations(config: NsdConfig, root: Path, kind: str) -> dict[str, Path]:
    """COCO's files of ``captions`` or ``instances``, where those of both splits are there."""
    found = {
        split: _core_only(config, layout.coco_annotations(root, split, kind))
        for split in layout.COCO_SPLITS
    }
    # Half of the annotations would look like a property of the images.
    return {split: path for split, path in found.items() if path} if all(found.values()) else {}


def _collections(config: NsdConfig) -> list[str]:
    """Label collections that are read, each once."""
    mask = [] if config.mask in (ALL, FILE) else [config.mask]
    return list(dict.fromkeys([*mask, *config.rois]))


def _labels(config: NsdConfig, root: Path, subject: str, name: str) -> LabelFiles:
    space = config.space.value
    contrast = layout.FLOC_CONTRASTS.get(name) if config.floc_threshold is not None else None
    owners = (layout.label_subject(space, subject), subject, layout.FSAVERAGE)
    ctabs = (layout.ctab(root, owner, name) for owner in owners)
    ctab = next((path for path in ctabs if path.exists()), None)
    if space in layout.VOLUMES:
        maps = (layout.floc_tmap(root, subject, space, contrast),) if contrast else ()
        volumes = (layout.roi_volume(root, subject, space, name),)
        found = LabelFiles(name, volumes, ctab=ctab, tmaps=maps)
    else:
        found = replace(_on_surface(root, subject, space, name, contrast), ctab=ctab)
    fix = f"{_FETCH}, or leave {name} out of dataset.rois and dataset.mask"
    for path in found.all():
        existing_file(path, f"a file of the labels {name}", fix=fix)
    return found


def _on_surface(
    root: Path, subject: str, space: str, name: str, contrast: str | None
) -> LabelFiles:
    """Label files on a surface: on fsaverage its own, or the subject's and how they get there."""

    def of(owner: str, nearest: tuple[Path, ...] = ()) -> LabelFiles:
        sides = layout.HEMISPHERES
        labels = tuple(layout.roi_surface(root, owner, name, side) for side in sides)
        maps = [layout.floc_tmap(root, owner, space, contrast, side) for side in sides if contrast]
        return LabelFiles(name, labels, nearest, tmaps=tuple(maps))

    if space != layout.FSAVERAGE:
        return of(subject)
    nearest = tuple(layout.to_fsaverage(root, subject, side) for side in layout.HEMISPHERES)
    options = [of(layout.FSAVERAGE), of(subject, nearest)]
    if name in layout.DRAWN_PER_SUBJECT:
        options.reverse()
    there = (option for option in options if all(path.exists() for path in option.all()))
    return next(there, of(layout.FSAVERAGE))


def _cortex(config: NsdConfig, root: Path, subject: str) -> tuple[Path, ...]:
    """Label volumes of either hemisphere, which tell the side of a voxel, where there are both."""
    space = config.space.value
    if space not in layout.VOLUMES:
        return ()
    name = "nsdgeneral" if config.mask in (ALL, FILE) else config.mask
    paths = tuple(
        layout.roi_volume(root, subject, space, name, side) for side in layout.HEMISPHERES
    )
    return paths if all(path.exists() for path in paths) else ()


def _ncsnr(config: NsdConfig, root: Path, subject: str) -> tuple[Path, ...]:
    # That of the main experiment says nothing about the pictures of the others.
    if config.ncsnr is SuppliedCeiling.none or config.trial_set is not NsdTrials.core:
        return ()
    space, version = config.space.value, config.betas.value
    return tuple(
        existing_file(
            layout.ncsnr(root, subject, space, version, side),
            "the noise-ceiling SNR that comes with the betas",
            fix=f"{_FETCH}, or set dataset.ncsnr=none",
        )
        for side in layout.sides(space)
    )


def _mask_file(config: NsdConfig) -> Path | None:
    if (config.mask == FILE) != (config.mask_file is not None):
        raise ConfigError(
            "dataset.mask=file and dataset.mask_file go together",
            expected="both, or neither",
            found=f"dataset.mask={config.mask}, dataset.mask_file={config.mask_file}",
            fix="set dataset.mask=file dataset.mask_file=FILE, or neither of them",
        )
    if config.mask_file is None:
        return None
    path = existing_file(
        user_path(config.mask_file), "the mask", fix="correct dataset.mask_file=FILE"
    )
    if not path.name.endswith((".npy", ".nii.gz", ".nii")):
        raise DataError(
            "a mask of this kind is not read", file=path, expected=".npy or .nii.gz",
            found=path.suffix or "no suffix", fix="write it with numpy.save or as NIfTI",
        )  # fmt: skip
    return path
