"""What renames an artefact: every science key, no execution key, and never a new default."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from neuroattn.cli.compose import compose
from neuroattn.core.config import Key, science, science_defaults, science_values, walk
from neuroattn.core.fingerprint import stage_fingerprint
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.stages import catalogue

GOLDEN = Path(__file__).parent / "golden_defaults.json"
STAGES = catalogue().stages


@cache
def _variants() -> tuple[RootConfig, ...]:
    """The default composition, and each choice of each group once; copy before a change."""
    choices = [
        [f"{group}={name}"]
        for group, registry in catalogue().registries.items()
        for name in registry
    ]
    return (compose([]), *map(compose, choices))


def _digests(config: RootConfig) -> dict[str, str]:
    """Digest of every stage, parents included, with no leaves (they are content, not keys)."""
    known: dict[str, str] = {}

    def visit(name: str) -> str:
        if name not in known:
            stage = STAGES[name]
            known[name] = stage_fingerprint(
                stage=name,
                version=stage.version,
                science=science_values(config, stage.reads, stage.ignores),
                parents={parent: visit(parent) for parent in stage.parents(config)},
                leaves={},
            ).digest
        return known[name]

    for name in STAGES:
        visit(name)
    return known


@cache
def _before(variant: int) -> dict[str, str]:
    return _digests(_variants()[variant])


def _set(config: RootConfig, key: Key) -> None:
    """Change one key to another value of its type, past every check."""
    *sections, name = key.path.split(".")
    place: Any = config
    for part in sections:
        place = getattr(place, part)
    setattr(place, name, _other(getattr(place, name)))


def _other(value: Any) -> Any:
    if isinstance(value, Enum):
        return next((member for member in type(value) if member is not value), "another")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "other"]
    if isinstance(value, dict):
        return {**value, "other": "other"}
    return "other"


def _keys() -> list[Any]:
    seen: dict[str, Any] = {}
    for number, config in enumerate(_variants()):
        for key in walk(config):
            label = f"{type(getattr(config, key.path.split('.')[0])).__name__}-{key.path}"
            if key.path != "report.stages":  # names stages; tested with the report
                seen.setdefault(label, pytest.param(number, key, id=key.path))
    return list(seen.values())


@pytest.fixture(scope="module")
def variants() -> tuple[RootConfig, ...]:
    return _variants()


@pytest.mark.parametrize(("variant", "key"), _keys())
def test_science_renames_and_execution_does_not(
    variants: tuple[RootConfig, ...], variant: int, key: Key
) -> None:
    config = copy.deepcopy(variants[variant])
    _set(config, key)
    after = _digests(config)
    changed = {name for name, old in _before(variant).items() if after[name] != old}
    if key.role == "execution":
        assert not changed, f"{key.path} is execution, yet it renames {sorted(changed)}"
    else:
        assert changed, f"{key.path} is science, yet no stage reads it"


def test_the_split_never_reaches_a_store() -> None:
    config = copy.deepcopy(_variants()[0])
    before = _digests(config)
    config.dataset.split.seed += 1
    config.dataset.split.folds += 1
    after = _digests(config)
    assert {name for name in STAGES if after[name] == before[name]} >= {"prepare", "features"}
    assert after["encode"] != before["encode"]


def test_a_new_key_with_a_default_changes_nothing() -> None:
    config = _variants()[0]

    @dataclass(kw_only=True)
    class Grown(type(config.encoder)):  # type: ignore[misc]
        brand_new: int = science(7, "A key that the next release adds.")

    grown = copy.deepcopy(config)
    grown.encoder = Grown()
    assert _digests(grown) == _digests(config)
    grown.encoder.brand_new = 8
    assert _digests(grown)["encode"] != _digests(config)["encode"]


def golden() -> dict[str, Any]:
    """Defaults of every science key by stage and choice, with the stage's version."""
    result: dict[str, Any] = {}
    for name, stage in STAGES.items():
        defaults: dict[str, Any] = {}
        for config in _variants():
            for path, value in science_defaults(config, stage.reads, stage.ignores).items():
                group = path.partition(".")[0]
                section = getattr(config, group)
                choice = f"{group}={section.name}" if group in catalogue().registries else group
                defaults[f"{choice}:{path}"] = value
        result[name] = {"version": stage.version, "defaults": dict(sorted(defaults.items()))}
    return result


def test_a_changed_default_needs_a_new_stage_version() -> None:
    """Saved fingerprints omit defaults, so a default may change only with the stage's version.

    After raising the version: python -m tests.contracts.test_fingerprint_contract
    """
    frozen = json.loads(GOLDEN.read_text())
    for name, now in golden().items():
        then = frozen.get(name, {"version": now["version"], "defaults": {}})
        both = then["defaults"].keys() & now["defaults"].keys()
        moved = sorted(key for key in both if then["defaults"][key] != now["defaults"][key])
        if now["version"] == then["version"]:
            assert not moved, f"{name}: defaults changed without a new version: {moved}"
        assert frozen.get(name) == now, f"{name}: write the golden file anew (see the docstring)"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1, sort_keys=True) + "\n")
