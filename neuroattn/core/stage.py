"""What a stage is: a declaration that composes without heavy imports, and the context it runs in.

A stage function reads its parents, writes its payload and returns its metrics. It never
resolves output paths, parses configs or decides to skip: `neuroattn.pipeline` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from neuroattn.core.errors import ConfigError

if TYPE_CHECKING:
    from neuroattn.core.artefact import Artefact, ArtefactWriter
    from neuroattn.core.progress import Progress
    from neuroattn.core.tracking import Tracker

S = TypeVar("S")


@dataclass(frozen=True)
class Stage:
    """Declaration of a stage, torch-free.

    Parameters
    ----------
    name : the word on the command line.
    version : raised whenever equal inputs may give another result.
    about : one line for the help.
    reads, ignores : dotted config prefixes whose science keys do, and do not, matter.
    also_reads : further such prefixes, from the root config: what matters only where a part of the
        stage is switched on.
    run : ``"module:function"`` of ``(StageContext) -> StageResult``.
    parents : names of the parent stages, from the root config.
    cites : further parents, several of one stage if need be: name -> (stage, reference), from the
        root config. A reference is a folder, a label or a fingerprint, or a line of overrides: the
        artefact of this run with them.
    leaves : ``"module:function"`` of ``(root config) -> {stable name: input file}``.
    label : the readable part of the artefact's folder, from the root config.
    tolerant : runs although a parent failed, and says so (the report).
    """

    name: str
    version: int
    about: str
    reads: tuple[str, ...]
    run: str
    label: Callable[[Any], str]
    parents: Callable[[Any], tuple[str, ...]] = lambda _config: ()
    cites: Callable[[Any], Mapping[str, tuple[str, str]]] = lambda _config: {}
    ignores: tuple[str, ...] = ()
    also_reads: Callable[[Any], tuple[str, ...]] = lambda _config: ()
    leaves: str = ""
    tolerant: bool = False

    def science(self, config: Any) -> tuple[str, ...]:
        """All prefixes whose science keys matter in this config."""
        return (*self.reads, *self.also_reads(config))


@dataclass(frozen=True)
class Failure:
    """A parent that failed: which, why (the whole message), and where its log stands."""

    stage: str
    label: str
    problem: str
    log: str


@dataclass
class StageContext:
    """Everything a stage function may use."""

    config: Any
    parents: Mapping[str, Artefact]
    out: ArtefactWriter
    tracker: Tracker
    seed: int
    fingerprint: str
    failures: Mapping[str, Failure] = field(default_factory=dict)
    open_progress: Callable[[str, int | None], Progress] | None = None

    def section(self, name: str, kind: type[S]) -> S:
        """The config section ``name``, checked to be a ``kind``."""
        value: Any = self.config
        for part in name.split("."):
            value = getattr(value, part)
        if not isinstance(value, kind):
            raise ConfigError(
                f"the section {name} is of another kind",
                expected=kind.__name__,
                found=type(value).__name__,
                fix=f"choose {name}=<name> with a choice that this stage knows",
            )
        return value

    def progress(self, title: str, total: int | None) -> AbstractContextManager[Progress]:
        """A progress reporter over ``total`` steps; use it in a ``with`` block."""
        from neuroattn.core.progress import Progress

        return (self.open_progress or Progress)(title, total)


@dataclass
class StageResult:
    """What a stage function returns.

    Parameters
    ----------
    metrics : flat, dotted keys to numbers.
    methods : one or two sentences for the report's Methods text.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    methods: str = ""
