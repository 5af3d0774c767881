"""Building an artefact: skip what is done, wait for what is claimed, resume what is not done."""

from __future__ import annotations

import logging
import shlex
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from neuroattn.core.artefact import FAILED, Artefact, ArtefactWriter, is_done
from neuroattn.core.atomic import storage_errors, write_json, write_text
from neuroattn.core.claims import Claim, claim
from neuroattn.core.config import walk
from neuroattn.core.errors import ArtefactError, ClaimedError, InterruptedRunError, NeuroattnError
from neuroattn.core.logs import log_to
from neuroattn.core.provenance import Stopwatch
from neuroattn.core.registry import load
from neuroattn.core.sections import Parents
from neuroattn.core.stage import Failure, StageContext, StageResult
from neuroattn.core.tracking import open_tracker
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import Node, naming, plan
from neuroattn.pipeline.threads import limited_threads

log = logging.getLogger("neuroattn.pipeline")


def run_stage(stage: str, config: RootConfig) -> Artefact:
    """The artefact of ``stage`` under ``config``; it and its missing parents are built.

    Raises
    ------
    NeuroattnError : with the remedy; an unfinished artefact is left to be resumed.
    """
    node = plan(stage, config)
    if is_done(node.folder):
        log.info("%s/%s is done already", stage, node.label)
    return build(node)


def build(node: Node) -> Artefact:
    """Build ``node`` unless it is done, its parents first."""
    if is_done(node.folder):
        log.debug("%s/%s is done", node.stage.name, node.label)
        return Artefact(node.folder)
    parents, failures = _build_parents(node)
    config, on_wait = node.config, _Patience(node)
    with claim(node.folder, wait=config.claims.wait, on_wait=on_wait) as held:
        if is_done(node.folder):  # another process finished it while we waited
            return Artefact(node.folder)
        return _Run(node, config, parents, failures, held).execute()


def _build_parents(node: Node) -> tuple[dict[str, Artefact], dict[str, Failure]]:
    parents: dict[str, Artefact] = {}
    failures: dict[str, Failure] = {}
    for name, parent in node.parents.items():
        _check_required(name, parent, node)
        if cause := _failed_before(parent, node, failures):
            failures[name] = Failure(name, parent.label, cause.problem, "")
            continue
        try:
            parents[name] = _build_named(name, parent)
        except (InterruptedRunError, ClaimedError):  # no failures: another time it goes on
            raise
        except Exception as error:
            if not node.stage.tolerant:
                raise
            failures[name] = Failure(name, parent.label, describe(error), _log_of(parent))
    return parents, failures


def _build_named(name: str, parent: Node) -> Artefact:
    """Build a parent; one of several of a stage (``encode/ridge``) is named if it fails."""
    if name == parent.stage.name:
        return build(parent)
    try:
        with naming(name):
            return build(parent)
    except NeuroattnError:
        raise
    except Exception as error:
        raise ArtefactError(f"{name}: {describe(error)}") from error


def _failed_before(parent: Node, child: Node, failures: Mapping[str, Failure]) -> Failure | None:
    """The failure of an ancestor: what took an hour to fail is not tried again for each child."""
    failed = {child.parents[name].folder: failure for name, failure in failures.items()}
    return next((failed[node.folder] for node in parent.chain() if node.folder in failed), None)


def _log_of(node: Node) -> str:
    file = node.folder / "log.txt"
    return str(file) if file.exists() else ""


def _check_required(name: str, parent: Node, child: Node) -> None:
    """Under ``parents=require`` nothing is built, not even a report on what is missing."""
    if child.config.parents is Parents.require and not is_done(parent.folder):
        further = _further_overrides(name, child)
        raise ArtefactError(
            f"the parent {name} is not built, and parents=require",
            file=parent.folder,
            fix=f"run: neuroattn {parent.stage.name} with the same overrides{further},"
            " or set parents=build",
        )


def _further_overrides(name: str, child: Node) -> str:
    """What makes this parent beside the overrides of the run: of one of several, its own line."""
    cited = child.stage.cites(child.config)
    line = cited[name][1] if name in cited else child.config.use.get(name, "")
    return f" and then {shlex.join(shlex.split(line))}" if line else ""


class _Patience:
    """Says once whom we wait for."""

    def __init__(self, node: Node) -> None:
        self._node, self._told = node, ""

    def __call__(self, owner: Mapping[str, Any]) -> None:
        token = str(owner.get("token"))
        if token != self._told:
            self._told = token
            log.info(
                "waiting for %s/%s, computed by process %s on %s",
                self._node.stage.name, self._node.label, owner.get("pid"), owner.get("hostname"),
            )  # fmt: skip


class _Run:
    """One execution of a stage function under a claim."""

    def __init__(
        self,
        node: Node,
        config: RootConfig,
        parents: Mapping[str, Artefact],
        failures: Mapping[str, Failure],
        held: Claim,
    ) -> None:
        self.node, self.config, self.held = node, config, held
        self.parents, self.failures = parents, failures
        self.writer = ArtefactWriter(node.folder)

    def execute(self) -> Artefact:
        folder = self.node.folder
        with storage_errors(folder), log_to(folder / "log.txt"):
            self.writer.start()
            self._write_records()
            try:
                return self._compute()
            except BaseException as error:
                self._record_failure(error)
                raise

    def _compute(self) -> Artefact:
        log.info("%s/%s begins", self.node.stage.name, self.node.label)
        stopwatch = Stopwatch()
        result = self._call()
        if self.failures:
            raise self._incomplete()
        provenance = stopwatch.record(
            seed=self.config.seed,
            device=self.config.runtime.device.value,
            threads=self.config.runtime.threads,
        )
        self.held.check()
        self.writer.finish(provenance=provenance, metrics=result.metrics, methods=result.methods)
        log.info("%s/%s is done", self.node.stage.name, self.node.label)
        return Artefact(self.node.folder)

    def _call(self) -> StageResult:
        function = load(self.node.stage.run)  # torch is loaded here, if it is
        tracker = open_tracker(
            self.config.tracking,
            self.node.folder,
            name=self.node.label,
            identity=self.node.fingerprint.digest[:32],
        )
        context = StageContext(
            config=self.config,
            parents=self.parents,
            out=self.writer,
            tracker=tracker,
            seed=self.config.seed,
            fingerprint=self.node.fingerprint.digest,
            failures=self.failures,
        )
        try:
            with limited_threads(self.config.runtime.threads):
                result = function(context)
            tracker.log(result.metrics)
        finally:
            tracker.close()
        return result if isinstance(result, StageResult) else StageResult()

    def _write_records(self) -> None:
        folder, node = self.node.folder, self.node
        write_text(folder / "config.yaml", yaml.safe_dump(nested(self.config), sort_keys=False))
        write_json(folder / "fingerprint.json", node.fingerprint.payload)
        write_json(
            folder / "inputs.json",
            {
                name: {"label": parent.label, "fingerprint": parent.fingerprint.digest}
                for name, parent in node.parents.items()
            },
        )

    def _incomplete(self) -> NeuroattnError:
        first = next(iter(self.failures.values()))
        # The problem has its own file, fix and so on, in lines of their own.
        return ArtefactError(
            f"the {self.node.stage.name} shows only what there is, since {first.stage} failed:"
            f" {first.problem}\n  what there is: {self.node.folder}"
        )

    def _record_failure(self, error: BaseException) -> None:
        record = {"kind": type(error).__name__, "problem": describe(error)}
        try:
            # Straight into the file: a user sees the message, whoever looks here the traceback.
            with open(self.node.folder / "log.txt", "a") as handle:
                handle.write(traceback.format_exc())
            write_json(self.node.folder / FAILED, record)
        except OSError:  # the disk itself may be the failure
            log.warning("the failure could not be recorded in %s", self.node.folder)


def describe(error: BaseException) -> str:
    """The message of an error for a user: ours in full, a foreign one with its type."""
    if isinstance(error, NeuroattnError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def nested(config: RootConfig) -> dict[str, Any]:
    """The whole config as nested plain values, for ``config.yaml``."""
    tree: dict[str, Any] = {}
    for key in walk(config):
        *sections, name = key.path.split(".")
        place = tree
        for part in sections:
            place = place.setdefault(part, {})
        place[name] = key.value
    return tree


def relative_to_root(artefact: Artefact, config: RootConfig) -> Path:
    """The artefact's folder below ``paths.root``."""
    return artefact.folder.relative_to(Path(config.paths.root))
