"""The group ``encoder``: checked keys, no heavy import, plug-ins."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Entry, Registry, load
from neuroattn.encoding.registry import ENCODERS, STAGES, Arithmetic, EncoderConfig, RidgeConfig
from neuroattn.encoding.ridge import Ridge


def test_it_imports_nothing_heavy() -> None:
    heavy = {"torch", "pandas", "sklearn", "scipy", "h5py", "himalaya", "matplotlib"}
    program = f"import sys, neuroattn.encoding.registry; print({heavy} & sys.modules.keys())"
    command = [sys.executable, "-c", program]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "keys",
    [
        {"alpha_min": 0.0},
        {"alpha_min": 10.0, "alpha_max": 1.0},
        {"n_alphas": 0},
        {"inner_folds": 1},
        {"layers": []},
        {"layers": ["a", "a"]},
        {"primal_gb": -1.0},
        {"tile_mib": 0},
        {"n_targets_batch": 0},
        {"name": "other"},
    ],
)
def test_keys_out_of_range_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        RidgeConfig(**keys)  # type: ignore[arg-type]


def test_science_and_execution_are_declared() -> None:
    roles = {key.path: key.role for key in walk(RidgeConfig())}
    assert {name for name, role in roles.items() if role == "execution"} == {
        "also", "n_targets_batch", "tile_mib",
    }  # fmt: skip
    config = SimpleNamespace(encoder=RidgeConfig(precision=Arithmetic.float32, tile_mib=1))
    assert science_values(walk(config.encoder), ("name", "precision", "tile_mib")) == {
        "name": "ridge", "precision": "float32",
    }  # fmt: skip


def test_the_stage_declares_where_its_code_and_leaves_are() -> None:
    encode, predict = STAGES
    config = SimpleNamespace(
        encoder=RidgeConfig(), dataset=SimpleNamespace(split=SimpleNamespace(kind=None, file=None))
    )
    assert encode.parents(config) == ("prepare", "features")
    assert encode.label(config) == "ridge"
    assert load(encode.leaves)(config) == {}
    assert callable(load(encode.run))
    assert predict.parents(config) == ("prepare", "encode")
    assert callable(load(predict.run))


def test_a_plug_in_registers_its_class_once() -> None:
    registry = Registry("encoder", dict(ENCODERS))
    registry.add("mine", Entry(EncoderConfig, "neuroattn.encoding.ridge:Ridge"))
    assert registry.load("mine") is Ridge
    with pytest.raises(ConfigError, match="registered twice"):
        registry.add("ridge", Entry(EncoderConfig, "elsewhere:Ridge"))
