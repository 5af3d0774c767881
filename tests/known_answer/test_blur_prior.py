"""A blur prior helps where the brain lacks the detail of the picture, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from neuroattn.decoding.decoder import DecodingSet, SubjectRows
from neuroattn.decoding.decoder_schemas import training
from neuroattn.decoding.inputs import SubjectInput
from neuroattn.decoding.network_schemas import RidgeMlpConfig
from neuroattn.decoding.prior_schemas import (
    PRIORS,
    NoPriorConfig,
    PriorConfig,
    UbpPriorConfig,
    UniformPriorConfig,
)
from neuroattn.decoding.ridge_mlp import RidgeMlpDecoder

TRAIN, TEST, INPUTS, HALF = 1000, 200, 120, 24
STRENGTHS = (0.0, 6.0, 8.0, 10.0)
GAIN = 1.0  # of the detail, in units of the rest


class Space:
    """Embeddings with a coarse half and a fine half, which blur takes away in proportion.

    At strength 10 nothing of the fine half is left.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self.coarse, self.fine = random.standard_normal((2, TRAIN + TEST, HALF))
        self.strengths: Sequence[float] = STRENGTHS
        self.dim = 2 * HALF
        self.blocks, self.slices, self.shares = ["whole"], [slice(0, self.dim)], [1.0]
        self.stores = [SimpleNamespace(blur={"kind": "uniform"})]

    def read(self, images: ArrayLike, strength: float = 0.0) -> NDArray[np.float32]:
        ids = np.asarray(images)
        found = np.concatenate([self.coarse[ids], GAIN * (1 - strength / 10) * self.fine[ids]], 1)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


class Study:
    """Responses of one person that hold all of the picture, or nothing of its detail."""

    def __init__(self, mismatch: bool, seed: int, swapped: float = 0.0) -> None:
        random = np.random.default_rng(seed)
        self.space = Space(random)
        signal = np.concatenate([self.space.coarse, (not mismatch) * self.space.fine], axis=1)
        mixing = random.standard_normal((2 * HALF, INPUTS)) / np.sqrt(HALF)
        noise = 1.2 * random.standard_normal((TRAIN + TEST, INPUTS))
        self.brain = (signal @ mixing + noise).astype(np.float32)
        self.swapped = np.sort(random.permutation(TRAIN)[: int(swapped * TRAIN)])
        self.brain[self.swapped] = self.brain[np.roll(self.swapped, 1)]

    def fit(self, prior: PriorConfig, folder: Path, epochs: int = 12, progress: Any = None) -> Any:
        """A small decoder, trained with this prior."""
        plain = SubjectInput("", np.arange(INPUTS), 1, *np.zeros((2, INPUTS), np.float32))
        rows = SubjectRows("", plain, self.brain[:TRAIN], np.arange(TRAIN))
        how = replace(training(3e-3, epochs, 250), evaluate_every=epochs, checkpoint_every=5)
        config = RidgeMlpConfig(hidden=64, blocks=0, training=how)
        decoder = RidgeMlpDecoder(config)
        train = DecodingSet(
            subjects=[rows],
            space=self.space,  # type: ignore[arg-type]
            selection=("train", np.arange(TRAIN)),
            make_prior=lambda bank: PRIORS.load(prior.name)(prior, bank),
            seed=0,
            work=folder,
            device="cpu",
            open_progress=progress,
            forbidden=np.arange(TRAIN, TRAIN + TEST),
        )
        return decoder.fit(train)

    def hits(self, prior: PriorConfig, folder: Path) -> NDArray[np.float64]:
        """Whether each of 200 test pictures is the nearest to its response."""
        model = self.fit(prior, folder)
        brains = model.embed(0, self.brain[TRAIN:])
        pictures = model.gallery(np.arange(TRAIN, TRAIN + TEST))
        pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
        return (np.argmax(brains @ pictures.T, axis=1) == np.arange(TEST)).astype(np.float64)


def interval(difference: NDArray[np.float64]) -> tuple[float, float]:
    """95 % bootstrap interval of a mean over test pictures, which both decoders share."""
    random = np.random.default_rng(0)
    draws = random.integers(0, len(difference), (2000, len(difference)))
    low, high = np.quantile(difference[draws].mean(1), [0.025, 0.975])
    return float(low), float(high)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def hits(mismatch: bool, name: str) -> NDArray[np.float64]:
        prior = {"none": NoPriorConfig(), "uniform": UniformPriorConfig(strength=8.0),
                 "ubp": UbpPriorConfig()}[name]  # fmt: skip
        return Study(mismatch, seed=1).hits(prior, tmp_path_factory.mktemp(name))

    return hits


@pytest.mark.parametrize("name", ["uniform", pytest.param("ubp", marks=pytest.mark.slow)])
def test_blur_helps_where_the_brain_lacks_the_detail(measured: Any, name: str) -> None:
    without, with_blur = measured(True, "none"), measured(True, name)
    low, _ = interval(with_blur - without)
    assert low > 0.05, (without.mean(), with_blur.mean())


@pytest.mark.parametrize("name", ["uniform", pytest.param("ubp", marks=pytest.mark.slow)])
def test_blur_does_not_help_where_the_brain_has_the_detail(measured: Any, name: str) -> None:
    without, with_blur = measured(False, "none"), measured(False, name)
    low, high = interval(with_blur - without)
    assert low <= 0, (without.mean(), with_blur.mean())
    assert high < 0.05


def test_swapped_pairs_are_found_among_the_uncertain(tmp_path: Path) -> None:
    study = Study(mismatch=False, seed=2, swapped=0.05)
    prior = study.fit(UbpPriorConfig(), tmp_path).network.prior
    prior.end_epoch()
    flagged = np.flatnonzero(prior.blur_of_pairs().numpy() == np.float32(STRENGTHS[-1]))
    assert len(flagged) > 10
    share = np.isin(prior.images[flagged], study.swapped).mean()
    assert share > 10 * 0.05, f"{share:.2f} of the flagged pairs are swapped, 0.05 of all"
    found = np.isin(study.swapped, prior.images[flagged]).mean()
    assert found > 0.5


def test_selection_never_touches_the_state(tmp_path: Path) -> None:
    """Whatever is evaluated between epochs, each pair was seen once an epoch, and no more."""
    model = Study(mismatch=True, seed=3).fit(UbpPriorConfig(), tmp_path, epochs=3)
    assert model.network.prior.seen.max() <= 3
    assert bool((model.network.prior.seen == model.network.prior.seen[0]).all())


class _Power:
    """Fails in the middle of the second epoch, as a machine does."""

    def __init__(self) -> None:
        self.steps = 0

    def advance(self, count: int = 1) -> None:
        self.steps += count
        if self.steps == 7:
            raise KeyboardInterrupt

    def resume(self, count: int) -> None:
        self.steps += count


def test_a_resumed_run_has_the_same_state_bit_by_bit(tmp_path: Path) -> None:
    study, prior = Study(mismatch=True, seed=4), UbpPriorConfig()
    whole = study.fit(prior, tmp_path / "whole", epochs=3).network.state_dict()
    with pytest.raises(KeyboardInterrupt):
        study.fit(prior, tmp_path / "torn", 3, lambda *_: nullcontext(_Power()))
    torn = study.fit(prior, tmp_path / "torn", epochs=3).network.state_dict()
    assert len(np.unique(whole["prior.blur"])) == 3, "something was learned"
    for name, value in whole.items():
        assert np.array_equal(value.numpy(), torn[name].numpy()), name
