"""The root config: every group has its section, every key its declaration."""

from __future__ import annotations

from dataclasses import fields

import pytest

from neuroattn.core.config import Choice, walk
from neuroattn.core.errors import ConfigError
from neuroattn.core.sections import RuntimeConfig
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.stages import catalogue


def test_every_registry_has_a_section_of_its_base_class() -> None:
    config = RootConfig()
    for group, registry in catalogue().registries.items():
        base = type(getattr(config, group))
        assert issubclass(base, Choice)
        assert all(issubclass(entry.schema, base) for entry in registry.values())


def test_what_only_says_where_and_how_is_execution() -> None:
    execution = {"stage", "parents", "use", "notes", "paths", "runtime", "claims", "tracking"}
    execution.add("published")  # what anybody expects changes no result
    roles: dict[str, set[str]] = {}
    for key in walk(RootConfig()):
        roles.setdefault(key.path.partition(".")[0], set()).add(key.role)
    assert {name for name, found in roles.items() if found == {"execution"}} == execution
    assert set(roles) == {entry.name for entry in fields(RootConfig)}


@pytest.mark.parametrize("keys", [{"threads": 0}, {"workers": -1}])
def test_ranges_are_checked(keys: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        RuntimeConfig(**keys)  # type: ignore[arg-type]
