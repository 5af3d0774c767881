from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.decoding.eeg import EegProjectDecoder, TimeThenSpace, TsconvDecoder, channel_count
from neuroattn.decoding.eeg_schemas import EegProjectConfig, TsconvConfig

SMALL = TsconvConfig(filters=4, kernel=3, pool=4, stride=2)


def names(channels: int, samples: int) -> Any:
    return np.repeat(np.array([f"c{n}" for n in range(channels)], dtype=object), samples)


def train(channels: int = 3, samples: int = 20, dim: int = 8, **keys: Any) -> Any:
    rows = SimpleNamespace(
        table=np.zeros((5, channels * samples), np.float32),
        parcels=keys.get("parcels", names(channels, samples)),
    )
    space = SimpleNamespace(dim=dim, blocks=["last"])
    return SimpleNamespace(subjects=[rows, *keys.get("more", [])], space=space)


def test_the_projection_is_linear_then_a_residual_under_a_norm() -> None:
    encoder = EegProjectDecoder(EegProjectConfig()).encoder(train()).eval()
    epochs = torch.randn(5, 60)
    part = encoder.project
    entered = part.enter(epochs)
    wanted = part.norm(entered + part.inner[1](torch.nn.functional.gelu(entered)))
    assert torch.allclose(encoder(0, epochs), wanted)
    assert torch.equal(encoder(0, epochs), encoder(7, epochs)), "all subjects share it"


def test_no_head_follows_the_norm() -> None:
    decoder = EegProjectDecoder(EegProjectConfig(head=True))
    network = decoder.network(train())
    assert network.retrieval is None
    out = network.eval().embed(0, torch.randn(5, 60))
    assert out.shape == (5, 8)
    assert out.mean(1).abs().max() < 1e-5, "a fresh layer norm"


def test_filters_see_time_within_a_channel_and_channels_at_one_time() -> None:
    """A pulse moved within its window of averages changes nothing beyond that window."""
    front = TimeThenSpace(3, 20, SMALL).eval()
    epochs = torch.randn(2, 60)
    changed = epochs.clone()
    changed[:, 20 + 19] += 5.0  # the last sample of the second channel
    before, after = (front(part).reshape(2, 4, front.steps) for part in (epochs, changed))
    assert front.steps == 8
    assert torch.allclose(before[..., :-1], after[..., :-1], atol=1e-6)
    assert not torch.allclose(before[..., -1], after[..., -1])


def test_tsconv_ends_at_the_width_of_the_target() -> None:
    encoder = TsconvDecoder(SMALL).encoder(train(dim=16)).eval()
    assert encoder(0, torch.randn(5, 60)).shape == (5, 16)


def test_epochs_that_are_too_short() -> None:
    with pytest.raises(ConfigError, match="too short") as caught:
        TimeThenSpace(3, 20, TsconvConfig())
    assert "75 samples" in str(caught.value)
    TimeThenSpace(3, 75, TsconvConfig())


@pytest.mark.parametrize("parcels", [None, names(3, 20)[::-1][np.r_[0:20, 40:60, 20:39, 1]]])
def test_inputs_that_are_no_epochs(parcels: Any) -> None:
    with pytest.raises(ConfigError, match="no epochs"):
        TsconvDecoder(SMALL).encoder(train(parcels=parcels))
    assert channel_count(names(3, 20), 60) == 3


def test_subjects_with_other_channels_are_refused() -> None:
    other = SimpleNamespace(table=np.zeros((5, 40), np.float32), parcels=names(2, 20))
    with pytest.raises(ConfigError, match="different sizes"):
        EegProjectDecoder(EegProjectConfig()).encoder(train(more=[other]))
