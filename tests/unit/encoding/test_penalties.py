from __future__ import annotations

import numpy as np
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.decoding.decoder_schemas import RidgeDecoderConfig
from neuroattn.encoding.penalties import penalties
from neuroattn.encoding.registry import RidgeConfig

OWNERS = [(RidgeConfig, "encoder"), (RidgeDecoderConfig, "decoder")]


@pytest.mark.parametrize(("kind", "section"), OWNERS)
def test_the_grid_is_even_in_the_exponent(kind, section: str) -> None:
    grid = penalties(kind(alpha_min=0.01, alpha_max=100.0, n_alphas=5))
    np.testing.assert_allclose(grid, [0.01, 0.1, 1, 10, 100])


@pytest.mark.parametrize(("kind", "section"), OWNERS)
def test_an_empty_grid_is_refused_under_the_users_own_keys(kind, section: str) -> None:
    with pytest.raises(ConfigError, match="empty") as told:
        kind(alpha_min=2.0, alpha_max=1.0)
    assert f"{section}.alpha_max" in str(told.value)
