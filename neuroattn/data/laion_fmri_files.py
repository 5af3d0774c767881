"""Which files make a subject of LAION-fMRI, or of data in its form; nothing is read here.

The dataset's documentation is a draft; this follows it as of its first release (2026)::

    derivatives/glmsingle-tedana/sub-01/ses-01/func/
        sub-01_ses-01_task-images_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz
        sub-01_ses-01_task-images_desc-SingletrialBetas_trials.tsv   session run beta_index label
    derivatives/glmsingle-tedana/sub-01/
        sub-01_task-images_space-T1w_desc-meanR2gt15mask_mask.nii.gz, else …_desc-R2mean_…
        sub-01_task-images_space-T1w_desc-Noiseceiling4rep_statmap.nii.gz        (optional)
    derivatives/rois/sub-01/…/*_label-NAME_mask.nii.gz, or derivatives/atlases/sub-01/rois/NAME…
    stimuli/task-images_stimuli.h5, task-images_metadata.csv, task-images_desc-captions.csv
    splits/sub-01/tau.json, splits/shared/tau.json …                             (optional)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.files import existing_file, named, of_all_subjects
from neuroattn.data.registry import LaionFmriConfig

SHARED = "shared"
_FETCH = "fetch it (data_manifests/ lists the files of LAION-fMRI and where they come from)"
_LABEL = re.compile(r"(?:^|_)label-([A-Za-z0-9-]+)")


@dataclass(frozen=True)
class LaionFmriFiles:
    """The files of one subject; ``sessions`` maps a session to its betas and its trials."""

    root: Path
    subject: str
    sessions: Mapping[int, tuple[Path, Path]]
    stimuli: Path
    metadata: Path
    brain: Path | None
    ceiling: Path | None
    captions: Path | None
    rois: Mapping[str, Path]
    splits: Mapping[str, Path]

    def all(self) -> dict[str, Path]:
        """Every file by its name relative to the dataset's folder."""
        files = [path for pair in self.sessions.values() for path in pair]
        files += [self.stimuli, self.metadata, *self.rois.values(), *self.splits.values()]
        files += [path for path in (self.brain, self.ceiling, self.captions) if path]
        return {path.relative_to(self.root).as_posix(): path for path in sorted(set(files))}


def leaves(config: LaionFmriConfig) -> dict[str, Path]:
    """Every input file by its name relative to the dataset's folder."""
    return of_all_subjects(config, lambda one: find(one).all())


def find(config: LaionFmriConfig) -> LaionFmriFiles:
    """Find the files of the subject of ``config``.

    Raises
    ------
    ConfigError : the root is not set, or a region that is not there.
    MissingDataError : a file is not there, or was not fetched.
    """
    root, subject, folder = _folder(config)
    prefix = folder / f"{subject}_task-images_space-T1w"
    masks = [
        prefix.with_name(f"{prefix.name}_{end}.nii.gz")
        for end in ("desc-meanR2gt15mask_mask", "stat-rsquare_desc-R2mean_statmap")
    ]
    present = _regions(root, subject)
    stimuli = root / "stimuli"
    return LaionFmriFiles(
        root=root,
        subject=subject,
        sessions=_sessions(config, folder, subject),
        stimuli=existing_file(stimuli / "task-images_stimuli.h5", "the pictures", fix=_FETCH),
        metadata=existing_file(
            stimuli / "task-images_metadata.csv", "the table of pictures", fix=_FETCH
        ),
        brain=_brain(masks) if config.mask == "brain" else None,
        ceiling=_optional(prefix.with_name(f"{prefix.name}_desc-Noiseceiling4rep_statmap.nii.gz")),
        captions=_optional(stimuli / "task-images_desc-captions.csv"),
        rois=_chosen(config, present),
        splits=_splits(root, subject),
    )


def _folder(config: LaionFmriConfig) -> tuple[Path, str, Path]:
    if not config.root:
        raise ConfigError(
            "the folder of the dataset is not set", expected="dataset.root=DIR",
            found="dataset.root is empty", fix="add dataset.root=DIR to the command",
        )  # fmt: skip
    root, subject = user_path(config.root), config.subjects[0]
    folder = root / "derivatives" / "glmsingle-tedana" / subject
    if not folder.is_dir():
        raise MissingDataError(
            f"there are no betas of {subject}", file=folder, expected="folders ses-01, ses-02 …",
            found="nothing", fix="correct dataset.root=DIR or dataset.subjects=[sub-01]",
        )  # fmt: skip
    return root, subject, folder


def _sessions(config: LaionFmriConfig, folder: Path, subject: str) -> dict[int, tuple[Path, Path]]:
    there = sorted(path.name for path in folder.glob("ses-*") if path.name[4:].isdigit())
    numbers = {int(name[4:]): name for name in there}
    wanted = sorted(config.sessions or numbers)
    absent = [session for session in wanted if session not in numbers]
    if absent or not wanted:
        raise MissingDataError(
            "sessions are missing", file=folder, expected=f"sessions {named(wanted) or 'ses-01 …'}",
            found=f"no session {named(absent)}" if absent else "no session",
            fix="fetch them, or correct dataset.sessions=[…]",
        )  # fmt: skip
    found = {}
    for session in wanted:
        name = numbers[session]
        stem = f"{subject}_{name}_task-images"
        betas = f"{stem}_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz"
        trials = f"{stem}_desc-SingletrialBetas_trials.tsv"
        found[session] = (
            existing_file(folder / name / "func" / betas, f"the betas of {name}", fix=_FETCH),
            existing_file(folder / name / "func" / trials, f"the trials of {name}", fix=_FETCH),
        )
    return found


def _brain(masks: list[Path]) -> Path:
    present = next((path for path in masks if path.exists()), masks[0])
    return existing_file(present, "the mask of the brain", fix=f"{_FETCH}, or set dataset.mask=all")


def _regions(root: Path, subject: str) -> dict[str, Path]:
    """Region name -> mask, from either place in which they were distributed."""
    found: dict[str, Path] = {}
    for folder in (root / "derivatives/rois" / subject, root / "derivatives/atlases" / subject):
        for path in sorted(folder.rglob("*.nii.gz")) if folder.is_dir() else []:
            label = _LABEL.search(path.name)
            name = label[1] if label else path.name.removesuffix(".nii.gz")
            hemisphere = re.search(r"(?:^|_)hemi-([LR])", path.name)
            if hemisphere:
                continue  # both sides together are there as well
            if name in found and found[name].parent != path.parent:
                name = f"{path.parent.name}:{name}"
            found[name] = path
    return found


def _chosen(config: LaionFmriConfig, present: dict[str, Path]) -> dict[str, Path]:
    wanted = list(config.rois or present)
    if config.mask not in ("brain", "all") and config.mask not in wanted:
        wanted.append(config.mask)
    absent = [name for name in wanted if name not in present]
    if absent:
        raise ConfigError(
            f"there is no region {named(absent)}", expected=named(sorted(present)) or "no regions",
            found=named(absent), fix="correct dataset.rois=[…] or dataset.mask",
        )  # fmt: skip
    return {name: present[name] for name in wanted}


def _splits(root: Path, subject: str) -> dict[str, Path]:
    """Splits of the subject's images by name, and those of the shared images as ``shared/…``."""
    own = {path.stem: path for path in sorted((root / "splits" / subject).glob("*.json"))}
    shared = {
        f"{SHARED}/{path.stem}": path for path in sorted((root / "splits" / SHARED).glob("*.json"))
    }
    return own | shared


def _optional(path: Path) -> Path | None:
    if not (path.exists() or path.is_symlink()):
        return None
    return existing_file(path, "an optional file", fix="fetch it, or remove what stands there")


def refuse_duplicates(items: list[str], path: Path, what: str) -> None:
    """Refuse a list in which a name stands twice.

    Raises
    ------
    DataError : the first such name.
    """
    seen: set[str] = set()
    for item in items:
        if item in seen:
            raise DataError(
                f"{what} twice", file=path, expected="each once", found=item,
                fix="fetch the file again",
            )  # fmt: skip
        seen.add(item)
