"""Recipes: lists of stages with overrides, read from ``workflows/recipes`` or a file.

A recipe picks combinations and defines nothing::

    about: what it shows
    steps:
      - stage: report
        overrides: [encoder=ridge]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from neuroattn.core.errors import ConfigError
from neuroattn.core.resources import shipped

# Datasets that a recipe may have made, and what reads them.
GENERATED = {"arrays": "arrays", "simulated": "nsd"}


@dataclass(frozen=True)
class Step:
    """One stage of a recipe with its overrides, as typed on a command line."""

    stage: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """A named list of steps.

    Parameters
    ----------
    generate : the dataset that is generated first; empty for none.
    models : embedded models that are trained before the steps, each after those that it needs.
    """

    name: str
    about: str
    steps: tuple[Step, ...]
    generate: str = ""
    models: tuple[str, ...] = ()


def recipes() -> dict[str, Path]:
    """Shipped recipes by name."""
    return {path.stem: path for path in sorted((shipped("workflows") / "recipes").glob("*.yaml"))}


def load_recipe(name: str) -> Recipe:
    """The recipe called ``name``, or in the file ``name``.

    Raises
    ------
    ConfigError : there is none, or it is not of the form above.
    """
    known = recipes()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise ConfigError(
            f"there is no recipe {name!r}",
            expected=" | ".join(known),
            fix="name one, or a YAML file",
        )
    try:
        return _recipe(path.stem, yaml.safe_load(path.read_text()))
    except (KeyError, TypeError, AttributeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            "this is no recipe",
            file=path,
            expected="about, steps: [{stage, overrides: [key=value]}], one step at least; and"
            " where wanted generate: DATASET, models: [NAME]",
            found=" ".join(str(error).split()) or type(error).__name__,
            fix="see workflows/recipes/demo.yaml",
        ) from error


def _recipe(name: str, content: Any) -> Recipe:
    steps = tuple(_step(step) for step in content["steps"])
    if not steps:
        raise TypeError("no steps")
    about, generate = (str(content.get(key, "")) for key in ("about", "generate"))
    if generate and generate not in GENERATED:
        raise TypeError(f"generate names none of {', '.join(GENERATED)}: {generate!r}")
    models = content.get("models", [])
    if not isinstance(models, list):
        raise TypeError(f"models is no list: {models!r}")
    return Recipe(name, about, steps, generate, tuple(map(str, models)))


def _step(content: dict[str, Any]) -> Step:
    overrides = content.get("overrides", [])
    if not isinstance(overrides, list):
        raise TypeError(f"overrides is no list: {overrides!r}")
    return Step(str(content["stage"]), tuple(map(str, overrides)))
