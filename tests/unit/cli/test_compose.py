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
    ("word", "read"),
    [
        ("dataset.root=~/nsd", "dataset.root='~/nsd'"),
        ("dataset.root='~/nsd'", "dataset.root='~/nsd'"),
        ("dataset.root=~/a,~/b", "dataset.root=~/a,~/b"),
        ("maps.minus=encoder=ridge seed=1", "maps.minus='encoder=ridge seed=1'"),
        ("encoder.start=encoder=attention", "encoder.start='encoder=attention'"),
        ("encoder.start=1a2b,null", "encoder.start=1a2b,null"),
        ("synthesis.judge=backbone=timm", "synthesis.judge='backbone=timm'"),
        ("synthesis.judge_fold=1", "synthesis.judge_fold=1"),
        ("synthesis.captions=captioner=lavca", "synthesis.captions='captioner=lavca'"),
        ("use.prepare=dataset=arrays", "++use.prepare='dataset=arrays'"),
        ("++use.prepare=dataset=arrays", "++use.prepare='dataset=arrays'"),
        ("+compare.members.a=seed=1", "+compare.members.a='seed=1'"),
    ],
)
def test_what_the_grammar_cannot_read_is_quoted(word: str, read: str) -> None:
    assert addressed([word]) == [read]
    assert addressed(addressed([word])) == [read]


def test_a_folder_below_home_and_overrides_as_references_compose() -> None:
    words = ["dataset.root=~/nsd", "maps.minus=encoder=ridge", "use.prepare=dataset=arrays"]
    config = compose(words)
    assert config.dataset.root == "~/nsd"
    assert config.maps.minus == "encoder=ridge"
    assert config.use == {"prepare": "dataset=arrays"}


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("dataset.root=/data/a=b", "quote the value: \"dataset.root='/data/a=b'\""),
        ("dataset.root=/data/a(1)", "quote the value: \"dataset.root='/data/a(1)'\""),
        ('dataset.root="/data', "quote the value: \"dataset.root='…'\""),
        ("dataset.subjects=[a", "close the brackets"),
        ("seed", "write key=value"),
        ("my seed=1", "write key=value"),
    ],
)
def test_what_the_grammar_cannot_read_is_told_with_its_remedy(word: str, fix: str) -> None:
    with pytest.raises(ConfigError, match="this override cannot be read") as caught:
        compose([word])
    assert caught.value.found == word
    assert fix in str(caught.value.fix)


def test_a_wrong_function_in_an_override_is_named() -> None:
    with pytest.raises(ConfigError, match="Unknown function 'a'") as caught:
        compose(["dataset.subjects=[a(1)]"])
    assert "quote the value" in str(caught.value)


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
        (["~encoder.alpha_max"], "fix: set it instead"),
        (["encoder.images=0"], "encoder.images is out of range"),
        (["encoder.images=0"], "fix: set encoder.images to"),
        (
            ["encoder=attention", "encoder.training.optimiser.lr=0"],
            "encoder.training.optimiser.lr is",
        ),
        (["dataset.split.folds=1"], "dataset.split.folds is out of range"),
        (
            ["published.expected=[{figure: a},{figure: b, tolerance: -1}]"],
            "expected[1].tolerance is",
        ),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(words)
    assert told in str(caught.value)
