"""A thin chain made up on disk with the real writers: what the report reads, in a second.

Scores follow from the fabricated predictions, so a recount must agree with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.fingerprint import stage_fingerprint
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.stage import Failure, StageContext
from neuroattn.reports.registry import ReportConfig

IMAGES, REPEATS, FOLDS = 60, 3, 3
METHODS = {
    "prepare": "Responses to 60 photographs were read as distributed, without further scaling"
    " (Allen et al. 2022, doi 10.1038/s41593-021-00962-4).",
    "features": "Photographs were passed through EfficientNet-Lite0 trained on ImageNet-1k"
    " (Tan and Le 2019, arXiv 1905.11946); tokens of blocks 4, 7 and 10 were kept.",
    "encode": "Ridge regression was fitted from tokens to each target, with the penalty chosen by"
    " 5-fold cross-validation within training images (Dupr\u00e9 la Tour et al. 2022).",
}


@dataclass
class Foreign:
    """Every string that comes from outside; a test plants what it likes."""

    name: str = "Ventral stream, one subject"
    description: str = "Responses to photographs in the Natural Scenes Dataset form."
    citation: str = "Allen et al. 2022, Nat Neurosci 25:116-126, doi 10.1038/s41593-021-00962-4"
    licence: str = "CC BY 4.0"
    species: str = "human"
    modality: str = "fMRI, 7 T"
    units: str = "% signal change"
    space: str = "fsaverage5"
    subject: str = "subj01"
    target: str = "lh"
    hemisphere: str = "L"
    rois: tuple[str, ...] = ("V1v", "V2v", "hV4", "FFA-1", "EBA", "PPA")
    source: str = ""
    methods: str | None = None
    command: str = "neuroattn encode encoder=ridge"
    host: str = "node-17"
    commit: str = "4f2a9c0d7be1438e9a5b6c7d8e9f0a1b2c3d4e5f"
    parameter: str = "encoder.alpha_max"
    value: str = "1e5"
    payload: str = "extra.json"
    encoder: str = "ridge"
    title: str | None = None
    problem: str = (
        "a session file is missing\n  file: data/nsd/betas_session07.hdf5\n"
        "  fix: neuroattn data verify"
    )
    log: str = "outputs/encode/ridge-1a2b3c4d/log.txt"


@dataclass
class Chain:
    """The fabricated artefacts and the context of a report on them."""

    root: Path
    foreign: Foreign
    parents: dict[str, Artefact] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def context(self, out: Path, **options: Any) -> StageContext:
        """A context whose writer writes into ``out``."""
        out.mkdir(parents=True, exist_ok=True)
        report = ReportConfig(**{"title": self.foreign.title, **options})
        return StageContext(
            config=_Root(report),
            parents=self.parents,
            out=ArtefactWriter(out),
            tracker=None,  # type: ignore[arg-type]
            seed=0,
            fingerprint="0" * 64,
            failures=self.failures,
        )

    def without(self, *stages: str) -> Chain:
        """The chain as it stands when ``stages`` failed."""
        failures = {
            stage: Failure(stage, f"{stage}-00000000", self.foreign.problem, self.foreign.log)
            for stage in stages
        }
        kept = {stage: item for stage, item in self.parents.items() if stage not in stages}
        return replace(self, parents=kept, failures=failures)


@dataclass
class _Root:
    report: ReportConfig


def chain(
    root: Path,
    foreign: Foreign | None = None,
    *,
    targets: int = 24,
    simulated: bool = False,
    seed: int = 0,
    images: int = IMAGES,
) -> Chain:
    """Write ``prepare``, ``features`` and ``encode`` below ``root``."""
    made = Chain(root, foreign or Foreign())
    random = np.random.default_rng(seed)
    made.parents["prepare"] = _prepare(made, targets, images, simulated)
    made.parents["features"] = _finish(made, "features", "efficientnet_lite0")
    made.parents["encode"] = _encode(made, targets, images, random)
    return made


def _writer(made: Chain, stage: str) -> ArtefactWriter:
    folder = made.root / stage / f"{stage}-fabricated"
    folder.mkdir(parents=True)
    return ArtefactWriter(folder)


def _finish(made: Chain, stage: str, label: str) -> Artefact:
    foreign = made.foreign
    writer = ArtefactWriter(made.root / stage / f"{stage}-fabricated")
    writer.folder.mkdir(parents=True, exist_ok=True)
    science = {foreign.parameter: foreign.value}
    fingerprint = stage_fingerprint(stage=stage, version=1, science=science, parents={}, leaves={})
    write_json(writer.folder / "fingerprint.json", fingerprint.payload)
    config = {"encoder": {"name": foreign.encoder}, "backbone": {"name": "efficientnet_lite0"}}
    write_json(writer.folder / "config.yaml", config)  # JSON is YAML
    write_json(writer.folder / "inputs.json", {})
    methods = foreign.methods or METHODS[stage]
    writer.finish(provenance=_provenance(foreign), metrics={}, methods=methods)
    return Artefact(writer.folder.rename(writer.folder.with_name(f"{label}-{fingerprint.short}")))


def _provenance(foreign: Foreign) -> dict[str, Any]:
    return {
        "code": {"commit": foreign.commit, "dirty": True},
        "versions": {"python": "3.11.9", "neuroattn": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.1"},
        "command": foreign.command.split(" "),
        "host": {"name": foreign.host, "system": "Linux", "cpus": 8},
        "slurm": {"SLURM_JOB_ID": "812345"},
        "device": "cpu",
        "threads": 1,
        "seed": 0,
        "started": "2026-03-01T10:00:00+0000",
        "wall_seconds": 84.2,
        "cpu_seconds": 80.0,
        "peak_memory_bytes": 1_288_490_188,
    }


def _prepare(made: Chain, targets: int, images: int, simulated: bool) -> Artefact:
    foreign, writer = made.foreign, _writer(made, "prepare")
    trials = images * REPEATS
    writer.json(
        "dataset.json",
        {
            "name": foreign.name, "species": foreign.species, "modality": foreign.modality,
            "units": foreign.units, "space": foreign.space, "licence": foreign.licence,
            "citation": foreign.citation, "description": foreign.description,
            "simulated": simulated, "n_images": images, "n_trials": trials,
            "n_targets": targets, "n_subjects": 1,
        },
    )  # fmt: skip
    number = np.arange(trials)
    columns = {
        "trial": number,
        "subject": foreign.subject,
        "session": number // images + 1,
        "run": 1,
    }
    writer.table(
        "trials.tsv",
        pd.DataFrame({**columns, "image": number % images, "repeat": number // images}),
    )
    pictures = {
        "image": np.arange(images),
        "file": "x.png",
        "sha256": "0",
        "source": foreign.source,
    }
    writer.table("images.tsv", pd.DataFrame(pictures))
    writer.table("targets.tsv", target_table(foreign, targets))
    writer.json(foreign.payload, {})
    return _finish(made, "prepare", "nsd")


def target_table(foreign: Foreign, targets: int) -> pd.DataFrame:
    """``targets.tsv``: regions in turn, every third target in two, the last in none."""
    rois = [foreign.rois[row % len(foreign.rois)] for row in range(targets)]
    doubled = [f"{roi}|ventral" if row % 3 == 0 else roi for row, roi in enumerate(rois)]
    doubled[-1] = ""
    return pd.DataFrame(
        {
            "target": [f"{foreign.target}-{row:05d}" for row in range(targets)],
            "subject": foreign.subject,
            "hemisphere": [foreign.hemisphere if row % 2 else "R" for row in range(targets)],
            "vertex": np.arange(targets),
            "rois": doubled,
        }
    )


def _encode(made: Chain, targets: int, images: int, random: np.random.Generator) -> Artefact:
    writer = _writer(made, "encode")
    fold = np.arange(images) % FOLDS
    signal = random.normal(size=(images, targets))
    noise = np.linspace(0.6, 4, targets) * random.normal(size=(images, targets))
    measured, predicted = (signal + noise).astype("f4"), (0.8 * signal).astype("f4")
    with writer.hdf5("predictions.h5") as file:
        group = file.create_group("test")
        for name, values in (("measured", measured), ("predicted", predicted)):
            add_dataset(group, name, values)
        add_dataset(group, "image", np.arange(images, dtype="i8"))
        add_dataset(group, "fold", fold.astype("i4"))
    table = target_table(made.foreign, targets)
    writer.table("targets.tsv", table)
    writer.table("scores.tsv", scores(table, measured, predicted, fold))
    sides = [
        (k, image, "test" if fold[image] == k else "train")
        for k in range(FOLDS)
        for image in range(images)
    ]
    writer.table("folds.tsv", pd.DataFrame(sides, columns=["fold", "image", "side"]))
    return _finish(made, "encode", "ridge")


def scores(table: pd.DataFrame, measured: Any, predicted: Any, fold: Any) -> pd.DataFrame:
    """``scores.tsv`` of these predictions, by the definition and column by column."""

    def correlate(rows: Any) -> Any:
        pairs = zip(measured[rows].T, predicted[rows].T, strict=True)
        return np.array([np.corrcoef(x, y)[0, 1] for x, y in pairs])

    within = np.stack([correlate(fold == k) for k in np.unique(fold)])
    residual = ((measured - predicted) ** 2).mean(0)
    return table[["target", "rois", "hemisphere"]].assign(
        r=within.mean(0),
        r_squared=(np.maximum(within, 0) ** 2).mean(0),
        r2=1 - residual / measured.var(0),
        r_pooled=correlate(slice(None)),
        alpha=10.0 ** (np.arange(len(table)) % 5 - 1),
    )
