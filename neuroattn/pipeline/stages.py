"""The stages and choices there are: collected from the rooms' registries and from plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata

from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Registry
from neuroattn.core.stage import Stage
from neuroattn.data import registry as data
from neuroattn.encoding import registry as encoding
from neuroattn.features import registry as features
from neuroattn.reports import registry as reports

PLUGIN_GROUP = "neuroattn.plugins"


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be named: stages by name, registries by config group.

    A plug-in is a function that takes the catalogue and adds to it, declared under the entry
    point group ``neuroattn.plugins``.
    """

    stages: Mapping[str, Stage]
    registries: Mapping[str, Registry]


@cache
def catalogue() -> Catalogue:
    """The stages and choices of this installation, plug-ins included.

    Raises
    ------
    ConfigError : a plug-in cannot be imported, or takes a name that is taken.
    """
    rooms = (data, features, encoding, reports)
    found = Catalogue(
        stages={stage.name: stage for room in rooms for stage in room.STAGES},
        registries={
            registry.group: Registry(registry.group, dict(registry))
            for registry in (data.DATASETS, features.BACKBONES, encoding.ENCODERS)
        },
    )
    for point in metadata.entry_points(group=PLUGIN_GROUP):
        _register(point, found)
    return found


def _register(point: metadata.EntryPoint, found: Catalogue) -> None:
    try:
        point.load()(found)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the plug-in {point.name} cannot be loaded",
            found=f"{type(error).__name__}: {error}",
            expected=f"{point.value} to be a function that takes the catalogue",
            fix="repair it, or uninstall its package",
        ) from error


def stage_named(name: str) -> Stage:
    """The stage called ``name``.

    Raises
    ------
    ConfigError : there is none; the message lists them.
    """
    stages = catalogue().stages
    if name not in stages:
        raise ConfigError(
            f"there is no stage {name!r}", expected=" | ".join(stages), fix="name one of them"
        )
    return stages[name]
