"""Choices of the dataset group, the split section, and the stage ``prepare``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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


class KeepTogether(Enum):
    """Which images never stand on different sides of a k-fold or random split."""

    content = "content"  # identical pictures
    source = "source"  # identical pictures, and pictures cut from one photograph


class ResponsesMode(Enum):
    """How repeats of an image become one response (see `Prepared.image_responses`)."""

    single = "single"  # the first trial of the image: what one presentation is worth
    mean = "mean"
    weighted = "weighted"  # the mean, and a fit weighs it by its number of repeats


@dataclass(kw_only=True)
class SplitConfig(Section):
    """Training and test side, over images: all repeats and subjects of one on one side."""

    kind: SplitKind = science(
        SplitKind.auto,
        "auto (the dataset's own where it has one, else kfold), dataset, kfold, random or file.",
    )
    folds: int = science(
        5, "Number of folds of a k-fold split.", check=lambda n: n >= 2, must="be 2 or more"
    )
    seed: int = science(0, "Seed of the permutation of k-fold and random splits.")
    test_fraction: float = science(
        0.2,
        "Share of the images on the test side of a random split.",
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
    file: str | None = execution(
        None, "JSON file of a split (kind=file); its content enters the fingerprint as a leaf."
    )


@dataclass(kw_only=True)
class DatasetConfig(Choice):
    """Keys that every dataset has."""

    root: str | None = execution(None, "Folder of the dataset on this machine.")
    subjects: list[str] = science([], "Subjects to keep; empty keeps all.")
    responses: ResponsesMode = science(
        ResponsesMode.mean, "How repeats of an image become one response: single, mean or weighted."
    )
    split: SplitConfig = section(SplitConfig, "Training and test side, over images.")
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


DATASETS = Registry(
    "dataset", {"arrays": Entry(ArraysConfig, "neuroattn.data.arrays:ArraysDataset")}
)

# Apart from the readers, because fingerprints are made before anything heavy is imported.
DATASET_LEAVES = Registry(
    "dataset", {"arrays": Entry(ArraysConfig, "neuroattn.data.arrays_files:leaves")}
)

STAGES = (
    Stage(
        name="prepare",
        version=1,
        about="check a dataset and write its trials, pictures, targets and responses in one form",
        reads=("dataset",),
        ignores=("dataset.split", "dataset.responses"),
        leaves="neuroattn.data.dataset:leaves",
        run="neuroattn.data.stage:run",
        label=lambda config: str(config.dataset.name),
    ),
)
