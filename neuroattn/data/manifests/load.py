"""Reading manifests: YAML for what is said once, a table for the files; both checked key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.resources import shipped
from neuroattn.core.tables import MISSING
from neuroattn.data.manifests.schema import (
    FORMATS,
    SESSION,
    SUBJECT,
    UNKNOWN,
    Manifest,
    Sizes,
    Subset,
    Template,
)

SCHEMA = 1
_TEXT = (
    "name", "title", "version", "homepage", "licence", "terms", "agreement", "redistribution",
    "citation", "source", "digests", "obtain", "default_subset",
)  # fmt: skip
_OTHER = ("schema", "anonymous", "sources", "placeholders", "subjects", "subsets")
_COLUMNS = ("id", "path", "format", "dtype", "shape", "bytes", "needed", "sha256", "note")
_REDISTRIBUTION = ("allowed", "forbidden", UNKNOWN)


def manifests() -> dict[str, Path]:
    """Shipped manifests by name."""
    return {path.stem: path for path in sorted(shipped("data_manifests").glob("*.yaml"))}


def load_manifest(name: str) -> Manifest:
    """The manifest called ``name``.

    Raises
    ------
    ConfigError : there is none.
    DataError : it is not of the form that data_manifests/README.md states.
    """
    known = manifests()
    if name not in known:
        raise ConfigError(
            f"there is no manifest of a dataset {name!r}",
            expected=" | ".join(known),
            found=name,
            fix="name one of them; data in a form of your own need none (see docs/datasets.md)",
        )
    return read_manifest(known[name])


def read_manifest(path: Path) -> Manifest:
    """Read ``<name>.yaml`` and the table of files beside it; see `load_manifest`."""
    content = _mapping(path)
    templates = _templates(path.with_name(f"{path.stem}.files.tsv"))
    subsets = {name: _subset(path, name, each) for name, each in content["subsets"].items()}
    placeholders = {name: _words(path, name, v) for name, v in content["placeholders"].items()}
    subjects = {name: _sizes(path, name, each) for name, each in content["subjects"].items()}
    manifest = Manifest(
        **{key: content[key] for key in _TEXT},
        anonymous=content["anonymous"],
        sources=_words(path, "sources", content["sources"]),
        placeholders=placeholders,
        subjects=subjects,
        subsets=subsets,
        templates=templates,
    )
    _check(manifest, path)
    return manifest


def _mapping(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    keys = {*_TEXT, *_OTHER}
    if not isinstance(content, dict) or set(content) != keys:
        found = set(content) if isinstance(content, dict) else set()
        raise _malformed(path, f"the keys {', '.join(sorted(keys))}", sorted(found ^ keys))
    for key in _TEXT:
        if not isinstance(content[key], str):
            raise _malformed(path, f"text under {key}", repr(content[key]))
    for key in ("placeholders", "subjects", "subsets"):
        if not isinstance(content[key], dict):
            raise _malformed(path, f"a mapping under {key}", repr(content[key]))
    if content["schema"] != SCHEMA or not isinstance(content["anonymous"], bool):
        raise _malformed(path, f"schema: {SCHEMA}, anonymous: true or false", content["schema"])
    return content


def _templates(path: Path) -> dict[str, Template]:
    head, *lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    if tuple(head) != _COLUMNS:
        raise _malformed(path, "\t".join(_COLUMNS), "\t".join(head))
    templates: dict[str, Template] = {}
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(_COLUMNS) or cells[0] in templates:
            raise _malformed(path, f"{len(_COLUMNS)} cells and a new id in line {number}", cells)
        row = dict(zip(_COLUMNS, cells, strict=True))
        if row["format"] not in FORMATS or row["needed"] not in ("yes", "no"):
            raise _malformed(path, f"a known format, and yes or no, in line {number}", cells)
        needed, note = row.pop("needed") == "yes", row.pop("note")
        templates[cells[0]] = Template(**row, needed=needed, note="" if note == MISSING else note)
    return templates


def _subset(path: Path, name: str, content: Any) -> Subset:
    if not isinstance(content, dict) or set(content) != {"about", "where", "stages"}:
        raise _malformed(path, f"about, where, stages under subsets.{name}", content)
    where = {key: _words(path, f"where.{key}", v) for key, v in content["where"].items()}
    stages = {key: _words(path, f"stages.{key}", v) for key, v in content["stages"].items()}
    return Subset(name, str(content["about"]), where, stages)


def _words(path: Path, key: str, content: Any) -> tuple[str, ...]:
    good = isinstance(content, list) and content
    if not good or not all(isinstance(word, str) for word in content):
        raise _malformed(path, f"a list of words under {key}", repr(content))
    return tuple(content)


def _sizes(path: Path, subject: str, content: Any) -> Sizes:
    sizes: dict[str, int | tuple[int, ...]] = {}
    for key, value in (content or {}).items():
        axes = value if isinstance(value, list) else [value]
        if not all(type(size) is int and size > 0 for size in axes):
            raise _malformed(path, f"whole numbers under subjects.{subject}.{key}", repr(value))
        sizes[key] = tuple(value) if isinstance(value, list) else value
    return sizes


def _check(manifest: Manifest, path: Path) -> None:
    """What ties the parts together: names that one part uses and another defines."""
    if manifest.name != path.stem or manifest.redistribution not in _REDISTRIBUTION:
        raise _malformed(path, f"name: {path.stem}, redistribution: {_REDISTRIBUTION}", "others")
    if manifest.default_subset not in manifest.subsets:
        raise _malformed(path, "default_subset among the subsets", manifest.default_subset)
    for template in manifest.templates.values():
        strange = set(template.placeholders) - {SUBJECT, SESSION, *manifest.placeholders}
        if strange or template.path.startswith("/") or ".." in template.path.split("/"):
            raise _malformed(path, f"placeholders of {template.id} that are defined", strange)
    for subset in manifest.subsets.values():
        _check_subset(manifest, subset, path)


def _check_subset(manifest: Manifest, subset: Subset, path: Path) -> None:
    unknown = [id_ for id_ in subset.ids() if id_ not in manifest.templates]
    if unknown:
        raise _malformed(path, f"ids of files in subsets.{subset.name}", unknown)
    for name, values in subset.where.items():
        wrong = [value for value in values if value not in manifest.placeholders.get(name, ())]
        if wrong:
            raise _malformed(path, f"values of {name} in subsets.{subset.name}", wrong)


def _malformed(path: Path, expected: str, found: object) -> DataError:
    return DataError(
        "the manifest has another form", file=path, expected=expected, found=found,
        fix="see data_manifests/README.md; a shipped one is mended by installing again",
    )  # fmt: skip
