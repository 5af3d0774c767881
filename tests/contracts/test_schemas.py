"""Every key is typed, documented and declared; every YAML file stands on its schema."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from neuroattn.cli.compose import MAPPINGS, compose
from neuroattn.core.config import Choice, walk
from neuroattn.core.resources import shipped
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import compose_cited
from neuroattn.pipeline.recipes import load_recipe, recipes
from neuroattn.pipeline.stages import catalogue

CONF = shipped("conf")
CHOICES = [(group, name) for group, registry in catalogue().registries.items() for name in registry]
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
MANY = {"adeli2025_ensemble", "whole_brain_parcels"}  # forty members and eight
GROUP_FILES = sorted(
    path
    for path in CONF.glob("*/*.yaml")
    if path.parent.name not in ("experiment", "hydra", "local")
)


def _choice(group: str, name: str) -> RootConfig:
    """A composition with this choice."""
    return _turn(list(catalogue().registries[group]).index(name))


@cache
def _turn(number: int) -> RootConfig:
    """One choice of every group: as many compositions as the longest has, not one for each."""
    groups = {group: list(registry) for group, registry in catalogue().registries.items()}
    return compose([f"{group}={names[number % len(names)]}" for group, names in groups.items()])


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_key_is_declared_and_documented(group: str, name: str) -> None:
    for key in walk(_choice(group, name)):
        assert key.role in ("science", "execution"), f"{key.path} is not declared"
        assert len(key.doc) > 10, f"{key.path} has no documentation"
        assert key.doc.endswith("."), f"{key.path}: {key.doc}"


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_names_of_choices_are_their_registry_names(group: str, name: str) -> None:
    schema = catalogue().registries[group][name].schema
    assert issubclass(schema, Choice)
    assert schema().name == name
    assert type(getattr(_choice(group, name), group)) is schema


@pytest.mark.parametrize("file", GROUP_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_yaml_stands_on_its_schema(file: Path) -> None:
    # A file without its schema in `defaults` is not checked by Hydra at all.
    defaults = yaml.safe_load(file.read_text())["defaults"]
    group, name = file.parent.name, file.stem
    schema = (
        f"/schema/{group}/{name}@_here_"
        if group in catalogue().registries
        else f"/schema/{group}@_here_"
    )
    assert defaults[0] == schema
    assert defaults[-1] == "_self_"


@pytest.mark.parametrize(
    "file", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF))
)
def test_every_yaml_says_what_it_is_and_names_no_code(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("#"), "the first line says what the file is"
    if "hydra" not in file.parts:
        assert "_target_" not in text
        assert not re.search(r"\bneuroattn\.\w+", text), "no import paths in YAML"


@pytest.mark.parametrize(
    "name", EXPERIMENTS or [pytest.param("", marks=pytest.mark.skip("no experiment yet"))]
)
def test_every_experiment_composes_and_so_does_what_it_cites(name: str) -> None:
    config = compose([f"experiment={name}"])
    assert isinstance(config, RootConfig)
    if name not in MANY:  # a cited run is composed over keys that may not fit its own choices
        compose_cited(config.published.stage, config)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MANY))
def test_what_experiments_of_many_members_cite_composes(name: str) -> None:
    config = compose([f"experiment={name}"])
    compose_cited(config.published.stage, config)


@pytest.mark.parametrize("name", recipes())
def test_what_every_recipe_cites_composes(name: str) -> None:
    for step in load_recipe(name).steps:
        compose_cited(step.stage, compose(step.overrides))


def test_names_can_be_set_below_every_mapping() -> None:
    """Hydra refuses new names below a key unless it is told that the key is a mapping."""
    made = [RootConfig(), *(_choice(group, name) for group, name in CHOICES)]
    found = {key.path for config in made for key in walk(config) if isinstance(key.default, dict)}
    assert found
    assert found <= set(MAPPINGS)


def test_the_frozen_list_of_keys() -> None:
    # A key that vanishes or is renamed breaks saved commands: change this list knowingly.
    frozen = (Path(__file__).parent / "golden_keys.txt").read_text().split()
    assert sorted(key.path for key in walk(RootConfig())) + _choice_keys() == frozen


def _choice_keys() -> list[str]:
    return sorted(
        f"{group}={name}:{entry.name}"
        for group, name in CHOICES
        for entry in fields(catalogue().registries[group][name].schema)
    )


BLOCKER = """
import sys
class Blocker:
    names = {"torch", "pandas", "scipy", "sklearn", "matplotlib", "h5py", "nibabel", "himalaya"}
    names |= {"wandb"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ImportError(f"{name} was imported while composing")
sys.meta_path.insert(0, Blocker())
from neuroattn.cli.compose import compose
from neuroattn.pipeline.stages import catalogue
groups = {group: list(registry) for group, registry in catalogue().registries.items()}
for turn in range(max(map(len, groups.values()))):  # every choice once, many in one composition
    compose([f"{group}={names[turn % len(names)]}" for group, names in groups.items() if names])
from neuroattn.cli.main import main
assert main(["encode", "--cfg", "job"]) == 0
assert main(["encode", "encoder.nonsense=1"]) == 2
"""


def test_composing_everything_imports_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-c", BLOCKER], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
