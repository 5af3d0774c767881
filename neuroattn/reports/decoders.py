"""Several ``decode`` artefacts side by side: other kinds, and other seeds and subjects of one.

Artefacts whose settings are equal but for the seed and the subjects are runs of one *variant*.
Variants are compared query by query; runs of one are shown by subject and seed. All is read from
``retrieval.h5``, ``config.yaml`` and ``fingerprint.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.fingerprint import SHORT
from neuroattn.stats.retrieval import DIRECTIONS, ranks
from neuroattn.stats.retrieval_paired import Paired, Statistic, paired_difference

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RAW, CENTRED = "raw", "centred"
_MATRICES = {RAW: "similarity", CENTRED: "similarity_centred"}
# Keys of `dataset` that make no other variant: where it lies, how it is read, and whose it is.
_NO_KIND = ("root", "subjects", "leave_out", "store", "block_mib")
_TOLD = 3  # settings that a name tells


@dataclass(frozen=True, eq=False)
class Answers:
    """How one run retrieved for one subject.

    Parameters
    ----------
    images : (queries,) ids of the test images.
    rank : (centring, direction) -> (queries,) rivals at least as similar as the own item.
    """

    subject: str
    images: Ints
    rank: Mapping[tuple[str, str], Ints]


@dataclass(frozen=True, eq=False)
class Run:
    """One artefact: its seed, what kind of decoder it is, and its answers."""

    label: str
    seed: int
    setting: Mapping[str, Any]
    pictures: Any
    answers: Sequence[Answers]


@dataclass(frozen=True, eq=False)
class Variant:
    """Runs that differ in seed and subject alone."""

    name: str
    runs: Sequence[Run]

    @property
    def centrings(self) -> list[str]:
        """``raw``, and ``centred`` where all runs have it."""
        return [
            name
            for name in _MATRICES
            if all((name, DIRECTIONS[0]) in own.rank for run in self.runs for own in run.answers)
        ]

    @property
    def seeds(self) -> list[int]:
        """Seeds, ascending."""
        return sorted({run.seed for run in self.runs})

    @property
    def subjects(self) -> list[str]:
        """Names of its subjects, in order of first appearance."""
        return list(dict.fromkeys(own.subject for run in self.runs for own in run.answers))

    def of(self, subject: str) -> list[Answers]:
        """The answers for ``subject``, one for each seed."""
        return [own for run in self.runs for own in run.answers if own.subject == subject]

    def queries(self, subject: str, key: tuple[str, str], statistic: Statistic) -> Floats:
        """How far each query succeeds (queries,), averaged over seeds."""
        every = [statistic.of(own.rank[key], len(own.images) - 1) for own in self.of(subject)]
        return np.asarray(np.mean(every, axis=0))

    def by_seed(self, key: tuple[str, str], statistic: Statistic) -> dict[tuple[str, int], float]:
        """(subject, seed) -> accuracy."""
        return {
            (own.subject, run.seed): float(
                np.nanmean(statistic.of(own.rank[key], len(own.images) - 1))
            )
            for run in self.runs
            for own in run.answers
        }


def read_run(artefact: Artefact) -> Run:
    """Ranks of every query of a ``decode`` artefact."""
    config, dataset = artefact.config, artefact.config["dataset"]
    tested = dict.fromkeys(artefact.table("retrieval.tsv")["subject"].astype(str))
    names = [name for name in tested if name != "all"] or list(tested)
    with artefact.hdf5("retrieval.h5") as file:
        several = "test" not in file
        answers = [_answers(file[f"{name}/test"] if several else file["test"], name)
                   for name in (names if several else names[:1])]  # fmt: skip
    # Trained on several and tested on one: its results are of that one.
    left_out = dataset.get("leave_out")
    if left_out is not None and len(answers) == 1:
        answers = [Answers(str(left_out), answers[0].images, answers[0].rank)]
    return Run(
        artefact.label[: -SHORT - 1],
        int(config["seed"]),
        _setting(artefact),
        (dataset["name"], str(dataset.get("root"))),
        answers,
    )


def _answers(test: Any, subject: str) -> Answers:
    found: dict[tuple[str, str], Ints] = {}
    for centring, name in _MATRICES.items():
        if name in test:
            found |= {(centring, d): r for d, r in ranks(test[name][:]).items()}
    return Answers(subject, np.asarray(test["image_id"][:], dtype=np.int64), found)


def _setting(artefact: Artefact) -> dict[str, Any]:
    """All that makes a decoder of another kind: dotted key -> value."""
    science = artefact.fingerprint_payload["science"]
    config = artefact.config
    dataset = {key: value for key, value in config["dataset"].items() if key not in _NO_KIND}
    dataset["leave_out"] = config["dataset"].get("leave_out") is not None
    dataset["subjects"] = len(config["dataset"].get("subjects") or ())  # fitted together
    parts = {"dataset": dataset, "backbone": config.get("backbone", {})}
    return {key: value for key, value in science.items() if key != "seed"} | dict(_flat(parts))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def variants_of(artefacts: Iterable[Artefact]) -> list[Variant]:
    """Group artefacts by all but seed and subjects; the first one's variant comes first."""
    unique = {artefact.fingerprint: artefact for artefact in artefacts}
    groups: list[list[Run]] = []
    for run in map(read_run, unique.values()):
        own = [group for group in groups if _alike(group[0], run)]
        own[0].append(run) if own else groups.append([run])
    names = _names([group[0] for group in groups])
    return [Variant(name, group) for name, group in zip(names, groups, strict=True)]


def _alike(one: Run, other: Run) -> bool:
    return (one.label, one.setting) == (other.label, other.setting)


def _names(firsts: Sequence[Run]) -> list[str]:
    """The label of each, and of equal labels what tells them apart."""
    labels = [run.label for run in firsts]
    named = []
    for run in firsts:
        rivals = [other for other in firsts if other.label == run.label]
        keys = {key for other in rivals for key in run.setting.keys() | other.setting.keys()}
        apart = sorted(k for k in keys if len({str(o.setting.get(k)) for o in rivals}) > 1)
        told = ", ".join(f"{key}={run.setting.get(key, 'default')}" for key in apart[:_TOLD])
        named.append(f"{run.label} ({told})" if labels.count(run.label) > 1 else run.label)
    return named


def comparable(main: Variant, other: Variant) -> tuple[list[str], str]:
    """Subjects with the same test images in both, and why others have no paired difference."""
    if main.runs[0].pictures != other.runs[0].pictures:
        return [], "it was fitted to another dataset"
    both = [name for name in main.subjects if name in other.subjects]
    if not both:
        return [], f"it has other subjects ({', '.join(other.subjects)})"
    same = [name for name in both if _same_images([*main.of(name), *other.of(name)])]
    odd = [name for name in both if name not in same]
    return same, f"its test images differ in {', '.join(odd)}" if odd else ""


def _same_images(answers: Sequence[Answers]) -> bool:
    return all(np.array_equal(own.images, answers[0].images) for own in answers)


def differences(
    main: Variant, other: Variant, subjects: Sequence[str], statistics: Sequence[Statistic]
) -> Iterator[tuple[tuple[str, str], Statistic, Paired]]:
    """Main less other for each centring, direction and statistic that both have."""
    images = {name: main.of(name)[0].images for name in subjects}
    for direction in DIRECTIONS:
        for centring in (name for name in main.centrings if name in other.centrings):
            key = (centring, direction)
            for statistic in statistics:
                mine, theirs = (
                    {name: side.queries(name, key, statistic) for name in subjects}
                    for side in (main, other)
                )
                yield key, statistic, paired_difference(mine, theirs, images)
