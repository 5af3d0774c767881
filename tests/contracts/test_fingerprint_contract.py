"""What renames an artefact: every science key, no execution key, and never a new default."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
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


@dataclass(frozen=True)
class Variant:
    """A part of the config: a choice of a group, a section that has no choices, or the root."""

    section: str  # "" is the root's own keys
    choice: str | None = None

    def __str__(self) -> str:
        return f"{self.section or 'root'}{'' if self.choice is None else f'={self.choice}'}"

    def put(self, config: RootConfig) -> Iterator[Key]:
        """Choose it in ``config``; its keys."""
        if not self.section:
            return (key for key in walk(config) if "." not in key.path)
        if self.choice is not None:
            schema = catalogue().registries[self.section].entry(self.choice).schema
            setattr(config, self.section, schema())
        return walk(getattr(config, self.section), f"{self.section}.")


def _variants() -> list[Variant]:
    groups = catalogue().registries
    sections = [entry.name for entry in fields(RootConfig) if is_dataclass(entry.default_factory)]
    return [
        Variant(""),
        *(Variant(name) for name in sections if name not in groups),
        *(Variant(group, name) for group, registry in groups.items() for name in registry),
    ]


@cache
def _default() -> RootConfig:
    return compose([])


def _digests(config: RootConfig) -> dict[str, str]:
    """Digest of every stage, parents included, with no leaves (they are content, not keys)."""
    keys, known = list(walk(config)), {}

    def visit(name: str) -> str:
        if name not in known:
            stage = STAGES[name]
            known[name] = stage_fingerprint(
                stage=name,
                version=stage.version,
                science=science_values(keys, stage.science(config), stage.ignores),
                parents={parent: visit(parent) for parent in stage.parents(config)},
                leaves={},
            ).digest
        return known[name]

    for name in STAGES:
        visit(name)
    return known


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


@pytest.mark.parametrize("variant", _variants(), ids=str)
def test_science_renames_and_execution_does_not(variant: Variant) -> None:
    """What the stages read, and whose output, decides their digests; nothing else may."""
    config = copy.deepcopy(_default())
    keys = list(variant.put(config))
    assert keys, "a section without keys"
    before = _reads(config, variant)
    for key in keys:
        if key.path == "report.stages":  # names stages; tested with the report
            continue
        changed = copy.deepcopy(config)
        _set(changed, key)
        after = _reads(changed, variant)
        renamed = sorted(name for name in STAGES if after[name] != before[name])
        if key.role == "execution":
            assert not renamed, f"{key.path} is execution, yet it renames {renamed}"
        else:
            assert renamed, f"{key.path} is science, yet no stage reads it"


def _reads(config: RootConfig, variant: Variant) -> dict[str, Any]:
    """What of the variant's keys enters the digest of each stage, and which are its parents."""
    if variant.section:
        keys = list(walk(getattr(config, variant.section), f"{variant.section}."))
    else:
        keys = [key for key in walk(config) if "." not in key.path]
    return {
        name: (science_values(keys, stage.science(config), stage.ignores), stage.parents(config))
        for name, stage in STAGES.items()
    }


def test_what_a_stage_reads_is_what_names_it() -> None:
    """The shortcut of the test above, held against whole digests on one key of each section."""
    for variant in _variants():
        config = copy.deepcopy(_default())
        key = next(iter(variant.put(config)))
        before, short = _digests(config), _reads(config, variant)
        _set(config, key)
        after, now = _digests(config), _reads(config, variant)
        own = {name for name in STAGES if short[name] != now[name]}
        assert own <= {name for name in STAGES if before[name] != after[name]}
        assert bool(own) == (before != after), str(variant)


def test_a_seed_names_every_stage_that_draws() -> None:
    """Each by itself: through its parents alone a cited encoder would hide it."""
    drawing = {
        "encode",
        "predict",
        "decode",
        "ablate",
        "imagery",
        "synthesize",
        "caption",
        "compare",
    }
    assert {name for name, stage in STAGES.items() if "seed" in stage.reads} == drawing


def test_the_split_never_reaches_a_store() -> None:
    config = copy.deepcopy(_default())
    before = _digests(config)
    config.dataset.split.seed += 1
    config.dataset.split.folds += 1
    after = _digests(config)
    assert {name for name in STAGES if after[name] == before[name]} >= {"prepare", "features"}
    assert after["encode"] != before["encode"]


def test_a_new_key_with_a_default_changes_nothing() -> None:
    config = _default()

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
        for variant in _variants():
            keys = variant.put(copy.copy(_default()))
            for path, value in science_defaults(keys, stage.reads, stage.ignores).items():
                defaults[f"{variant if variant.section else path}:{path}"] = value
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
