"""Plans: which artefacts a stage needs, under which names, whether they exist or not."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neuroattn.core.artefact import Artefact
from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ArtefactError, NeuroattnError
from neuroattn.core.fingerprint import (
    SHORT,
    DigestCache,
    Fingerprint,
    stage_fingerprint,
)
from neuroattn.core.registry import load
from neuroattn.core.resources import user_path
from neuroattn.core.stage import Stage
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.stages import stage_named

DIGESTS = "digests.sqlite"


@dataclass(frozen=True)
class Node:
    """One artefact of a plan: its identity, its place, and the artefacts it is made from."""

    stage: Stage
    label: str
    folder: Path
    fingerprint: Fingerprint
    parents: Mapping[str, Node]
    config: RootConfig

    def chain(self) -> Iterator[Node]:
        """Ancestors and the node itself, parents first, each once."""
        seen: dict[str, Node] = {}
        for parent in self.parents.values():
            for node in parent.chain():
                seen.setdefault(str(node.folder), node)
        yield from seen.values()
        yield self


def plan(stage: str, config: RootConfig) -> Node:
    """Derive the artefact of ``stage`` and of all its parents from one root config.

    Raises
    ------
    ConfigError : ``use`` names no stage.
    MissingDataError : a leaf file is not there, so nothing below it has a name.
    """
    for name in config.use:
        stage_named(name)
    known: dict[str, Node] = {}

    def visit(name: str) -> Node:
        if name not in known:
            known[name] = _referenced(name, config) if name in config.use else derive(name)
        return known[name]

    def derive(name: str) -> Node:
        declared = stage_named(name)
        cited = sorted(declared.cites(config).items())  # first: it refuses what cannot be run
        parents = {parent: visit(parent) for parent in declared.parents(config)}
        for alias, (of, reference) in cited:
            with naming(alias):
                parents[alias] = _cited(of, reference, config)
        return _node(declared, config, parents)

    return derive(stage)


def compose_cited(stage: str, config: RootConfig) -> None:
    """Compose whatever ``stage`` and its parents cite by overrides, so that typos are found early.

    Raises
    ------
    ConfigError : naming the first that does not compose.
    """
    declared = stage_named(stage)
    for alias, (_, reference) in sorted(declared.cites(config).items()):
        with naming(alias):
            if is_overrides(reference):
                config.variant(reference)
    for parent in declared.parents(config):
        if parent not in config.use:  # what stands there is made from other keys
            compose_cited(parent, config)


@contextmanager
def naming(alias: str) -> Iterator[None]:
    """Say in an error which of several cited artefacts it is about."""
    try:
        yield
    except NeuroattnError as error:
        error.problem = f"{alias}: {error.problem}"
        raise


def is_overrides(reference: str) -> bool:
    """Whether a reference is a line of overrides: each word sets a key or takes one away."""
    try:
        words = shlex.split(reference)
    except ValueError:  # an open quote: composing it says so
        return "=" in reference
    return all("=" in word or word.startswith("~") for word in words)


def _node(stage: Stage, config: RootConfig, parents: Mapping[str, Node]) -> Node:
    root = Path(config.paths.root)
    leaves = load(stage.leaves)(config) if stage.leaves else {}
    fingerprint = stage_fingerprint(
        stage=stage.name,
        version=stage.version,
        science=science_values(walk(config), stage.science(config), stage.ignores),
        parents={name: node.fingerprint.digest for name, node in parents.items()},
        leaves=DigestCache(root / DIGESTS).digests(leaves),
    )
    label = f"{stage.label(config)}-{fingerprint.short}"
    return Node(stage, label, root / stage.name / label, fingerprint, parents, config)


def _referenced(name: str, config: RootConfig) -> Node:
    return _cited(name, config.use[name], config)


def _cited(name: str, reference: str, config: RootConfig) -> Node:
    if is_overrides(reference):
        return plan(name, config.variant(reference))
    artefact = find(reference, Path(config.paths.root), stage=name)
    payload = Fingerprint(artefact.fingerprint_payload)
    return Node(stage_named(name), artefact.label, artefact.folder, payload, {}, config)


def find(reference: str, root: Path, *, stage: str = "*") -> Artefact:
    """The one finished artefact that ``reference`` names: a folder, a label or a fingerprint.

    Raises
    ------
    ArtefactError : none or several match, or it belongs to another stage.
    """
    folder = user_path(reference)
    if not folder.is_dir():
        matches = sorted(
            path
            for path in root.glob(f"{stage}/*-{'?' * SHORT}")
            if path.name == reference or _has_digest(path, reference)
        )
        if len(matches) != 1:
            raise ArtefactError(
                f"{reference!r} names {len(matches)} artefacts",
                file=root,
                expected="a folder, a label, or the first digits of one fingerprint",
                found=", ".join(str(path.relative_to(root)) for path in matches) or "none",
                fix="neuroattn status lists the artefacts",
            )
        folder = matches[0]
    artefact = Artefact(folder.absolute())
    if stage not in ("*", artefact.stage):
        raise ArtefactError(
            f"{reference!r} is no {stage} artefact",
            file=folder,
            expected=stage,
            found=artefact.stage,
            fix=f"name an artefact of {stage}: neuroattn status lists them",
        )
    return artefact


def _has_digest(folder: Path, reference: str) -> bool:
    short = folder.name.rpartition("-")[2]
    if len(reference) < 4 or not (short.startswith(reference) or reference.startswith(short)):
        return False
    return len(reference) <= SHORT or Artefact(folder).fingerprint.startswith(reference)
