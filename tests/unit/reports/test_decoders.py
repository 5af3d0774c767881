"""Decoders side by side: variants and their runs, paired differences, subjects by seeds."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.decoding.decoder_schemas import EvaluationConfig
from neuroattn.decoding.evaluate import Side, evaluate
from neuroattn.reports.blocks import Block, Details, Notice, Picture, Table
from neuroattn.reports.decoders import variants_of
from neuroattn.reports.registry import DECODER, ReportConfig, each_of
from neuroattn.reports.sections import decoders as section
from neuroattn.reports.sources import Sources

OPTIONS = EvaluationConfig(ways=10, draws=2, permutations=0, bootstraps=0)
IMAGES, DIM = 40, 6


def side(subject: str, noise: float, seed: int, first: int) -> Side:
    target = np.random.default_rng(0).standard_normal((IMAGES, DIM))
    own = np.random.default_rng(seed + 1).standard_normal((IMAGES, DIM))
    centre = np.zeros(DIM), np.zeros(DIM)
    return Side(subject, np.arange(IMAGES) + first, target + noise * own, target, centre)


def decoded(
    place: Path, name: str, *, noise: float = 0.8, subjects: tuple[str, ...] = ("a",),
    seed: int = 0, first: int = 0, science: dict[str, Any] | None = None, **dataset: Any,
) -> Artefact:  # fmt: skip
    """A decode artefact; less ``noise`` is a better decoder."""
    out = ArtefactWriter(place / f"{name}-{len(list(place.iterdir())):08d}")
    out.folder.mkdir()
    sides = [side(subject, noise, seed + n, first) for n, subject in enumerate(subjects)]
    evaluate(sides, {}, OPTIONS).write(out)
    about = {"name": "arrays", "root": "x", "subjects": list(subjects), **dataset}
    write_json(out.folder / "config.yaml", {"seed": seed, "dataset": about, "backbone": {"b": 1}})
    science = {"decoder.name": name, "seed": seed, **(science or {})}
    leaves = {"folder": out.folder.name}
    payload = {"stage": "decode", "version": 1, "science": science, "parents": {}, "leaves": leaves}
    write_json(out.folder / "fingerprint.json", payload)
    out.finish(provenance={}, metrics={}, methods="Made by a test.")
    return Artefact(out.folder)


def shown(main: Artefact, *others: Artefact) -> tuple[Block, ...]:
    parents = {"decode": main} | {f"{DECODER}{n}": each for n, each in enumerate(others, start=1)}
    return section.blocks(Sources(parents, {}, ReportConfig(stages=["decode"])))


def of(kind: type, found: Any) -> list[Any]:
    return [block for block in found if isinstance(block, kind)]


def test_nothing_without_another_decoder(tmp_path: Path) -> None:
    assert shown(decoded(tmp_path, "ridge")) == ()


def test_the_difference_is_paired_in_the_table_and_in_the_figure(tmp_path: Path) -> None:
    main, worse = decoded(tmp_path, "ridge_mlp"), decoded(tmp_path, "ridge", noise=3.0)
    found = shown(main, worse)
    (table,), (picture,) = of(Table, found), of(Picture, found)
    assert [row[1] for row in table.rows[:4]] == [
        f"image from brain, raw, {name}" for name in ("top 1", "top 5", "2-way", "10-way")
    ]
    assert len(table.rows) == 16, "both directions, raw and centred"
    first = table.rows[0]
    own, other = (
        each.table("retrieval.tsv")["accuracy"].iloc[0] for each in (main, worse)
    )  # fmt: skip
    assert [float(value) for value in first[2:5]] == pytest.approx(
        [own, other, own - other], abs=1e-3
    )
    low, high = (float(end) for end in first[5].split(" to "))
    assert 0 < low < own - other < high
    assert f"ridge {first[4]}" in picture.alt


def test_other_images_and_other_data_have_no_difference(tmp_path: Path) -> None:
    main = decoded(tmp_path, "ridge")
    others = (
        decoded(tmp_path, "moved", first=7), decoded(tmp_path, "foreign", root="y"),
        decoded(tmp_path, "person", subjects=("b",)),
    )  # fmt: skip
    found = shown(main, *others)
    assert not of(Table, found)
    assert [notice.text.partition(";")[0] for notice in of(Notice, found)] == [
        "Its test images differ in a",
        "It was fitted to another dataset",
        "It has other subjects (b)",
    ]


def test_of_several_subjects_those_in_common_are_compared(tmp_path: Path) -> None:
    main = decoded(tmp_path, "ridge_mlp", subjects=("a", "b", "c"))
    (table,) = of(Table, shown(main, decoded(tmp_path, "ridge", subjects=("a", "b"), noise=1.2)))
    assert {row[-1] for row in table.rows} == {"2"}


def test_seeds_and_subjects_are_runs_of_one_variant(tmp_path: Path) -> None:
    runs = [
        decoded(tmp_path, "tsconv", seed=seed, subjects=(name,)) for name in "ab" for seed in (0, 1)
    ]
    found = shown(runs[0], *runs)
    tables = of(Table, found)
    assert not of(Notice, found)
    assert len(tables) == 2, "top 1 and top 5"
    assert [column.title for column in tables[0].columns][2:] == [
        "Seed 0", "Seed 1", "Mean", "SD over seeds",
    ]  # fmt: skip
    expected = [run.table("retrieval.tsv")["accuracy"].iloc[0] for run in runs]
    rows = tables[0].rows
    assert [float(value) for row in rows[:2] for value in row[2:4]] == pytest.approx(
        expected, abs=1e-3
    )
    assert float(rows[0][5]) == pytest.approx(np.std(expected[:2], ddof=1), abs=1e-3)
    assert rows[2][4].startswith(f"{np.mean(expected):.3f} (")
    (folded,) = of(Details, found)
    assert len(folded.blocks) == 6


def test_seeds_are_averaged_before_variants_are_compared(tmp_path: Path) -> None:
    mine = [decoded(tmp_path, "ubp", seed=seed) for seed in (0, 1)]
    (table, *_) = of(Table, shown(*mine, decoded(tmp_path, "none", noise=2.0)))
    expected = np.mean([run.table("retrieval.tsv")["accuracy"].iloc[0] for run in mine])
    assert float(table.rows[0][2]) == pytest.approx(expected, abs=1e-3)


def test_variants_of_one_name_are_told_apart(tmp_path: Path) -> None:
    made = [decoded(tmp_path, "ubp", science={"prior.strength": s}) for s in (2.0, 8.0)]
    assert [each.name for each in variants_of(made)] == [
        "ubp (prior.strength=2.0)", "ubp (prior.strength=8.0)",
    ]  # fmt: skip
    left_out = [
        decoded(tmp_path, "eeg", subjects=("a",), leave_out=name) for name in ("s1", "s2")
    ]  # fmt: skip
    (variant,) = variants_of(left_out)
    assert variant.subjects == ["s1", "s2"]


@pytest.mark.parametrize(
    ("entry", "lines"),
    [
        ("prior=none", [["prior=none"]]),
        ("seed=0,1", [["seed=0"], ["seed=1"]]),
        (
            "dataset.subjects=[a,b],[c] seed=0,1",
            [[f"dataset.subjects={s}", f"seed={n}"] for s in ("[a,b]", "[c]") for n in (0, 1)],
        ),
        ("ridge-1a2b3c4d", [["ridge-1a2b3c4d"]]),
    ],
)
def test_an_entry_with_several_values_is_as_many_artefacts(
    entry: str, lines: list[list[str]]
) -> None:
    assert [shlex.split(line) for line in each_of(entry)] == lines
