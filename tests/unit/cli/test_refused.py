"""Choices that cannot go together are refused before anything is built, also by a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.captioning.registry import CAPTIONERS, VlmConfig
from neuroattn.cli import verbs
from neuroattn.cli.main import main
from neuroattn.core.errors import ConfigError
from neuroattn.pipeline.plan import compose_cited, plan

LEVELS = "backbone.blur.levels=[7.1,8,8.9]"
LEVEL = "backbone.blur.levels=[8]"
KIND = "backbone.blur.kind=lowres"
REFUSED = [
    ("decode", ["decoder=ridge", "prior=ubp", LEVELS], "has a closed form"),
    ("decode", ["prior=lowres"], "needs a blur level"),
    ("decode", ["prior=lowres", LEVELS], "needs another blur"),
    ("decode", ["prior=fovea", LEVELS, "prior.strength=9"], "beyond the levels"),
    ("decode", ["decoder=ridge_mlp", "prior=fusion"], "needs a blur level"),
    (
        "decode",
        ["decoder=ridge_mlp", "prior=ubp", "backbone.blur.levels=[8]"],
        "needs three blur levels",
    ),
    ("ablate", ["prior=lowres"], "needs a blur level"),
    ("caption", ["captioner=prefix_lm"], "reads embeddings of an image-text space"),
    ("caption", ["captioner=prefix_lm", "backbone=space", "encoder=attention"], "reads embeddings"),
]
FINE = [
    ("decode", ["decoder=ridge_mlp", "prior=ubp", LEVELS]),
    ("decode", ["prior=lowres", KIND, LEVELS]),
    ("decode", ["prior=lowres", "use.features=store-12345678"]),
    ("ablate", ["prior=lowres", "use.decode=mlp-12345678"]),
    ("caption", ["captioner=prefix_lm", "backbone=space", "encoder=linear_cls"]),
    ("caption", ["captioner=prefix_lm", "use.encode=ridge-12345678"]),
    ("caption", ["captioner=prefix_lm", "backbone=arrays", "encoder=ridge"]),
    ("caption", ["captioner=nearest"]),
]


@pytest.mark.parametrize(("stage", "words", "problem"), REFUSED)
def test_what_cannot_be_run_is_refused_at_once(
    stage: str, words: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["dataset.root=nowhere", f"paths.root={tmp_path / 'root'}"]
    assert main([stage, *place, *words]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(("stage", "words", "problem"), [REFUSED[0], REFUSED[1], REFUSED[7]])
def test_a_plan_refuses_it_too(stage: str, words: list[str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        plan(stage, verbs._compose(["dataset.root=nowhere", *words]))


@pytest.mark.parametrize(("stage", "words"), FINE)
def test_what_may_be_run_is_not_refused(stage: str, words: list[str]) -> None:
    words = [f"++{word}" if word.startswith("use.") else word for word in words]
    compose_cited(stage, verbs._compose(words))


def test_a_captioner_without_its_model_reads_no_file() -> None:
    with pytest.raises(ConfigError, match="does not say which model"):
        CAPTIONERS.leaves(VlmConfig())
