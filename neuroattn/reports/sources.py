"""What a report may read: finished artefacts by stage, failures, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from neuroattn.core.artefact import Artefact
from neuroattn.core.fingerprint import SHORT
from neuroattn.core.stage import Failure
from neuroattn.core.tables import FOLDS, IMAGES, SCORES, TARGETS, TRIALS, read_tsv
from neuroattn.figures import Stamp
from neuroattn.reports.registry import ReportConfig


@dataclass(frozen=True)
class Sources:
    """Parents by stage name with their tables read once; a stage may be missing.

    Parameters
    ----------
    parents : finished artefacts by stage name.
    failures : stages that failed, by name.
    options : the report's configuration.
    """

    parents: Mapping[str, Artefact]
    failures: Mapping[str, Failure] = field(default_factory=dict)
    options: ReportConfig = field(default_factory=ReportConfig)

    def has(self, *stages: str) -> bool:
        """Whether all of ``stages`` have a finished artefact."""
        return all(stage in self.parents for stage in stages)

    def name(self, stage: str) -> str:
        """A parent as it is cited, ``stage/label-fingerprint``."""
        artefact = self.parents[stage]
        stage = artefact.stage  # an ensemble is shown in the place of an encoder
        short = artefact.fingerprint[:SHORT]
        label = artefact.label
        return f"{stage}/{label}" if label.endswith(short) else f"{stage}/{label}-{short}"

    def with_ensemble(self) -> Sources:
        """The same with the ensemble of a comparison in the place of an encoder."""
        made = self.parents.get("compare")
        if made is None or not made.has("scores.tsv"):
            return self
        return replace(self, parents={**self.parents, "encode": made})

    def stamp(self, stage: str) -> Stamp:
        """The provenance line of figures drawn from ``stage``."""
        return Stamp(self.name(stage), self.simulated)

    @property
    def simulated(self) -> bool:
        """Whether the dataset says that its responses were simulated."""
        return bool(self.dataset.get("simulated"))

    @cached_property
    def dataset(self) -> Mapping[str, Any]:
        """The dataset's description; empty where ``prepare`` is missing."""
        return dict(self.parents["prepare"].json("dataset.json")) if self.has("prepare") else {}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Trials of ``prepare``."""
        return self._table("prepare", "trials.tsv", TRIALS)

    @cached_property
    def images(self) -> pd.DataFrame:
        """Images of ``prepare``."""
        return self._table("prepare", "images.tsv", IMAGES)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Targets of ``prepare``."""
        return self._table("prepare", "targets.tsv", TARGETS)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores of ``encode``, one row for each target."""
        return self._table("encode", "scores.tsv", SCORES)

    @cached_property
    def image_intervals(self) -> Mapping[str, tuple[float, float]]:
        """Region -> interval of its mean r over test images; empty where nothing was resampled."""
        if not self.has("encode") or not self.parents["encode"].has("rois.tsv"):
            return {}
        table = self._table("encode", "rois.tsv", ("roi", "r_low", "r_high")).dropna(
            subset=["r_low", "r_high"]
        )
        ends = zip(table["r_low"].astype(float), table["r_high"].astype(float), strict=True)
        return dict(zip(table["roi"], ends, strict=True))

    @cached_property
    def folds(self) -> pd.DataFrame:
        """Folds of ``encode``: which image stands on which side."""
        return self._table("encode", "folds.tsv", FOLDS)

    def _table(self, stage: str, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        return read_tsv(self.parents[stage].path(name), columns)
