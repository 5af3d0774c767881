"""Registries without imports: a name leads to a schema and to where the code stands.

Composing and validating a config needs the schema only; the code (and torch with it) is
imported when a stage runs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from neuroattn.core.errors import ConfigError


@dataclass(frozen=True)
class Entry:
    """One choice: the dataclass of its keys and ``"module:object"`` of its code."""

    schema: type
    target: str


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
        if name not in self:
            raise ConfigError(
                f"there is no {self.group}={name}",
                expected=" | ".join(sorted(self)),
                found=name,
                fix=f"choose one of them: {self.group}=<name>",
            )
        return load(self[name].target)


def load(target: str) -> Any:
    """Import ``"module:object"``."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
