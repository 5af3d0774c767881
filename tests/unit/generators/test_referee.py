from __future__ import annotations

import torch

from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.generators.loading import load
from neuroattn.generators.referee import LOOKS, RefereeNetwork, RefereeTask, scores
from neuroattn.generators.registry import RefereeConfig
from neuroattn.generators.scenes import fitted


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
    worse = RefereeTask(RefereeConfig(noise=0, coarsest=0.2)).worsened(pixels)
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
