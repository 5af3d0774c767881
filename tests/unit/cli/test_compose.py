"""Composing: words in, a typed config or one helpful message out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf.errors import ConfigKeyError

from neuroattn.cli.compose import addressed, compose, explain
from neuroattn.core.errors import ConfigError
from neuroattn.core.sections import Device, Parents
from neuroattn.encoding.registry import RidgeConfig


def test_a_config_is_typed() -> None:
    config = compose(
        ["encoder.n_alphas=3", "runtime.device=cpu", "parents=require", "paths.root=x"]
    )
    assert type(config.encoder) is RidgeConfig
    assert config.encoder.n_alphas == 3
    assert config.runtime.device is Device.cpu
    assert config.parents is Parents.require
    assert config.paths.root == str(Path("x").absolute())


def test_entries_of_mappings_need_no_plus() -> None:
    words = ["use.prepare=1a2b", "+notes.a=b", "notes.c=d", "seed=1"]
    assert addressed(words) == ["++use.prepare=1a2b", "+notes.a=b", "++notes.c=d", "seed=1"]


@pytest.mark.parametrize(
    ("text", "keys", "told"),
    [
        ("Could not override 'encoder.alfa'.\nTo append…", ["encoder.alpha", "seed"],
         ["there is no key encoder.alfa", "expected: encoder.alpha"]),
        ("Could not override 'nothing.like.it'", ["seed"], ["there is no key nothing.like.it"]),
        ("Could not find 'encoder/rigde'\n\nAvailable options in 'encoder':\n\tridge\n\tattention",
         [], ["expected: ridge | attention", "encoder=<name>"]),
        ("Error merging override seed=x\nfull_key: seed\nobject_type=Root\n\tprovider=main", [],
         ["Error merging override seed=x\n"]),
    ],
)  # fmt: skip
def test_messages_are_short_and_name_what_is_near(
    text: str, keys: list[str], told: list[str]
) -> None:
    message = str(explain(ConfigCompositionException(text), lambda: keys))
    assert all(part in message for part in told), message
    assert "provider=" not in message
    assert "object_type" not in message


def test_the_cause_is_told_and_ours_is_passed_on() -> None:
    error = ConfigCompositionException("Error merging override seed=x")
    error.__cause__ = ConfigKeyError("Value 'x' is no integer")
    assert "Value 'x' is no integer" in str(explain(error))
    error.__cause__ = ConfigError("out of range", expected="above 0", fix="raise it")
    assert explain(error) is error.__cause__


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["encoder.split=3"], "there is no key encoder.split"),
        (["++dataset.split.sead=1"], "expected: dataset.split.seed"),
        (["~encoder"], "no encoder is chosen"),
        (["encoder.n_alphas=-1"], "must be 1 or more"),
        (["encoder.name=other"], "the name of the RidgeConfig section cannot be set"),
        (["seed=${nothing}"], "nothing"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(words)
    assert told in str(caught.value)
