from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.decoding.blur_levels import Levels
from neuroattn.decoding.blur_prior import blur_of, z_scores
from neuroattn.decoding.level_bank import embeddings
from neuroattn.decoding.prior import Bank, Plain, Prior
from neuroattn.decoding.prior_schemas import (
    PRIORS,
    FoveaPriorConfig,
    FusionPriorConfig,
    NoPriorConfig,
    PriorConfig,
    ReliabilityPriorConfig,
    Rule,
    UbpPriorConfig,
    UniformPriorConfig,
)

LEVELS = (0.0, 7.1, 8.0, 8.9)
LOW, MEDIUM, HIGH = 7.1, 8.0, 8.9


class Space:
    """Embeddings that tell their image and strength."""

    def __init__(self, strengths: Sequence[float] = LEVELS, dim: int = 3) -> None:
        self.strengths, self.dim = strengths, dim

    def read(self, images: ArrayLike, strength: float = 0.0) -> NDArray[np.float32]:
        assert strength in self.strengths, "only what is stored can be read"
        ids = np.asarray(images, dtype=np.float32)
        return np.stack([ids, np.full_like(ids, strength), np.ones_like(ids)], 1)[:, : self.dim]


def bank(
    images: int = 400, subjects: int = 1, repeats: int = 1, kind: str = "fovea", **keys: Any
) -> Bank:
    shown = np.tile(np.repeat(np.arange(10, 10 + images), repeats), subjects)
    who = np.repeat(np.arange(subjects), images * repeats)
    return Bank(
        **{"space": Space(), "images": shown, "subjects": who, "blur": {"kind": kind}} | keys
    )


def made(config: PriorConfig, where: Bank) -> Any:
    prior = PRIORS.load(config.name)(config, where)
    assert isinstance(prior, Prior)
    return prior


def blurs(prior: Any, rows: Sequence[int]) -> list[float]:
    """With what strength rows are matched now, as the embeddings say."""
    return [round(float(x), 4) for x in prior.targets_for(torch.tensor(rows)).detach()[:, 1]]


def state(prior: Any) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in prior.state_dict().items()}


# --- fixed


def test_none_is_the_original_bit_for_bit() -> None:
    rows = torch.arange(400)
    ours, plain = made(NoPriorConfig(), bank()), Plain(bank())
    assert torch.equal(ours.targets_for(rows), plain.targets_for(rows))
    assert torch.equal(ours.gallery(np.arange(5)), plain.gallery(np.arange(5)))
    assert ours.state_dict() == {}


def test_one_blur_for_all_and_the_same_in_the_gallery() -> None:
    prior = made(FoveaPriorConfig(strength=8.0), bank())
    assert blurs(prior, [0, 5]) == [8.0, 8.0]
    assert prior.targets_for(torch.tensor([5]))[0, 0] == 15
    unseen = prior.gallery(np.array([999, 7]))
    assert unseen[:, :2].tolist() == [[999.0, 8.0], [7.0, 8.0]]


def test_between_two_levels_lies_their_mixture() -> None:
    prior = made(FoveaPriorConfig(strength=4.0), bank())
    assert blurs(prior, [0]) == [4.0]
    assert embeddings(Space(), np.array([3]), 8.45)[0, 1] == pytest.approx(8.45)
    assert blurs(made(FoveaPriorConfig(strength=0), bank()), [0]) == [0.0]


def test_a_blur_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="prior=uniform needs another blur"):
        made(UniformPriorConfig(), bank())


def test_without_blur_levels_the_error_tells_what_to_set() -> None:
    where = bank(space=Space((0.0,)))
    for config, levels in ((FoveaPriorConfig(), "8.0"), (UbpPriorConfig(), "7.1,8.0,8.9"),
                           (FusionPriorConfig(), "8.0")):  # fmt: skip
        with pytest.raises(ConfigError, match=rf"backbone.blur.levels=\[{levels}\]"):
            made(config, where)


def test_a_blur_beyond_the_bank_is_refused() -> None:
    with pytest.raises(ConfigError, match="end with 9"):
        made(FoveaPriorConfig(strength=9.0), bank())


def test_levels_with_equal_embeddings_are_refused() -> None:
    class Blind(Space):
        def read(self, images: ArrayLike, strength: float = 0.0) -> NDArray[np.float32]:
            return super().read(images, min(strength, 8.0) if strength != 8.9 else 8.0)

    with pytest.raises(ConfigError, match=r"8 and 8\.9"):
        made(UbpPriorConfig(), bank(space=Blind()))
    with pytest.raises(ConfigError, match="ascending from 0"):
        Levels("fovea", (0.0, 8.0, 8.0))


# --- uncertainty


def outliers(count: int = 400) -> torch.Tensor:
    """Similarities with one 5 deviations low, one 5 high; 0.2 with a deviation of 0.05."""
    noise = torch.randn(count, generator=torch.Generator().manual_seed(1)).clamp(-1.5, 1.5)
    similar = 0.2 + 0.05 * (noise - noise.mean()) / noise.std()
    similar[3], similar[4] = 0.2 - 5 * 0.05, 0.2 + 5 * 0.05
    return similar


def test_a_pair_far_too_dissimilar_is_blurred_more_and_one_far_too_similar_less() -> None:
    prior = made(UbpPriorConfig(), bank())
    assert blurs(prior, range(400)) == [MEDIUM] * 400
    prior.observe(torch.arange(400), outliers())
    assert blurs(prior, range(400)) == [MEDIUM] * 400, "not before the epoch ends"
    prior.end_epoch()
    found = blurs(prior, range(400))
    assert (found[3], found[4]) == (HIGH, LOW)
    assert set(found[5:]) == {MEDIUM}
    assert float(prior.uncertainty()[3]) > 4


def test_a_twentieth_of_gaussian_pairs_is_flagged() -> None:
    prior = made(UbpPriorConfig(), bank(20_000))
    similar = torch.randn(20_000, generator=torch.Generator().manual_seed(2))
    prior.observe(torch.arange(20_000), similar)
    prior.end_epoch()
    blur = prior.blur_of_pairs().numpy()
    assert (blur != np.float32(MEDIUM)).mean() == pytest.approx(0.05, abs=0.006)
    assert (blur == np.float32(HIGH)).sum() == pytest.approx(
        (blur == np.float32(LOW)).sum(), rel=0.15
    )


def test_the_first_similarity_counts_in_full_and_later_ones_by_the_momentum() -> None:
    prior = made(UbpPriorConfig(momentum=0.3), bank(10))
    rows = torch.arange(10)
    for similar in (0.2, 0.6):
        prior.observe(rows, torch.full((10,), similar))
    assert prior.average.numpy() == pytest.approx(0.7 * 0.2 + 0.3 * 0.6)
    prior.end_epoch()
    assert blurs(prior, [0, 9]) == [MEDIUM, MEDIUM], "equal pairs differ in nothing"


def test_averages_are_judged_by_averages() -> None:
    """A pair that is off once, after many epochs in the middle, is not flagged."""
    prior, rows = made(UbpPriorConfig(), bank()), torch.arange(400)
    noise = torch.Generator().manual_seed(3)
    base = 0.2 + 0.05 * torch.randn(400, generator=noise).clamp(-1.5, 1.5)
    base[7] = 0.2
    for _ in range(20):
        prior.observe(rows, base)
    once = base.clone()
    once[7] = 0.2 - 3 * 0.05
    prior.observe(rows, once)
    prior.end_epoch()
    assert blurs(prior, [7]) == [MEDIUM]


def test_batches_change_nothing() -> None:
    """Means and deviations are over the epoch: the size of a batch does not matter."""
    whole, parts = made(UbpPriorConfig(), bank()), made(UbpPriorConfig(), bank())
    similar = outliers()
    whole.observe(torch.arange(400), similar)
    for rows in torch.randperm(400, generator=torch.Generator().manual_seed(0)).split(7):
        parts.observe(rows, similar[rows])
    whole.end_epoch()
    parts.end_epoch()
    assert state(whole) == state(parts)


def test_no_subject_sets_the_blur_of_another() -> None:
    prior = made(UbpPriorConfig(), bank(subjects=2))
    similar = torch.cat([outliers(), 0.02 * outliers() - 0.5])
    prior.observe(torch.arange(800), similar)
    prior.end_epoch()
    found = blurs(prior, range(800))
    assert found[:400] == found[400:]
    assert found[3] == HIGH


def test_repeats_of_a_picture_are_one_pair() -> None:
    prior = made(UbpPriorConfig(), bank(50, repeats=3))
    assert len(prior.images) == 50
    prior.observe(torch.tensor([0, 1, 2, 5]), torch.tensor([0.1, 0.2, 0.3, 0.7]))
    assert prior.average[0] == pytest.approx(0.2)
    assert prior.average[1] == pytest.approx(0.7)
    assert prior.seen.tolist()[:3] == [1, 1, 0]


def test_what_was_never_seen_is_unknown_and_stays_in_the_middle() -> None:
    prior = made(UbpPriorConfig(), bank())
    prior.observe(torch.arange(399), outliers()[:399])
    prior.end_epoch()
    assert torch.isnan(prior.uncertainty()[399])
    assert blurs(prior, [399]) == [MEDIUM]


def test_a_test_leaves_the_state_bit_identical() -> None:
    prior = made(UbpPriorConfig(), bank())
    prior.observe(torch.arange(400), outliers())
    prior.end_epoch()
    before = state(prior)
    prior.eval()
    for images in (np.arange(10, 210), np.arange(500, 700)):
        prior.gallery(images)
    prior.targets_for(torch.arange(200))
    prior.uncertainty()
    assert state(prior) == before


def test_the_gallery_is_at_medium_blur() -> None:
    prior = made(UbpPriorConfig(), bank())
    prior.observe(torch.arange(400), outliers())
    prior.end_epoch()
    assert prior.gallery(np.array([13, 14]))[:, 1].tolist() == [MEDIUM, MEDIUM]


def test_the_state_goes_through_a_checkpoint() -> None:
    first, second = made(UbpPriorConfig(), bank()), made(UbpPriorConfig(), bank())
    first.observe(torch.arange(400), outliers())
    first.end_epoch()
    assert state(first) != state(second)
    second.load_state_dict(first.state_dict())
    for prior in (first, second):
        prior.observe(torch.arange(50), torch.linspace(0, 1, 50))
        prior.end_epoch()
    assert state(first) == state(second)
    assert {"average", "seen", "blur"} == set(first.state_dict())


def test_the_continuous_rule_lies_in_between() -> None:
    three = (LOW, MEDIUM, HIGH)
    known = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, torch.nan], dtype=torch.float64)
    found = blur_of(known, three, 2.0, Rule.continuous)
    assert found.numpy() == pytest.approx([7.1, 7.55, 8.0, 8.45, 8.9, 8.0])
    assert blur_of(known, three, 2.0, Rule.levels).numpy() == pytest.approx(
        [7.1, 8.0, 8.0, 8.0, 8.9, 8.0]
    )


def test_strengths_of_one_s_own_may_lie_between_levels() -> None:
    prior = made(UbpPriorConfig(strengths=[0, 4, 8.9]), bank())
    assert blurs(prior, [1]) == [4.0]
    with pytest.raises(ConfigError):
        UbpPriorConfig(strengths=[4, 4, 8])


def test_z_scores_of_few_or_equal_values_are_0() -> None:
    values, subject = torch.arange(10.0), torch.tensor([0] * 3 + [1] * 7)
    known = torch.ones(10, dtype=torch.bool)
    assert z_scores(values, subject, known).tolist() == [0.0] * 10
    equal = z_scores(torch.ones(20), torch.zeros(20, dtype=torch.int64), torch.ones(20) > 0)
    assert equal.tolist() == [0.0] * 20


# --- reliability


def test_pairs_whose_repeats_disagree_are_blurred_more() -> None:
    agree = np.random.default_rng(0).normal(0.5, 0.01, 400).clip(0.48, 0.52)
    agree[3], agree[4], agree[5] = 0.2, 0.8, np.nan
    prior = made(ReliabilityPriorConfig(), bank(reliability=lambda: agree))
    assert blurs(prior, [3, 4, 5, 6]) == [HIGH, LOW, MEDIUM, MEDIUM]
    before = state(prior)
    prior.observe(torch.arange(400), outliers())
    prior.end_epoch()
    assert state(prior) == before, "training teaches it nothing"


@pytest.mark.parametrize("known", [None, np.full(400, np.nan)])
def test_without_repeats_there_is_no_reliability(known: Any) -> None:
    with pytest.raises(DataError, match="no training picture has two repeats"):
        made(ReliabilityPriorConfig(), bank(reliability=None if known is None else lambda: known))


# --- fusion


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_mixture_is_learned_and_is_in_the_gallery(per_channel: bool) -> None:
    prior = made(FusionPriorConfig(per_channel=per_channel), bank())
    mean = sum(LEVELS) / 4
    assert blurs(prior, [0]) == [round(mean, 4)]
    optimiser = torch.optim.SGD(prior.parameters(), lr=1.0)
    for _ in range(200):
        optimiser.zero_grad()
        prior.targets_for(torch.arange(5))[:, 1].sub(LEVELS[-1]).square().mean().backward()
        optimiser.step()
    assert prior.gallery(np.array([42]))[0, 1] == pytest.approx(LEVELS[-1], abs=0.3)
    assert sum(prior.facts()["shares"]) == pytest.approx(1.0)
