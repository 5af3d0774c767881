"""What a report may read: finished artefacts by stage, failures, and nothing else."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from neuroattn.core.artefact import Artefact, is_done
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
        return cited(self.parents[stage])  # an ensemble may stand in the place of an encoder

    @cached_property
    def behind(self) -> tuple[Artefact, ...]:
        """What parents were made from and is no parent itself, each before what is made of it.

        A parent that was made with other keys has other features, say, than the rest of the
        page. Artefacts that are no longer beside the others are left out.
        """
        known = {artefact.fingerprint for artefact in self.parents.values()}
        found: list[Artefact] = []

        def visit(artefact: Artefact) -> None:
            for entry in artefact.inputs.values():
                if entry["fingerprint"] not in known:
                    known.add(entry["fingerprint"])
                    for parent in _beside(artefact, entry):
                        visit(parent)
                        found.append(parent)

        for stage in sorted(self.parents):
            visit(self.parents[stage])
        return tuple(found)

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


def cited(artefact: Artefact) -> str:
    """An artefact as it is cited, ``stage/label-fingerprint``."""
    stage, label, short = artefact.stage, artefact.label, artefact.fingerprint[:SHORT]
    return f"{stage}/{label}" if label.endswith(short) else f"{stage}/{label}-{short}"


def _beside(artefact: Artefact, entry: Mapping[str, str]) -> list[Artefact]:
    """The artefact that an entry of ``inputs.json`` names, where it is still there."""
    folders = sorted(artefact.folder.parents[1].glob(f"*/{glob.escape(entry['label'])}"))
    found = [Artefact(folder) for folder in folders if is_done(folder)]
    return [one for one in found if one.fingerprint == entry["fingerprint"]][:1]
