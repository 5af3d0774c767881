from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.generators import referee as referees
from neuroattn.generators.loading import load
from neuroattn.generators.making import Workplace
from neuroattn.generators.referee import (
    LOOKS,
    Referee,
    RefereeNetwork,
    RefereeTask,
    bent,
    even_odds,
    scores,
    stained,
)
from neuroattn.generators.registry import RefereeConfig
from neuroattn.generators.scenes import Side, fitted, scene_sets
from tests.unit.generators.tiny_models import tiny_config


def _truth() -> dict[str, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    return {
        "presence": (torch.rand(12, 6, generator=stream) > 0.5).float(),
        "attributes": torch.randn(12, 6, 6, generator=stream),
        "place": torch.randint(0, 6, (12,), generator=stream),
    }


def test_scores_of_a_perfect_a_constant_and_an_inverted_judge() -> None:
    truth = _truth()
    place = torch.nn.functional.one_hot(truth["place"], 6).float()
    perfect = {
        "presence": truth["presence"] - 0.5,
        "attributes": truth["attributes"],
        "place": place,
    }
    found = scores(perfect, truth)
    assert found["accuracy"] == found["exact"] == found["place"] == 1
    assert min(value for name, value in found.items() if name.startswith("r.")) > 0.999
    always = scores({**perfect, "presence": torch.ones(12, 6)}, truth)
    assert always["accuracy"] == 0.5  # balanced: saying yes to everything is chance
    assert scores({**perfect, "presence": 0.5 - truth["presence"]}, truth)["accuracy"] == 0


def test_attributes_of_absent_things_do_not_count() -> None:
    torch.manual_seed(0)
    network, task = RefereeNetwork([4, 4]).eval(), RefereeTask(RefereeConfig())
    batch = {
        "pixels": torch.rand(3, 3, 32, 32),
        "presence": torch.zeros(3, 6),
        "attributes": torch.randn(3, 6, 6),
        "place": torch.zeros(3, dtype=torch.int64),
    }
    batch["presence"][:, 0] = 1
    torch.manual_seed(1)
    before = task.loss(network, batch).item()
    batch["attributes"][:, 1:] = 99
    torch.manual_seed(1)
    assert task.loss(network, batch).item() == before


def test_quarters_of_a_batch_are_seen_at_resolutions_of_their_own() -> None:
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 32, 32).expand(9, 3, 32, 32)
    alone = RefereeConfig(noise=0, coarsest=0.2, warp=0, stain=0)
    worse = RefereeTask(alone).worsened(pixels)
    assert worse.shape == pixels.shape
    spread = worse.std(dim=(1, 2, 3))
    assert len(spread.unique()) >= 3
    assert bool((spread <= pixels[0].std() + 1e-6).all())


def test_pictures_made_worse_stay_pictures() -> None:
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, 32, 32)
    worse = RefereeTask(RefereeConfig()).worsened(pixels)
    assert worse.shape == pixels.shape
    assert 0 <= float(worse.min()) <= float(worse.max()) <= 1
    assert not torch.equal(worse, pixels)


def test_every_other_picture_is_bent_and_stained() -> None:
    torch.manual_seed(0)
    pixels = torch.rand(6, 3, 32, 32)
    before = pixels.clone()
    worse = RefereeTask(RefereeConfig(noise=0, coarsest=1)).worsened(pixels)
    torch.testing.assert_close(worse[1::2], pixels[1::2], rtol=0, atol=1e-6)
    assert bool(((worse - pixels)[::2].abs().amax(dim=(1, 2, 3)) > 0.05).all())
    assert torch.equal(pixels, before)


def test_bending_moves_pixels_smoothly_by_a_share_of_the_side() -> None:
    torch.manual_seed(0)
    side, count = 64, 400
    ramp = torch.linspace(0, 1, side).expand(count, 3, side, side)  # a pixel's value is its place
    torch.testing.assert_close(bent(ramp, 0.0), ramp, rtol=0, atol=1e-6)
    moved = (bent(ramp, 0.02) - ramp)[:, 0, 16:48, 16:48]  # away from the border
    # Deviations are uniform up to 0.02, so their root mean square is that over root 3; between
    # its cells the field is somewhat flatter.
    assert 0.6 < float(moved.square().mean().sqrt()) / (0.02 / 3**0.5) < 1.05
    steps = moved.diff(dim=2).square().mean() / moved.square().mean()
    assert float(steps) < 0.1  # of white noise it would be 2
    torch.testing.assert_close(moved.mean(), torch.tensor(0.0), rtol=0, atol=1e-3)
    columns = bent(ramp.transpose(2, 3), 0.02)[:, 0, 16:48, 16:48]  # down as well as across
    assert float((columns - ramp.transpose(2, 3)[:, 0, 16:48, 16:48]).std()) > 0.005


def test_stains_are_smooth_colour() -> None:
    torch.manual_seed(0)
    grey = torch.full((400, 3, 64, 64), 0.5)
    torch.testing.assert_close(stained(grey, 0.0), grey)
    added = stained(grey, 0.09) - 0.5
    assert 0.6 < float(added.square().mean().sqrt()) / (0.09 / 3**0.5) < 1.05
    assert float(added.diff(dim=3).square().mean() / added.square().mean()) < 0.4
    assert float((added[:, 0] * added[:, 1]).mean()) < 0.1 * float(added.square().mean())


def test_even_odds_take_the_share_of_training_pictures_out_of_a_verdict() -> None:
    torch.manual_seed(0)
    network, pixels = RefereeNetwork([4, 4]).eval(), torch.rand(3, 3, 32, 32)
    shares = np.array([0.5, 0.25, 0.1, 0.9, 0.5, 0.01])
    with torch.no_grad():
        before = network(pixels)
        even_odds(network, shares)
        after = network(pixels)
    prior = torch.from_numpy(np.log(shares / (1 - shares))).float()
    # One that knows nothing says the share; at even odds it says one half.
    assert torch.allclose(after["presence"], before["presence"] - prior, atol=1e-5)
    for other in ("attributes", "place"):
        assert torch.allclose(after[other], before[other], atol=1e-5)
    even_odds(network, np.array([0, 1, 0, 1, 0, 1.0]))  # in every picture, or in none
    assert bool(torch.isfinite(network.evidence.bias).all())


def test_what_is_saved_judges_at_even_odds(models, tmp_path, monkeypatch) -> None:
    """Nothing is trained here, so that the weights before are known."""
    config = tiny_config("referee")
    outcome = SimpleNamespace(steps=0)
    monkeypatch.setattr(referees, "trained", lambda *given: outcome)
    made = referees.train(config, Workplace(models, "referee"))
    made.save(tmp_path)
    sets = scene_sets(models / "scenes", Side.train, config.scenes, config.seed)
    share = np.concatenate([one.presence for one in sets]).mean(axis=0)
    first = referees.seeded(config, lambda: RefereeNetwork(config.widths))
    pixels = torch.rand(4, 3, 32, 32)
    plain = Referee(first, config.side).judge(pixels)["presence"]
    saved = referees.read(tmp_path, torch.device("cpu")).judge(pixels)["presence"]
    prior = torch.from_numpy(np.log(share / (1 - share))).float()
    assert torch.allclose(torch.logit(saved), torch.logit(plain) - prior, atol=0.02)  # in halves
    assert float(prior.abs().min()) > 0.2


def test_it_judges_pictures_of_any_size(models) -> None:
    referee = load(models / "referee")
    for side in (64, 160):
        said = referee.judge(torch.rand(2, 3, side, side))
        assert said["presence"].shape == (2, len(CATEGORIES))
        assert torch.allclose(said["place"].sum(dim=1), torch.ones(2), atol=1e-5)


def test_it_answers_with_the_mean_of_its_looks(models) -> None:
    referee = load(models / "referee")
    pixels, looks = torch.rand(2, 3, 64, 64), referee.network
    sizes = [round(look * looks.side) for look in LOOKS]
    assert len(set(sizes)) == len(LOOKS) > 1
    with torch.no_grad():
        each = [looks.network(fitted(pixels, size))["attributes"] for size in sizes]
    assert not torch.allclose(each[0], each[1])
    assert torch.allclose(referee.judge(pixels)["attributes"], sum(each) / len(each), atol=1e-6)


def test_learning_lowers_the_loss() -> None:
    torch.manual_seed(0)
    network, task = RefereeNetwork([8, 8]), RefereeTask(RefereeConfig(noise=0.0))
    pixels = torch.zeros(6, 3, 16, 16)
    for n in range(6):
        pixels[n, n % 3, :, : 8 + n] = 1
    batch = {"pixels": pixels, **{name: value[:6] for name, value in _truth().items()}}
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = task.loss(network, batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
