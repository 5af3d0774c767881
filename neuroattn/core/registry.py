"""Registries without imports: a name leads to a schema and to where the code stands.

Composing and validating a config needs the schema only; the code (and torch with it) is
imported when a stage runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroattn.core.errors import ConfigError

PLUGIN_GROUP = "neuroattn.plugins"


@dataclass(frozen=True)
class Entry:
    """One choice of a config group.

    Parameters
    ----------
    schema : the dataclass of its keys.
    target : ``"module:object"`` of its code.
    leaves : ``"module:function"`` of ``(config section) -> {stable name: input file}``, light
        enough for a plan to call; empty where the choice reads no file of its own.
    """

    schema: type
    target: str
    leaves: str = ""


class Registry(dict[str, Entry]):
    """Choices of one config group, by name.

    Parameters
    ----------
    group : the Hydra group, as in ``encoder=ridge``.
    """

    def __init__(self, group: str, entries: dict[str, Entry]) -> None:
        super().__init__(entries)
        self.group = group

    def add(self, name: str, entry: Entry) -> None:
        """Register a further choice (plug-ins); a name that is taken is refused."""
        if name in self:
            raise ConfigError(
                f"{self.group}={name} is registered twice",
                found=entry.target,
                expected=self[name].target,
                fix="rename the plug-in's choice",
            )
        self[name] = entry

    def load(self, name: str) -> Any:
        """Import and return the code of choice ``name``."""
        return load(self.entry(name).target)

    def leaves(self, section: Any) -> Mapping[str, Path]:
        """Input files of the choice that ``section`` configures, by stable name."""
        target = self.entry(section.name).leaves
        found: Mapping[str, Path] = load(target)(section) if target else {}
        return found

    def entry(self, name: str) -> Entry:
        """The choice ``name``; where there is none, the error lists what there is."""
        if name not in self:
            raise ConfigError(
                f"there is no {self.group}={name}",
                expected=" | ".join(sorted(self)),
                found=name,
                fix=f"choose one of them: {self.group}=<name>",
            )
        return self[name]


def load(target: str) -> Any:
    """Import ``"module:object"``."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
