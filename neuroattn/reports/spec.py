"""Which sections a report has, in which order: a table that later rooms extend by a line.

A section names its code as ``"module:function"`` of ``(Sources) -> tuple[Block, ...]``, the
stages it reads, and the chains whose reports show it. Nothing is imported for a section
that is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from neuroattn.core.registry import load
from neuroattn.reports.blocks import Block, BuiltSection, Notice, Report
from neuroattn.reports.registry import needed
from neuroattn.reports.sources import Sources


@dataclass(frozen=True)
class SectionSpec:
    """One section of the page.

    Parameters
    ----------
    anchor : its id, unique in the page.
    title : its heading.
    build : ``"module:function"``; a section without blocks is left out.
    needs : stages without whose artefacts it cannot be built; it then says which are missing.
    chains : reported stages for which it is shown; all if empty.
    """

    anchor: str
    title: str
    build: str
    needs: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()


_ROOM = "neuroattn.reports.sections"
_ENCODING = (("encode",), ("encode", "map"))  # what it needs, and which reports show it
_COMPARISON = (("compare",), ("compare",))
_DECODING = (("decode",), ("decode", "ablate", "imagery"))

SECTIONS: tuple[SectionSpec, ...] = (
    SectionSpec("errors", "Errors", f"{_ROOM}.errors:blocks"),
    SectionSpec("warnings", "Warnings", f"{_ROOM}.warnings:blocks"),
    SectionSpec("summary", "Summary", f"{_ROOM}.summary:blocks"),
    SectionSpec("data", "Data and split", f"{_ROOM}.data:blocks", needs=("prepare",)),
    SectionSpec(
        "truth", "Planted truth: what was found", f"{_ROOM}.truth:blocks", chains=_ENCODING[1]
    ),
    SectionSpec("maps", "Maps", f"{_ROOM}.maps:blocks", ("map",), ("map",)),
    SectionSpec("models", "Models compared", f"{_ROOM}.comparison:models", *_COMPARISON),
    SectionSpec("differences", "Differences", f"{_ROOM}.comparison:differences", *_COMPARISON),
    SectionSpec("ensemble", "Ensemble", f"{_ROOM}.comparison:ensemble", *_COMPARISON),
    SectionSpec("others", "Models side by side", f"{_ROOM}.others:blocks", chains=_ENCODING[1]),
    SectionSpec("regions", "Scores by region", f"{_ROOM}.scores:by_region", *_ENCODING),
    SectionSpec("targets", "Scores by target", f"{_ROOM}.scores:by_target", *_ENCODING),
    SectionSpec("layers", "Layers", f"{_ROOM}.layers:blocks", chains=_ENCODING[1]),
    SectionSpec("fields", "Receptive fields", f"{_ROOM}.fields:blocks", chains=_ENCODING[1]),
    SectionSpec(
        "localiser", "Localiser in silico", f"{_ROOM}.localiser:blocks", ("predict",), ("predict",)
    ),
    SectionSpec("predictions", "Predictions", f"{_ROOM}.predictions:blocks", *_ENCODING),
    SectionSpec("attention", "Attention", f"{_ROOM}.attention:blocks", chains=_ENCODING[1]),
    SectionSpec("training", "Training", f"{_ROOM}.training:blocks", chains=_ENCODING[1]),
    SectionSpec("decoding", "Decoding", f"{_ROOM}.decoding:blocks", *_DECODING),
    SectionSpec(
        "decoders", "Decoders side by side", f"{_ROOM}.decoders:blocks", chains=("decode",)
    ),
    SectionSpec("ablation", "Networks", f"{_ROOM}.decoding:ablation", ("ablate",), ("ablate",)),
    SectionSpec("imagery", "Imagery", f"{_ROOM}.decoding:imagery", ("imagery",), ("imagery",)),
    SectionSpec("prior", "Blur prior", f"{_ROOM}.prior:blocks", ("decode",), ("decode",)),
    SectionSpec(
        "synthesis", "Synthesis", f"{_ROOM}.synthesis:blocks", ("synthesize",), ("synthesize",)
    ),
    SectionSpec("scales", "Scale of guidance", f"{_ROOM}.scales:blocks", chains=("synthesize",)),
    SectionSpec("sets", "Sets side by side", f"{_ROOM}.sets:blocks", chains=("synthesize",)),
    SectionSpec("generator", "The generator", f"{_ROOM}.generators:blocks", chains=("synthesize",)),
    SectionSpec(
        "embedded", "The embedded models", f"{_ROOM}.showcase:blocks", ("showcase",), ("showcase",)
    ),
    SectionSpec("captions", "Captions", f"{_ROOM}.captions:blocks", ("caption",), ("caption",)),
    SectionSpec("methods", "Methods", f"{_ROOM}.methods:blocks"),
    SectionSpec("about", "About this report", f"{_ROOM}.about:blocks"),
)


def assemble(sources: Sources, specs: Iterable[SectionSpec] = SECTIONS) -> Report:
    """Build every section that the reported stages ask for.

    Sections whose stages are missing stay in the page and say so: a reader must not have to
    guess whether something was left out.
    """
    name = str(sources.dataset.get("name") or "")
    return Report(
        title=sources.options.title or (f"Report on {name}" if name else "Report"),
        subtitle=str(sources.dataset.get("description") or ""),
        simulated=sources.simulated,
        sections=tuple(_built(sources, specs)),
    )


def _built(sources: Sources, specs: Iterable[SectionSpec]) -> Iterator[BuiltSection]:
    for spec in specs:
        if spec.chains and not set(spec.chains) & set(sources.options.stages):
            continue
        if not set(spec.needs) <= set(needed(sources.options.stages)):
            continue  # nobody asked for what it would show
        blocks = _missing(spec, sources) or load(spec.build)(sources)
        if blocks:
            yield BuiltSection(spec.anchor, spec.title, tuple(blocks))


def _missing(spec: SectionSpec, sources: Sources) -> tuple[Block, ...]:
    absent = [stage for stage in spec.needs if not sources.has(stage)]
    if not absent:
        return ()
    failed, unbuilt = "failed, see Errors", "has no finished artefact"
    reasons = [f"{stage} {failed if stage in sources.failures else unbuilt}" for stage in absent]
    return (Notice("note", "Not available", "; ".join(reasons) + "."),)
