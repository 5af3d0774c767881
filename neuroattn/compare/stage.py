"""The stage ``compare``: encoders side by side on the same test images, and their ensemble.

The ensemble is written as any fitted encoder is (``predictions.h5``, ``scores.tsv``,
``targets.tsv``, ``folds.tsv``), so whatever reads those can show it. Beside it stand the tables
of the comparison; with several groups (subjects, other datasets) each has a folder with all that,
and the tables over subjects stand on top.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.compare import tables
from neuroattn.compare.ensemble import combine, ensemble_weights
from neuroattn.compare.members import Bench, Member, bench, groups
from neuroattn.compare.registry import ENSEMBLE, CompareConfig, Weights
from neuroattn.compare.resample import Pair, Plan, Resampled, Resampler
from neuroattn.compare.subjects import Unit, group_tables, units
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.seeding import derive_seed
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.core.tables import FOLDS
from neuroattn.encoding.evaluate import FoldResult, metrics, score_table, write_predictions
from neuroattn.encoding.registry import ScoringConfig
from neuroattn.encoding.scoring import FEWEST, resampled

log = logging.getLogger("neuroattn.compare")


def run(context: StageContext) -> StageResult:
    """Compare the members of every group, then subjects.

    Raises
    ------
    DataError : members of one group were not tested on the same images and responses.
    ConfigError : the ensemble cannot be weighed as asked for.
    """
    options = context.section("compare", CompareConfig)
    scoring = context.section("scoring", ScoringConfig)
    found = groups(context.parents)
    figures: dict[str, float] = {}
    known: list[Unit] = []
    for name, members in found.items():
        job = _Job(context, options, scoring, members, f"{name}/" if name else "", name)
        made, own = job.compare()
        known += made
        figures |= {f"{name.lower()}.{key}" if name else key: own[key] for key in own}
    if len(known) > 1:
        for file, table in group_tables(known).items():
            context.out.table(file, table)
    figures["members"] = float(sum(map(len, found.values())))
    return StageResult(figures, _methods(options, scoring, found, len(known)))


@dataclass(frozen=True)
class _Job:
    context: StageContext
    options: CompareConfig
    scoring: ScoringConfig
    members: list[Member]
    prefix: str
    group: str

    def compare(self) -> tuple[list[Unit], dict[str, float]]:
        """Write the files of this group; its subjects, and its metrics."""
        folder = self.context.out.work  # gone when the artefact is done
        with bench(self.members) as opened:
            options = self.options
            kinds = options.weights, options.temperature, options.apart
            weights = ensemble_weights(opened, *kinds)
            plan = self._plan(opened)
            drawn, measured, predicted = self._pass(opened, weights, plan, folder)
            results = self._results(opened, predicted, measured)
            scores = {member.model: member.scores for member in self.members}
            scores[ENSEMBLE] = self._write_ensemble(opened, results, weights)
        targets = opened.targets
        per_target = tables.by_target(targets, scores, weights, self.options.apart)
        self._write(plan, scores, drawn, targets, per_target)
        figures = metrics(scores[ENSEMBLE]) | {
            f"member.{name.lower()}.r": tables.mean(table, "r") for name, table in scores.items()
        }
        return units(self.group, plan, scores, drawn, targets), figures

    def _plan(self, opened: Bench) -> Plan:
        enough = int(np.unique(opened.fold, return_counts=True)[1].min()) >= FEWEST
        targets = opened.targets
        return Plan(
            models=[*opened.names, ENSEMBLE],
            pairs=chosen_pairs(opened.names, self.options.reference),
            partitions=[
                (joint, parts[0], parts[1])
                for joint, parts in sorted(self.options.partitions.items())
                if {joint, *parts} <= set(opened.names)
            ],
            regions={**tables.regions_of(targets), **subject_regions(targets)},
            bootstraps=self.scoring.bootstraps if enough else 0,
            permutations=self.scoring.permutations if enough else 0,
            seed=derive_seed(self.context.seed, "compare", self.group),
        )

    def _pass(
        self, opened: Bench, weights: NDArray[np.float64], plan: Plan, folder: Path
    ) -> tuple[Resampled, NDArray[np.float32], NDArray[np.float32]]:
        """Go once through all predictions; keep the ensemble's and the measured in ``folder``."""
        shape = (len(opened.fold), len(opened.targets))
        measured, predicted = (
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
            for name in ("measured", "predicted")
        )
        place = np.searchsorted(opened.fold_numbers, opened.fold)
        sampler, parts = (
            Resampler(plan, shape[1], opened.fold),
            opened.parts(self.options.block_mib),
        )
        with self.context.progress("compare, targets", shape[1]) as progress:
            for part in parts:
                truth, guesses = opened.measured(part), opened.predicted(part)
                mixed = np.empty_like(truth)
                for fold in range(len(weights)):
                    rows = place == fold
                    mixed[rows] = combine([g[rows] for g in guesses], weights[fold][:, part])
                measured[:, part], predicted[:, part] = truth, mixed
                sampler.add(part, [*guesses, mixed], truth)
                progress.advance(part.stop - part.start)
        return sampler.finish(), measured, predicted

    def _results(
        self, opened: Bench, predicted: NDArray[Any], measured: NDArray[Any]
    ) -> list[FoldResult]:
        ceiling = tables.column(self.members[0].scores, "nc")
        sides = self.members[0].folds
        results = []
        for number in opened.fold_numbers:
            rows = np.flatnonzero(opened.fold == number)
            train = sides.loc[(sides["fold"] == number) & (sides["side"] == "train"), "image"]
            results.append(
                FoldResult(
                    index=number,
                    train=train.to_numpy(dtype=np.int64),
                    test=opened.image[rows],
                    predicted=predicted[rows],
                    measured=measured[rows],
                    ceiling=ceiling,
                )
            )
        return results

    def _write_ensemble(
        self, opened: Bench, results: list[FoldResult], weights: NDArray[np.float64]
    ) -> pd.DataFrame:
        """Write the ensemble as an encoder; its scores."""
        out, member = self.context.out, self.members[0]
        threshold = float(member.option("dataset.ceiling.threshold") or 0.0)
        scores = score_table(opened.targets, results, threshold)
        seed = derive_seed(self.context.seed, "scoring")
        columns, _ = resampled(scores, results, self.scoring, seed)
        with out.hdf5(f"{self.prefix}predictions.h5") as file:
            write_predictions(file, results)
            group = file.create_group("ensemble")
            group.attrs["members"] = opened.names
            add_dataset(group, "weights", weights)
        whole = pd.concat([scores, columns], axis=1)
        out.table(f"{self.prefix}scores.tsv", whole)
        out.table(f"{self.prefix}targets.tsv", opened.targets)
        out.table(f"{self.prefix}folds.tsv", _test_sides(self.members))
        return whole

    def _write(
        self,
        plan: Plan,
        scores: Mapping[str, pd.DataFrame],
        drawn: Resampled,
        targets: pd.DataFrame,
        per_target: pd.DataFrame,
    ) -> None:
        trained = {member.model: member.training_images for member in self.members}
        best = per_target["best"].to_numpy()
        regions = tables.by_region(plan, scores, drawn, best, trained)
        files = {
            "members.tsv": tables.member_table(self.members),
            "compared.tsv": per_target,
            "rois.tsv": without_subjects(regions),
        }
        if plan.pairs:
            files["differences.tsv"] = tables.differences(targets, drawn)
            files["pairs.tsv"] = without_subjects(tables.pairs(plan, drawn))
        if plan.partitions:
            by_region, by_target = tables.partition_tables(plan, scores, drawn, targets)
            files |= {
                "partition.tsv": without_subjects(by_region),
                "partition-targets.tsv": by_target,
            }
        curve = tables.learning_curve(files["rois.tsv"], files["members.tsv"])
        if curve is not None:
            files["curve.tsv"] = curve
        for name, table in files.items():
            self.context.out.table(f"{self.prefix}{name}", table)


SUBJECT = "\t"  # stands in no name of a region, since tables are separated by it


def subject_regions(targets: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Regions of each subject, where there are several: ``roi<TAB>subject`` -> rows."""
    subjects = targets["subject"].fillna("").astype(str).to_numpy()
    names = sorted(set(subjects))
    if len(names) < 2:
        return {}
    found = {}
    for subject in names:
        own = np.flatnonzero(subjects == subject)
        for roi, rows in tables.regions_of(targets.iloc[own]).items():
            found[f"{roi}{SUBJECT}{subject}"] = own[rows]
    return found


def without_subjects(table: pd.DataFrame) -> pd.DataFrame:
    """A table by region without the rows of single subjects."""
    return table[~table["roi"].str.contains(SUBJECT)].reset_index(drop=True)


def chosen_pairs(members: list[str], reference: str | None) -> list[Pair]:
    """Every two members, and the ensemble against each; or each model against the reference."""
    mixed = [ENSEMBLE] if len(members) > 1 else []
    if reference is None:
        return [*combinations(members, 2), *((ENSEMBLE, name) for name in members if mixed)]
    if reference not in (*members, *mixed):
        return []
    return [(name, reference) for name in (*members, *mixed) if name != reference]


def _test_sides(members: list[Member]) -> pd.DataFrame:
    """Which image is on which side of a fold; an image that any member was trained on is there."""
    sides = pd.concat([member.folds for member in members])
    return sides[list(FOLDS)].drop_duplicates().reset_index(drop=True)


def _methods(
    options: CompareConfig, scoring: ScoringConfig, found: Mapping[str, list[Member]], subjects: int
) -> str:
    every = [member for members in found.values() for member in members]
    names = sorted({member.model for member in every})
    own = {member.model: member.artefact.methods for member in every}
    weighed = {
        Weights.equal: "equal weights",
        Weights.selection: "a softmax over their correlation on training images held out for"
        f" selection (temperature {options.temperature:g}) as weights, fold by fold",
    }[options.weights]
    text = (
        f"{_told(own)} The encoders {', '.join(names)} were compared on the same test images."
        f" Intervals are over {scoring.bootstraps} bootstrap draws of the test images, the same for"
        " all encoders."
        " Differences in correlation were tested by exchanging the standardised predictions of two"
        f" encoders at random images ({scoring.permutations} draws, the same at all targets) and"
        " corrected by the false discovery rate (Benjamini-Hochberg). The ensemble averages the"
        f" members' predictions at each target with {weighed}."
    )
    if options.apart:
        text += f" It leaves out {', '.join(sorted(options.apart))}."
    if options.partitions:
        text += (
            " Variance was partitioned from the squared correlations of models on either feature"
            " space and on both (de Heer et al., 2017)."
        )
    if subjects > 1:
        text += (
            f" Over {subjects} subjects, the prevalence of an effect that was tested within each is"
            " given with its 95 % interval of highest posterior density (Ince et al., 2021)."
        )
    return text


def _told(methods: Mapping[str, str]) -> str:
    """What each model is, in its own words; equal words once."""
    models: dict[str, list[str]] = {}
    for model, text in methods.items():
        models.setdefault(text, []).append(model)
    return " ".join(f"{', '.join(names)}: {text}" for text, names in models.items())
