"""About: with what code and config each artefact was made, and the digests of its files.

Command, host, time and memory differ between runs that give the same result. They stay in
each artefact's ``provenance.json``, so that equal inputs give an equal page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuroattn.core.artefact import Artefact
from neuroattn.reports.blocks import Block, Column, Details, FactList, Facts, Prose, Row, Table
from neuroattn.reports.registry import CHAINS, needed
from neuroattn.reports.sources import Sources, cited
from neuroattn.reports.wording import cell, said, size


def blocks(sources: Sources) -> tuple[Block, ...]:
    """A table of all artefacts in the order of the chain, and everything about each, folded."""
    known = [stage for stage in needed(CHAINS) if sources.has(stage)]
    stages = known + [stage for stage in sources.parents if stage not in known]
    if not stages:
        return (Prose(("No artefact was there to report on.",)),)
    artefacts = {sources.name(stage): sources.parents[stage] for stage in stages}
    artefacts |= {cited(artefact): artefact for artefact in sources.behind}
    return (_runs(artefacts), *(_details(name, item) for name, item in artefacts.items()))


def _runs(artefacts: Mapping[str, Artefact]) -> Table:
    rows = tuple(_run(name, artefact) for name, artefact in artefacts.items())
    titles = ("Artefact", "Fingerprint", "Commit", "Device", "Seed")
    return Table(
        "How each artefact behind this report was made. Command, host, time and memory of the "
        "run stand in provenance.json beside its files.",
        tuple(Column(title) for title in titles),
        rows,
    )


def _run(name: str, artefact: Artefact) -> Row:
    provenance = artefact.provenance
    code = _mapping(provenance.get("code"))
    commit = said(code.get("commit"))[:10] or "not known"
    return (
        cell(name),
        artefact.fingerprint[:8],
        f"{commit} with changes" if code.get("dirty") else commit,
        cell(provenance.get("device")),
        said(provenance.get("seed")),
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
    return (
        ("Fingerprint", artefact.fingerprint),
        ("Commit", _commit(_mapping(provenance.get("code")))),
        ("Seed", said(provenance.get("seed"))),
        ("Device", said(provenance.get("device"))),
        ("Threads", said(provenance.get("threads"))),
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
