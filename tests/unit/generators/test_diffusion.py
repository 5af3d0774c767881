from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neuroattn.generators.diffusion import (
    Denoiser,
    DiffusionTask,
    LatentSource,
    judged,
    nearest,
    noising,
    unet,
)
from neuroattn.generators.registry import GeneratorConfig, NearScenesConfig, Prediction
from neuroattn.generators.scenes import Side, scene_set, to_unit

SHAPE = {"widths": [8, 16], "blocks": 1, "heads": 2, "norm_groups": 4}


def _batch(count: int = 4) -> dict[str, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    mean = torch.randn(count, 4, 1, 1, generator=stream).expand(count, 4, 8, 8).contiguous()
    given = torch.nn.functional.normalize(torch.randn(count, 16, generator=stream), dim=1)
    return {"mean": mean, "sd": torch.zeros_like(mean), "given": given}


def _denoiser(config: GeneratorConfig) -> Denoiser:
    torch.manual_seed(0)
    first, mean = (unet(config, 4, 8, 16) for _ in range(2))
    mean.load_state_dict(first.state_dict())
    return Denoiser(first, mean, config.ema)


@pytest.mark.parametrize("prediction", list(Prediction))
def test_learning_lowers_the_loss(prediction: Prediction) -> None:
    config = GeneratorConfig(**SHAPE, prediction=prediction, ema=0.0)
    model, task = _denoiser(config), DiffusionTask(config, noising(config))
    optimiser = torch.optim.AdamW(model.unet.parameters(), lr=3e-3)

    def held() -> float:  # at steps and noise that never change
        with torch.no_grad():
            return task.evaluate(model.eval(), [_batch()])["loss"]

    before = held()
    for _ in range(14):
        optimiser.zero_grad()
        task.loss(model.train(), _batch()).backward()
        optimiser.step()
    assert held() < 0.9 * before


def test_the_running_mean_follows_and_is_what_evaluates() -> None:
    class One(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(value))

        def forward(self, latents, steps, encoder_hidden_states):
            return type("Out", (), {"sample": self.weight * latents})

    model = Denoiser(One(4.0), One(4.0), decay=0.15)
    rest = (torch.ones(1), torch.zeros(1), torch.zeros(1))
    model(*rest)  # the first look takes the weights as they are
    with torch.no_grad():
        model.unet.weight.fill_(8.0)
    model(*rest)
    assert model.mean.weight.item() == pytest.approx(0.15 * 4 + 0.85 * 8)
    assert model.eval()(*rest).item() == pytest.approx(7.4)
    assert not model.mean.weight.requires_grad
    assert {"mean.weight", "unet.weight", "seen"} <= set(model.state_dict())


def test_a_share_of_the_conditions_is_dropped() -> None:
    config = GeneratorConfig(**SHAPE, null_share=0.4)
    task, seen = DiffusionTask(config, noising(config)), []

    def network(noisy, steps, given):
        seen.append(given)
        return noisy

    torch.manual_seed(0)
    model = nn.Module()
    model.forward = network
    task.loss(model, _batch(400))
    empty = (seen[0].flatten(1) == 0).all(dim=1).float().mean()
    assert 0.3 < float(empty) < 0.5
    assert float(seen[0].flatten(1).norm(dim=1).max()) == pytest.approx(4, abs=1e-3)  # root of 16


def test_evaluation_draws_nothing() -> None:
    config = GeneratorConfig(**SHAPE)
    task, model = DiffusionTask(config, noising(config)), _denoiser(config).eval()
    before = torch.random.get_rng_state()
    with torch.no_grad():
        first = task.evaluate(model, [_batch()])
        assert first == task.evaluate(model, [_batch()])
    assert torch.equal(before, torch.random.get_rng_state())


def test_conditions_are_captions_and_pictures_in_the_wanted_shares() -> None:
    latents = {name: np.zeros((300, 1, 2, 2), dtype=np.float16) for name in ("mean", "sd")}
    vectors = {
        "image": np.zeros((300, 3)),
        "text": np.arange(5)[None, :, None] + np.ones((300, 5, 3)),
    }
    rows = np.arange(300)
    given = LatentSource(latents, vectors, 0.5).batch(rows, np.random.default_rng(0))["given"][:, 0]
    assert 0.4 < float((given > 0).float().mean()) < 0.6
    assert set(given.tolist()) == {0, 1, 2, 3, 4, 5}
    first = LatentSource(latents, vectors, None).batch(rows, np.random.default_rng(0))["given"]
    assert bool((first == 1).all())


def test_the_referee_s_verdict_is_counted() -> None:
    truth = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]])
    said = torch.tensor([[0.9, 0.1, 0, 0, 0, 0], [0.8, 0.2, 0, 0, 0, 0]])
    found = judged(said, truth)
    assert (found["found"], found["false"], found["exact"]) == (0.5, 0.1, 0.5)
    assert (found["found.animal"], found["found.body"]) == (1, 0)
    assert found["foremost"] == 0.5, "a person's picture looks most like an animal"
    several = judged(torch.tensor([[0.4, 0.3, 0, 0, 0, 0]]), np.array([[0, 1, 1, 0, 0, 0]]))
    assert (several["found"], several["foremost"]) == (0, 0)


def test_a_copy_of_a_training_scene_has_distance_0(models) -> None:
    scenes = scene_set(models / "scenes", "near", Side.train, NearScenesConfig(near=24, held=8), 0)
    found = nearest(torch.cat([to_unit(scenes.pixels[3:4]), torch.zeros(1, 3, 64, 64)]), scenes)
    assert found["nearest.least"] < 1e-3
    assert found["nearest.median"] < 0.5
