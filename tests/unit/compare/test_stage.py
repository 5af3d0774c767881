"""The stage on the tiny chain: its tables agree with the members, its ensemble is an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import SCORES
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.plan import find, plan
from neuroattn.stats.correlation import pearson
from tests.chain import build, config

NAMES = ["plain", "stiff"]


@pytest.fixture(scope="module")
def compared(tiny_data: Path, all_root: Path) -> Artefact:
    """The comparison of the tiny chain."""
    return build("compare", tiny_data, all_root)


@pytest.fixture(scope="module")
def members(compared: Artefact, all_root: Path) -> dict[str, Artefact]:
    """Its members, by name."""
    return {
        name: find(compared.inputs[f"encode/{name}"]["label"], all_root, stage="encode")
        for name in NAMES
    }


def _with(members: dict[str, str], data: Path, root: Path, **keys: object) -> Artefact:
    made = config("compare", data, root)
    made.compare.members = members
    for name, value in keys.items():
        setattr(made.compare, name, value)
    return run_stage("compare", made)


def test_each_targets_scores_are_the_members_own(
    compared: Artefact, members: dict[str, Artefact]
) -> None:
    table = compared.table("compared.tsv")
    assert list(table["target"]) == list(compared.table("targets.tsv")["target"])
    for name, member in members.items():
        np.testing.assert_array_equal(table[f"scores-{name}"], member.table("scores.tsv")["r"])
    best = table[[f"scores-{name}" for name in NAMES]].to_numpy().argmax(1)
    assert list(table["best"]) == [NAMES[index] for index in best]
    weights = table[[f"weight-{name}" for name in NAMES]].to_numpy()
    np.testing.assert_allclose(weights.sum(1), 1.0)


def test_the_ensemble_reads_as_any_encoder(
    compared: Artefact, members: dict[str, Artefact]
) -> None:
    scores = compared.table("scores.tsv")
    assert list(scores.columns[: len(SCORES)]) == list(SCORES)
    tables = {}
    for name, artefact in [("ensemble", compared), *members.items()]:
        with artefact.hdf5("predictions.h5") as file:
            tables[name] = {key: file[f"test/{key}"][:] for key in file["test"]}
    mixed = tables["ensemble"]
    for name in NAMES:
        for key in ("measured", "image", "fold"):
            np.testing.assert_array_equal(tables[name][key], mixed[key])
    with compared.hdf5("predictions.h5") as file:
        weights = file["ensemble/weights"][:]
        assert list(file["ensemble"].attrs["members"]) == NAMES
    expected = np.zeros_like(mixed["predicted"])
    for fold in (0, 1):
        rows = mixed["fold"] == fold
        for name, weight in zip(NAMES, weights[fold], strict=True):
            expected[rows] += tables[name]["predicted"][rows] * weight
    np.testing.assert_allclose(mixed["predicted"], expected, rtol=1e-5, atol=1e-6)
    sides = [mixed["fold"] == fold for fold in (0, 1)]
    r = np.mean([pearson(mixed["predicted"][s], mixed["measured"][s]) for s in sides], axis=0)
    np.testing.assert_allclose(scores["r"], r, atol=1e-6)


def test_weights_come_from_each_folds_own_selection(
    compared: Artefact, members: dict[str, Artefact]
) -> None:
    kept = []
    for member in members.values():
        with member.hdf5("predictions.h5") as file:
            kept.append(file["selection/r"][:].astype(np.float64))
        average = member.table("scores.tsv")["r_selection"]
        np.testing.assert_allclose(average, kept[-1].mean(0), atol=1e-6)
    with compared.hdf5("predictions.h5") as file:
        weights = file["ensemble/weights"][:]
    for fold in (0, 1):
        ratio = np.exp((kept[0][fold] - kept[1][fold]) / 0.05)
        np.testing.assert_allclose(weights[fold, 0] / weights[fold, 1], ratio, rtol=1e-5)


def test_regions_and_pairs_agree_with_the_targets(compared: Artefact) -> None:
    targets, regions = compared.table("compared.tsv"), compared.table("rois.tsv")
    pairs, differences = compared.table("pairs.tsv"), compared.table("differences.tsv")
    for name in (*NAMES, "ensemble"):
        row = regions[(regions["model"] == name) & (regions["roi"] == "all targets")].iloc[0]
        assert row["r"] == pytest.approx(targets[f"scores-{name}"].mean())
        assert row["r_low"] < row["r"] < row["r_high"]
    of = differences["difference-plain-stiff"]
    np.testing.assert_allclose(of, targets["scores-plain"] - targets["scores-stiff"], atol=1e-6)
    row = pairs[(pairs["first"] == "plain") & (pairs["roi"] == "all targets")].iloc[0]
    assert row["second"] == "stiff"
    assert row["difference"] == pytest.approx(of.mean())
    assert (differences["q-plain-stiff"] >= differences["p-plain-stiff"]).all()
    assert list(zip(pairs["first"], pairs["second"], strict=True))[:: len(regions) // 3] == [
        ("plain", "stiff"), ("ensemble", "plain"), ("ensemble", "stiff"),
    ]  # fmt: skip


def test_copies_of_a_model_are_that_model(
    compared: Artefact, members: dict[str, Artefact], tiny_data: Path, all_root: Path
) -> None:
    label = members["plain"].label
    same = _with(dict.fromkeys("abc", label), tiny_data, all_root, partitions={"c": ["a", "b"]})
    own, mixed = (each.table("scores.tsv")["r"] for each in (members["plain"], same))
    np.testing.assert_allclose(mixed, own, atol=1e-6)
    pairs, parts = same.table("pairs.tsv"), same.table("partition.tsv")
    np.testing.assert_allclose(pairs["difference"], 0, atol=1e-6)
    between = pairs[pairs["first"] != "ensemble"]
    assert (between["p"] == 1).all()
    np.testing.assert_allclose(parts[["unique_first", "unique_second"]], 0, atol=1e-12)
    explained = members["plain"].table("scores.tsv")["r_squared"].mean()
    assert parts["shared"].iloc[0] == pytest.approx(explained)


def test_a_reference_stands_for_the_member_it_names(
    compared: Artefact, members: dict[str, Artefact], tiny_data: Path, all_root: Path
) -> None:
    plain = members["plain"]
    for reference in (str(plain.folder), plain.label, plain.fingerprint, plain.fingerprint[:8]):
        made = config("compare", tiny_data, all_root)
        made.compare.members = {"plain": reference, "stiff": members["stiff"].label}
        assert plan("compare", made).folder == compared.folder


def test_a_reference_model_limits_the_pairs(
    members: dict[str, Artefact], tiny_data: Path, all_root: Path
) -> None:
    labels = {name: member.label for name, member in members.items()}
    found = _with(labels, tiny_data, all_root, reference="stiff").table("pairs.tsv")
    assert set(zip(found["first"], found["second"], strict=True)) == {
        ("plain", "stiff"), ("ensemble", "stiff"),
    }  # fmt: skip


def test_groups_have_folders_of_their_own_and_a_table_over_them(
    members: dict[str, Artefact], tiny_data: Path, all_root: Path
) -> None:
    """The same subject twice, under two names: the interval over them has no width."""
    labels = {f"{name}@s{n}": member.label for name, member in members.items() for n in (1, 2)}
    found = _with(labels, tiny_data, all_root)
    for name in ("scores.tsv", "predictions.h5", "pairs.tsv", "compared.tsv"):
        assert found.has(f"s1/{name}")
        assert found.has(f"s2/{name}")
        assert not found.has(name)
    subjects, group = found.table("subjects.tsv"), found.table("group.tsv")
    assert set(subjects["subject"]) == {"s1", "s2"}
    assert set(group["n_subjects"]) == {2}
    row = group[(group["model"] == "plain") & (group["roi"] == "all targets")].iloc[0]
    r = members["plain"].table("scores.tsv")["r"].mean()
    assert row[["r", "r_low", "r_high"]].to_list() == pytest.approx([r, r, r])
    assert 0 <= row["prevalence_low"] <= row["prevalence"] <= row["prevalence_high"] <= 1
    assert set(found.table("group-pairs.tsv")["first"]) == {"plain", "ensemble"}
