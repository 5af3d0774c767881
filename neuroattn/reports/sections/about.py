"""About: with what code, config and machine each artefact was made, and its digests.

Host, wall time and memory are facts of the parents' runs and are read from their
``provenance.json``; the report adds no run facts of its own, so that equal parents give
equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuroattn.core.artefact import Artefact
from neuroattn.reports.blocks import Block, Column, Details, FactList, Facts, Prose, Row, Table
from neuroattn.reports.registry import CHAINS, needed
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, duration, said, size


def blocks(sources: Sources) -> tuple[Block, ...]:
    """A table of all artefacts in the order of the chain, and everything about each, folded."""
    known = [stage for stage in needed(CHAINS) if sources.has(stage)]
    stages = known + [stage for stage in sources.parents if stage not in known]
    if not stages:
        return (Prose(("No artefact was there to report on.",)),)
    artefacts = {sources.name(stage): sources.parents[stage] for stage in stages}
    return (_runs(artefacts), *(_details(name, item) for name, item in artefacts.items()))


def _runs(artefacts: Mapping[str, Artefact]) -> Table:
    rows = tuple(_run(name, artefact.provenance) for name, artefact in artefacts.items())
    columns = (
        *(Column(title) for title in ("Artefact", "Commit", "Machine", "Device")),
        *(Column(title, numeric=True) for title in ("Wall time", "Peak memory")),
    )
    return Table("How each artefact behind this report was made.", columns, rows)


def _run(name: str, provenance: Mapping[str, Any]) -> Row:
    code, host = _mapping(provenance.get("code")), _mapping(provenance.get("host"))
    commit = said(code.get("commit"))[:10] or "not known"
    return (
        cell(name),
        f"{commit} with changes" if code.get("dirty") else commit,
        cell(host.get("name")),
        cell(provenance.get("device")),
        duration(provenance.get("wall_seconds")),
        size(provenance.get("peak_memory_bytes")),
    )


def _details(name: str, artefact: Artefact) -> Details:
    versions = artefact.provenance.get("versions")
    science = artefact.fingerprint_payload.get("science")
    tables = (
        _pairs("Parameters that differ from their defaults", "Parameter", science),
        _pairs("Versions of packages", "Package", versions),
        _files(artefact.files),
    )
    shown = tuple(table for table in tables if table.rows)
    return Details(f"All about {name}", (FactList(_facts(artefact)), *shown))


def _facts(artefact: Artefact) -> Facts:
    provenance = artefact.provenance
    code, host = _mapping(provenance.get("code")), _mapping(provenance.get("host"))
    machine = ", ".join(filter(None, (said(host.get("name")), said(host.get("system")))))
    return (
        ("Fingerprint", artefact.fingerprint),
        ("Commit", _commit(code)),
        ("Command", " ".join(map(said, provenance.get("command") or ()))),
        ("Seed", said(provenance.get("seed"))),
        ("Device", said(provenance.get("device"))),
        ("Threads", said(provenance.get("threads"))),
        ("Machine", machine),
        ("SLURM job", said(_mapping(provenance.get("slurm")).get("SLURM_JOB_ID"))),
        ("Started", said(provenance.get("started"))),
        ("Wall time", duration(provenance.get("wall_seconds"))),
        ("Peak memory", size(provenance.get("peak_memory_bytes"))),
    )


def _commit(code: Mapping[str, Any]) -> str:
    commit = said(code.get("commit")) or "not known (installed without its repository)"
    return f"{commit}, with uncommitted changes" if code.get("dirty") else commit


def _pairs(caption: str, title: str, values: Any) -> Table:
    rows = tuple((cell(name), cell(value)) for name, value in sorted(_mapping(values).items()))
    return Table(f"{caption}.", (Column(title), Column("Value")), rows)


def _files(files: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple(
        (cell(name), size(entry.get("bytes")), said(entry.get("sha256")))
        for name, entry in sorted(files.items())
    )
    columns = (Column("File"), Column("Size", numeric=True), Column("SHA-256"))
    return Table("Payload files and their digests.", columns, rows)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
