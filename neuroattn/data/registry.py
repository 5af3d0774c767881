"""Choices of the dataset group, the split section, and the stage ``prepare``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from neuroattn.core.config import Choice, Section, execution, science, section
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.stage import Stage


class SplitKind(Enum):
    """Where the sides of a split come from."""

    auto = "auto"  # the dataset's own split where it has one, else kfold
    dataset = "dataset"
    kfold = "kfold"
    random = "random"
    file = "file"
    shared1000 = "shared1000"  # images that every subject was to see
    shared515 = "shared515"  # those of them that every subject saw three times
    algonauts2023 = "algonauts2023"  # images of the last three sessions, as in the challenge
    last_sessions = "last_sessions"  # images that were seen in the last sessions only
    semantic_clusters = "semantic_clusters"  # whole clusters of captions (or categories) held out
    exemplars = "exemplars"  # whole photographs or drawn exemplars held out


class KeepTogether(Enum):
    """Which images never stand on different sides of a k-fold or random split."""

    content = "content"  # identical pictures
    source = "source"  # identical pictures, and pictures cut from one photograph


class ResponsesMode(Enum):
    """How repeats of an image become training rows; a test always uses their mean."""

    single = "single"  # one row per trial (`Prepared.trial_rows`)
    mean = "mean"  # one row per image
    weighted = "weighted"  # the mean, weighed by its number of repeats


class StoreForm(Enum):
    """In which form responses are stored."""

    float32 = "float32"  # as they came
    float16 = "float16"  # z-scores of the session, its mean and scale beside them


class Normalise(Enum):
    """On which scale responses are fitted and tested."""

    none = "none"  # as they came
    session_train = "session_train"  # z-scores per session; mean and scale of training trials
    session_all = "session_all"  # z-scores per session over all its trials, test included


class CeilingMethod(Enum):
    """Where noise ceilings come from."""

    repeats = "repeats"  # variance over repeats of an image
    split_half = "split_half"  # correlation of two halves of the repeats
    supplied = "supplied"  # files that came with the data, which have seen all trials
    none = "none"


@dataclass(kw_only=True)
class CeilingConfig(Section):
    """Noise ceilings: what a perfect model could explain, and which targets that leaves."""

    method: CeilingMethod = science(
        CeilingMethod.repeats,
        "Ceilings of the test images: repeats, split_half, supplied (has seen them all) or none.",
    )
    threshold: float = science(
        0.05,
        "Targets with a lower ceiling on the test images are left out of normalised means.",
        check=lambda value: 0 < value <= 1,
        must="be above 0 and at most 1, as nothing can be divided by a ceiling of 0",
    )
    select: float | None = science(
        None,
        "Least ceiling on the training images of a target that is fitted; empty fits all.",
        check=lambda value: value is None or 0 < value <= 1,
        must="be above 0 and at most 1, or empty",
    )


@dataclass(kw_only=True)
class SplitConfig(Section):
    """Training and test side, over images: all repeats and subjects of one on one side."""

    kind: SplitKind = science(
        SplitKind.auto,
        "auto (the dataset's own where it has one, else kfold), dataset, kfold, random, file,"
        " shared1000, shared515, algonauts2023, last_sessions, semantic_clusters or exemplars.",
    )
    folds: int = science(
        5, "Number of folds of a k-fold split.", check=lambda n: n >= 2, must="be 2 or more"
    )
    seed: int = science(0, "Seed of the permutation of splits that are drawn.")
    test_fraction: float = science(
        0.2,
        "Share of the images on the test side of random, semantic_clusters and exemplars.",
        check=lambda share: 0 < share < 1,
        must="lie between 0 and 1",
    )
    keep_together: KeepTogether = science(
        KeepTogether.content,
        "What stays on one side: content (identical pictures) or source (one photograph).",
    )
    named: str | None = science(
        None, "Which of the dataset's (or the file's) splits; needed where there are several."
    )
    sessions: int = science(
        3,
        "Number of last sessions (of each subject) of a last_sessions split.",
        check=lambda n: n >= 1,
        must="be 1 or more",
    )
    clusters: int = science(
        50,
        "Number of clusters of captions of a semantic_clusters split.",
        check=lambda n: n >= 2,
        must="be 2 or more",
    )
    file: str | None = execution(
        None, "JSON file of a split (kind=file); its content enters the fingerprint as a leaf."
    )


@dataclass(kw_only=True)
class DatasetConfig(Choice):
    """Keys that every dataset has."""

    root: str | None = execution(None, "Folder of the dataset on this machine.")
    subjects: list[str] = science([], "Subjects to keep; empty keeps all.")
    responses: ResponsesMode = science(
        ResponsesMode.mean, "How repeats become training rows: single, mean or weighted."
    )
    store: StoreForm = science(
        StoreForm.float32, "float32 (as they came) or float16 (z-scores of the session, half size)."
    )
    normalise: Normalise = science(
        Normalise.none,
        "Scale of fits and tests: none, session_train (z-scores by training trials) or session_all"
        " (z-scores by all trials, as published; has seen test trials).",
    )
    split: SplitConfig = section(SplitConfig, "Training and test side, over images.")
    ceiling: CeilingConfig = section(CeilingConfig, "Noise ceilings.")
    block_mib: int = execution(
        64,
        "Largest block of responses held in memory while preparing, MiB.",
        check=lambda size: size >= 1,
        must="be 1 or more",
    )


@dataclass(kw_only=True)
class ArraysConfig(DatasetConfig):
    """Your own data as arrays and tables (``arrays`` layout)."""

    name: str = science("arrays", "The choice's name in its registry.")


class NsdSpace(Enum):
    """Where the betas of NSD were sampled."""

    func1pt8mm = "func1pt8mm"
    func1mm = "func1mm"
    fsaverage = "fsaverage"
    nativesurface = "nativesurface"


class NsdBetas(Enum):
    """How the betas of NSD were estimated."""

    b1 = "b1"  # betas_assumehrf: one response shape for all
    b2 = "b2"  # betas_fithrf: a response shape per voxel
    b3 = "b3"  # betas_fithrf_GLMdenoise_RR: and noise regressors and ridge regression


class NsdFormat(Enum):
    """Which of two files with equal betas is read."""

    auto = "auto"  # the first that is there of nifti, hdf5, mgh
    nifti = "nifti"
    hdf5 = "hdf5"
    mgh = "mgh"


class NanPolicy(Enum):
    """What becomes of targets that have no data in some session."""

    refuse = "refuse"
    drop_targets = "drop_targets"
    zero = "zero"


class NsdTrials(Enum):
    """Which experiment of NSD."""

    core = "core"  # the 73,000 scenes
    synthetic = "synthetic"  # one session of noise, gratings, words, altered scenes …
    imagery = "imagery"  # pictures that were imagined, in the session on imagery
    imagery_seen = "imagery_seen"  # the same pictures seen, in that session


class SuppliedCeiling(Enum):
    """Whether noise ceilings that come with the data are passed on."""

    supplied = "supplied"
    none = "none"


def _subjects(first: str) -> Any:
    """The key ``subjects`` of a layout that has files of its own for each subject."""
    return science(
        [first],
        f"The subjects, as in [{first}]; several make one dataset, subject by subject.",
        check=lambda subjects: 0 < len(subjects) == len(set(subjects)),
        must="name one subject or several, each once",
    )


@dataclass(kw_only=True)
class NsdConfig(DatasetConfig):
    """Subjects of the Natural Scenes Dataset, from the files as they are distributed."""

    name: str = science("nsd", "The choice's name in its registry.")
    subjects: list[str] = _subjects("subj01")
    space: NsdSpace = science(
        NsdSpace.fsaverage, "func1pt8mm, func1mm (volumes), fsaverage or nativesurface."
    )
    betas: NsdBetas = science(
        NsdBetas.b3, "b1 (assumehrf), b2 (fithrf) or b3 (fithrf_GLMdenoise_RR)."
    )
    format: NsdFormat = execution(
        NsdFormat.auto, "auto, nifti, hdf5 or mgh: which file is read where there are two."
    )
    sessions: list[int] = science(
        [],
        "Sessions to keep, counted from 1; empty keeps all that are there.",
        check=lambda sessions: len(set(sessions)) == len(sessions) and min(sessions, default=1) > 0,
        must="name each session once, from 1",
    )
    mask: str = science(
        "nsdgeneral",
        "Targets to keep: a label collection (nsdgeneral, prf-visualrois…), all, or file.",
    )
    mask_file: str | None = execution(
        None, "Mask of mask=file (.npy, .nii.gz); its content enters the fingerprint as a leaf."
    )
    rois: list[str] = science(
        ["prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams"],
        "Label collections whose regions are joined to the targets.",
    )
    floc_threshold: float | None = science(
        None, "Least t value of the localiser inside floc-* regions; empty takes them as drawn."
    )
    nan_policy: NanPolicy = science(
        NanPolicy.refuse, "Targets without data in a session: refuse, drop_targets or zero."
    )
    trial_set: NsdTrials = science(
        NsdTrials.core, "core (the 73,000 scenes), synthetic, imagery or imagery_seen."
    )
    imagery_sets: list[str] = science(
        ["A", "B"],
        "Sets of NSD-imagery that are kept: A (bars, crosses), B (scenes). A test of pairings takes"
        " one set at a time: bars and scenes are told apart, or confused, as groups.",
        check=lambda sets: 0 < len(sets) == len(set(sets)) and set(sets) <= {"A", "B"},
        must="be [A], [B] or [A, B]",
    )
    ncsnr: SuppliedCeiling = science(
        SuppliedCeiling.supplied,
        "supplied: pass on the ncsnr of the files, which has seen all trials; or none.",
    )


@dataclass(kw_only=True)
class Algonauts2023Config(DatasetConfig):
    """Subjects of the Algonauts Project 2023 challenge (a masked view of NSD)."""

    name: str = science("algonauts2023", "The choice's name in its registry.")
    subjects: list[str] = _subjects("subj01")


@dataclass(kw_only=True)
class LaionFmriConfig(DatasetConfig):
    """Subjects of a dataset in the form of LAION-fMRI (BIDS derivative, volumes)."""

    name: str = science("laion_fmri", "The choice's name in its registry.")
    subjects: list[str] = _subjects("sub-01")
    sessions: list[int] = science([], "Sessions to keep; empty keeps all that are there.")
    mask: str = science(
        "brain", "Targets to keep: brain (the mask that comes with it), all, or a region's name."
    )
    rois: list[str] = science([], "Region masks joined to the targets; empty joins all.")
    nan_policy: NanPolicy = science(
        NanPolicy.drop_targets, "Voxels without data in a session: refuse, drop_targets or zero."
    )


@dataclass(kw_only=True)
class ThingsEeg2Config(DatasetConfig):
    """Subjects of THINGS-EEG2, preprocessed as published: epochs by picture and repeat.

    A target is one channel at one time. All subjects have the same targets, so several of them
    make one dataset.
    """

    name: str = science("things_eeg2", "The choice's name in its registry.")
    subjects: list[str] = _subjects("sub-01")
    folder: str = execution(
        "", "Folder in the root that holds the folders of subjects; empty finds it."
    )
    channels: list[str] = science(
        [], "Channels to keep, by the names in the files; empty keeps all that are there."
    )
    window: list[float] = science(
        [],
        "First and last time to keep, seconds after the picture; empty keeps all.",
        check=lambda span: len(span) == 0 or (len(span) == 2 and span[0] < span[1]),
        must="be two times, the earlier first, or empty",
    )
    average: bool = science(
        False, "Average repeats while reading: a 4th (test: an 80th) of the rows, and no ceiling."
    )
    leave_out: str | None = science(
        None,
        "Inter-subject protocol: of this one of the subjects only test pictures are kept, and of"
        " all others only training pictures.",
    )


@dataclass(kw_only=True)
class ThingsMegConfig(ThingsEeg2Config):
    """Subjects of THINGS-MEG, made into the same form, as a published script pickles them."""

    name: str = science("things_meg", "The choice's name in its registry.")


# Leaves stand apart from the readers: fingerprints are made before anything heavy is imported.
DATASETS = Registry(
    "dataset",
    {
        "arrays": Entry(
            ArraysConfig,
            "neuroattn.data.arrays:ArraysDataset",
            leaves="neuroattn.data.arrays_files:leaves",
        ),
        "nsd": Entry(
            NsdConfig,
            "neuroattn.data.nsd.reader:NsdDataset",
            leaves="neuroattn.data.nsd.files:leaves",
        ),
        "algonauts2023": Entry(
            Algonauts2023Config,
            "neuroattn.data.algonauts2023:Algonauts2023Dataset",
            leaves="neuroattn.data.algonauts2023_files:leaves",
        ),
        "laion_fmri": Entry(
            LaionFmriConfig,
            "neuroattn.data.laion_fmri:LaionFmriDataset",
            leaves="neuroattn.data.laion_fmri_files:leaves",
        ),
        "things_eeg2": Entry(
            ThingsEeg2Config,
            "neuroattn.data.things_eeg2:ThingsEeg2Dataset",
            leaves="neuroattn.data.things_eeg2_files:leaves",
        ),
        "things_meg": Entry(
            ThingsMegConfig,
            "neuroattn.data.things_eeg2:ThingsEeg2Dataset",
            leaves="neuroattn.data.things_eeg2_files:leaves",
        ),
    },
)

STAGES = (
    Stage(
        name="prepare",
        version=4,
        about="check a dataset and write its trials, pictures, targets and responses in one form",
        reads=("dataset",),
        ignores=("dataset.split", "dataset.responses", "dataset.normalise", "dataset.ceiling"),
        leaves="neuroattn.data.dataset:leaves",
        run="neuroattn.data.stage:run",
        label=lambda config: str(config.dataset.name),
    ),
)
