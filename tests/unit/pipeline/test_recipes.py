"""Recipes: shipped ones by name, own ones by file, anything else by a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.generators.registry import JUDGES, MODELS, NEEDS
from neuroattn.pipeline.recipes import Step, load_recipe, recipes
from neuroattn.pipeline.stages import catalogue


@pytest.mark.parametrize("name", recipes())
def test_shipped_ones_name_stages_that_exist(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.about
    assert {step.stage for step in recipe.steps} <= set(catalogue().stages)
    assert set(recipe.models) <= set(MODELS)


def test_all_embedded_models_are_rebuilt_each_after_what_it_needs() -> None:
    order = load_recipe("rebuild_embedded").models
    assert sorted(order) == sorted(MODELS)
    for name in order:
        assert set(NEEDS.get(name, ())) <= set(order[: order.index(name)])
        assert set(JUDGES.get(name, ())) <= set(order[: order.index(name)])


def test_one_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("steps:\n  - stage: prepare\n  - {stage: encode, overrides: [seed=1, 2]}\n")
    recipe = load_recipe(str(file))
    assert recipe.name == "mine"
    assert recipe.steps == (Step("prepare", ()), Step("encode", ("seed=1", "2")))
    assert recipe.generate == ""
    assert recipe.models == ()


@pytest.mark.parametrize(
    "content",
    ["", "steps: 3", "about: x", "- stage: encode", "steps: [encode]", "steps: [{overrides: []}]",
     "steps: [", "steps: []", "steps: [{stage: encode, overrides: seed=1}]",
     "generate: brains\nsteps: [{stage: encode}]", "models: referee\nsteps: [{stage: encode}]"],
)  # fmt: skip
def test_a_malformed_file_is_told_by_its_name(content: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(file))
    assert caught.value.file == str(file)


def test_one_that_is_not_there_lists_the_shipped() -> None:
    with pytest.raises(ConfigError, match="demo"):
        load_recipe("nonesuch")
