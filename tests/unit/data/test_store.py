"""The store of responses: error bounds, blocks, resumption session by session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import DataError
from neuroattn.data import stage
from neuroattn.data.dataset import Description
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ArraysConfig, StoreForm
from neuroattn.data.store import Moments, ResponseStoreWriter, parts_of, session_codes

from .tiny_dataset import context_for, prepare

TRIALS, TARGETS = 30, 11
HALF = 2.0**-11


class InMemory:
    """A dataset of three sessions of 30 trials, in blocks of 7 rows that ignore sessions."""

    def __init__(self, values: Any, block: int = 7) -> None:
        self.values, self.block, self.read = values, block, [0]
        number = np.arange(len(values))
        self.trials = pd.DataFrame(
            {
                "trial": number, "subject": "s1", "session": 1 + number // TRIALS, "run": 1,
                "image": number % 45, "repeat": 1 + number // 45,
            }
        )  # fmt: skip
        shown = np.arange(45)
        self.images = pd.DataFrame({"image": shown, "file": "x", "source": ""})
        self.targets = pd.DataFrame(
            {
                "target": range(TARGETS), "subject": "s1", "hemisphere": "lh",
                "vertex": range(TARGETS), "rois": "",
            }
        )  # fmt: skip
        self.description = Description(*"abcdefg")
        self.splits: dict[str, Any] = {}
        self.captions: dict[str, Any] = {}
        self.stimuli = SimpleNamespace(digest=lambda image: f"{image:064x}")
        self.supplied_ncsnr = np.linspace(0, 1, TARGETS, dtype=np.float32)

    def response_blocks(self) -> Iterator[Any]:
        return self.blocks(0)

    def blocks(self, first: int) -> Iterator[Any]:
        for start in range(first, len(self.values), self.block):
            rows = slice(start, min(start + self.block, len(self.values)))
            self.read[0] += rows.stop - rows.start
            yield rows, self.values[rows].copy()

    def response_origin(self, row: int) -> tuple[Path, str]:
        return Path("memory"), f"row {row}"


class Resumable(InMemory):
    """One that can begin at any row."""

    def response_blocks_from(self, first: int) -> Iterator[Any]:
        return self.blocks(first)


@pytest.fixture
def values() -> Any:
    random = np.random.default_rng(0)
    scale = np.logspace(-3, 4, TARGETS)
    values = random.normal(size=(3 * TRIALS, TARGETS)) * scale + 3 * scale
    values[:, 4] += 50 * scale[4]  # far from 0
    values[TRIALS : 2 * TRIALS, 7] = 0.1  # constant in one session
    return values.astype(np.float32)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``prepare`` on a dataset in memory: ``build(dataset, form, name)``."""

    def make(dataset: InMemory, form: StoreForm, name: str = "a") -> Artefact:
        monkeypatch.setattr(stage, "open_dataset", lambda _: dataset)
        return prepare(ArraysConfig(store=form), tmp_path / "prepare" / name)

    return make


def test_float32_keeps_every_bit(build: Any, values: Any) -> None:
    prepared = Prepared(build(InMemory(values), StoreForm.float32))
    np.testing.assert_array_equal(prepared.responses(), values)


def test_float16_stays_within_the_stated_error(build: Any, values: Any) -> None:
    prepared = Prepared(build(InMemory(values), StoreForm.float16))
    exact = values.astype(np.float64).reshape(3, TRIALS, TARGETS)
    mean, sd = exact.mean(1, keepdims=True), exact.std(1, keepdims=True)
    z = (exact - mean) / np.where(sd > 0, sd, 1)
    bound = np.where(sd > 0, sd, 1) * (np.abs(z) * HALF + 2.0**-25)
    bound = bound + (np.abs(exact - mean) + np.abs(mean)) * 2.0**-23
    error = np.abs(prepared.responses().reshape(exact.shape) - exact)
    assert (error <= bound).all()
    assert (error > 0.3 * bound).any()  # the bound is not idle
    np.testing.assert_array_equal(prepared.responses()[TRIALS : 2 * TRIALS, 7], np.float32(0.1))
    with h5py.File(prepared.artefact.path("responses.h5")) as file:
        assert file["responses"].dtype == np.float16
        assert file["responses"].chunks is None  # a row is one range of bytes
        assert file["responses"].attrs["form"] == "float16"


@pytest.mark.parametrize("form", list(StoreForm))
def test_sessions_keep_their_moments(build: Any, values: Any, form: StoreForm) -> None:
    prepared = Prepared(build(InMemory(values), form))
    scale = prepared.session_scale(None)
    exact = values.astype(np.float64).reshape(3, TRIALS, TARGETS)
    np.testing.assert_allclose(scale.mean, exact.mean(1), rtol=1e-12)
    sd = exact.std(1)
    assert sd[1, 7] < 1e-8
    assert scale.sd[1, 7] == 1.0
    sd[1, 7] = 1.0
    np.testing.assert_allclose(scale.sd, sd, rtol=1e-9)
    assert scale.trials.tolist() == [TRIALS] * 3


@pytest.mark.parametrize("form", list(StoreForm))
def test_z_scores_by_training_trials_alone(build: Any, values: Any, form: StoreForm) -> None:
    prepared = Prepared(build(InMemory(values), form))
    train = np.arange(0, 45, 2)
    rows = prepared.trials["image"].isin(train).to_numpy()
    z = prepared.scaled(prepared.session_scale(train)).responses()
    sessions = prepared.sessions
    for session in range(3):
        chosen = values[(sessions == session) & rows].astype(np.float64)
        sd = chosen.std(0)
        sd[sd < 1e-8] = 1.0
        expected = (values[sessions == session] - chosen.mean(0)) / sd
        tolerance = 1e-5 if form is StoreForm.float32 else 4 * HALF
        np.testing.assert_allclose(z[sessions == session], expected, rtol=0, atol=tolerance * 5)
        trained = z[(sessions == session) & rows]
        np.testing.assert_allclose(trained.mean(0), 0, atol=tolerance * 5)
    assert prepared.scale is None
    np.testing.assert_allclose(prepared.responses(), values, rtol=0.05)


def test_z_scores_over_all_trials_are_the_stored_ones(build: Any, values: Any) -> None:
    prepared = Prepared(build(InMemory(values), StoreForm.float16))
    z = prepared.scaled(prepared.session_scale(None)).responses()
    with h5py.File(prepared.artefact.path("responses.h5")) as file:
        np.testing.assert_array_equal(z, file["responses"][:].astype(np.float32))


def test_noise_in_test_trials_does_not_change_training_scales(build: Any, values: Any) -> None:
    train = np.arange(0, 45, 2)
    first = Prepared(build(InMemory(values), StoreForm.float32, "a"))
    loud = values.copy()
    test = ~first.trials["image"].isin(train).to_numpy()
    loud[test] = 1e6 * np.random.default_rng(1).normal(size=loud[test].shape)
    second = Prepared(build(InMemory(loud), StoreForm.float32, "b"))
    pairs = zip(
        first.session_scale(train).arrays().values(),
        second.session_scale(train).arrays().values(),
        strict=True,
    )
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first.session_scale(None).mean, second.session_scale(None).mean)
    for name in ("images.tsv", "trials.tsv", "targets.tsv", "splits.json", "ncsnr.tsv"):
        assert first.artefact.files[name] == second.artefact.files[name]


def test_a_session_without_training_trials_is_named(build: Any, values: Any) -> None:
    prepared = Prepared(build(InMemory(values), StoreForm.float32))
    with pytest.raises(DataError, match="0 in session 3 of subject s1"):
        prepared.session_scale(np.arange(0, 15))


@pytest.mark.parametrize("form", list(StoreForm))
@pytest.mark.parametrize("block", [1, 90, 1000])
def test_blocks_do_not_change_a_byte(build: Any, values: Any, form: StoreForm, block: int) -> None:
    assert (
        build(InMemory(values), form, "a").files == build(InMemory(values, block), form, "b").files
    )


def test_supplied_ceilings_are_kept(build: Any, values: Any) -> None:
    dataset = InMemory(values)
    prepared = Prepared(build(dataset, StoreForm.float32))
    np.testing.assert_array_equal(prepared.supplied_ncsnr, dataset.supplied_ncsnr)


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("kind", [InMemory, Resumable])
@pytest.mark.parametrize("form", list(StoreForm))
@pytest.mark.parametrize("row", [5, 31, 61, 89])
def test_a_killed_run_goes_on_at_its_session(
    build: Any, values: Any, tmp_path: Path, kind: Any, form: StoreForm, row: int
) -> None:
    whole = build(kind(values), form, "whole")

    class Killed(kind):  # type: ignore[misc]
        def blocks(self, first: int) -> Iterator[Any]:
            for rows, part in super().blocks(first):
                if rows.start <= row < rows.stop:
                    raise KilledError
                yield rows, part

    with pytest.raises(KilledError):
        build(Killed(values), form, "resumed")
    again = kind(values)
    resumed = build(again, form, "resumed")
    assert resumed.files == whole.files
    finished = TRIALS * ((row // 7 * 7) // TRIALS)
    assert again.read[0] == 3 * TRIALS - (finished if kind is Resumable else 0)


def test_a_session_with_a_fault_is_never_finished(build: Any, values: Any, tmp_path: Path) -> None:
    broken = values.copy()
    broken[40, 2] = np.nan
    with pytest.raises(DataError, match=r"nan at row 40, target 2 \(the first of 1\)"):
        build(InMemory(broken), StoreForm.float16)
    mended = InMemory(values)
    np.testing.assert_allclose(
        Prepared(build(mended, StoreForm.float16)).responses(), values, rtol=0.05
    )


def test_mixed_sessions_are_one_part() -> None:
    trials = pd.DataFrame({"subject": ["a", "b", "a", "b"], "session": [1, 1, 1, 1]})
    codes = session_codes(trials)
    assert codes.tolist() == [0, 1, 0, 1]
    (part,) = parts_of(codes)
    assert (part.start, part.stop, part.sessions) == (0, 4, slice(0, 2))
    parts = parts_of(np.array([0, 0, 1, 2, 2]))
    assert [(p.start, p.stop) for p in parts] == [(0, 2), (2, 3), (3, 5)]


@pytest.mark.parametrize("form", list(StoreForm))
def test_mixed_sessions_come_back(tmp_path: Path, form: StoreForm) -> None:
    codes = np.array([0, 1, 0, 1, 0, 1])
    values = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    context = context_for(ArraysConfig(), tmp_path / "out")
    writer = ResponseStoreWriter(context.out.work, form, codes, 4)
    writer.add(values[:5])
    writer.add(values[5:])
    writer.finish(context.out, {})
    with h5py.File(tmp_path / "out" / "responses.h5") as file:
        stored = file["responses"][:].astype(np.float64)
    with h5py.File(tmp_path / "out" / "sessions.h5") as file:
        mean, scale = file["mean"][:], file["scale"][:]
    np.testing.assert_allclose(mean[1], values[1::2].mean(0), rtol=1e-5)
    if form is StoreForm.float16:
        stored = stored * scale[codes] + mean[codes]
    np.testing.assert_allclose(stored, values, atol=2 * HALF * scale.max())


def test_moments_of_a_far_mean_are_exact() -> None:
    values = (1e6 + np.random.default_rng(0).normal(size=(500, 3))).astype(np.float32)
    moments = Moments(1, 3)
    moments.add(values, np.zeros(500, dtype=np.int64))
    exact = values.astype(np.float64)
    np.testing.assert_allclose(moments.mean()[0], exact.mean(0), rtol=1e-14)
    np.testing.assert_allclose(moments.scale()[0], exact.std(0), rtol=1e-9)
