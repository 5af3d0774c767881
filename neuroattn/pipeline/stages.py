"""The stages and choices there are: those of the rooms' registries and those of plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata

from neuroattn.captioning import registry as captioning
from neuroattn.compare import registry as compare
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import PLUGIN_GROUP, Entry, Registry
from neuroattn.core.stage import Stage
from neuroattn.data import registry as data
from neuroattn.decoding import registry as decoding
from neuroattn.encoding import registry as encoding
from neuroattn.features import registry as features
from neuroattn.generators import registry as generators
from neuroattn.maps import registry as maps
from neuroattn.pipeline import plugins
from neuroattn.reports import registry as reports
from neuroattn.synthesis import registry as synthesis

ROOMS = (
    data, features, generators, encoding, decoding, synthesis, captioning, maps, compare, reports,
)  # fmt: skip


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be named: stages by name, registries by config group.

    The registries are the very objects that the rooms read, so what is added here is there
    for everybody in this process. A plug-in is a function that takes the catalogue and calls
    `add` and `add_stage`; ``plugins`` has those that were taken in, with their packages.
    """

    stages: dict[str, Stage]
    registries: Mapping[str, Registry]
    plugins: dict[str, str] = field(default_factory=dict)

    def add(self, group: str, name: str, entry: Entry) -> None:
        """Register the choice ``group=name``.

        Raises
        ------
        ConfigError : there is no such group, or the name is taken.
        """
        if group not in self.registries:
            raise ConfigError(
                f"there is no config group {group!r}",
                expected=" | ".join(self.registries),
                fix="add the choice to one of these groups",
            )
        self.registries[group].add(name, entry)

    def add_stage(self, stage: Stage) -> None:
        """Register a further stage.

        Raises
        ------
        ConfigError : the name is taken.
        """
        if stage.name in self.stages:
            raise ConfigError(
                f"the stage {stage.name} is registered twice",
                expected=self.stages[stage.name].run,
                found=stage.run,
                fix="rename the plug-in's stage",
            )
        self.stages[stage.name] = stage


# One a process: a catalogue of its own would hand its choices to nobody.
_CATALOGUE = Catalogue(
    stages={stage.name: stage for room in ROOMS for stage in room.STAGES},
    registries={
        registry.group: registry
        for registry in (
            data.DATASETS,
            features.BACKBONES,
            encoding.ENCODERS,
            decoding.DECODERS,
            decoding.PRIORS,
            captioning.CAPTIONERS,
            generators.GENERATORS,
            synthesis.GUIDANCE,
        )
    },
)


@cache
def catalogue() -> Catalogue:
    """The stages and choices of this installation, those of plug-ins included.

    Raises
    ------
    ConfigError : a plug-in cannot be imported, or adds what cannot be taken; nothing of it
        is kept.
    """
    for point in metadata.entry_points(group=PLUGIN_GROUP):
        plugins.take_in(point, _CATALOGUE)
    return _CATALOGUE


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
