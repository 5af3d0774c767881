"""Stage ``report``: one self-contained HTML page from finished artefacts.

It renders although parents failed, and then shows the failures first.

The page is a function of the parents' files, the configuration and the failures alone:
equal parents give equal bytes. Facts that differ between equal runs (command, host, time,
memory) stay in ``provenance.json``; the page has no date of rendering and no path.
"""

from __future__ import annotations

from neuroattn.core.errors import DataError
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.reports.blocks import Picture, Report
from neuroattn.reports.registry import ReportConfig
from neuroattn.reports.render import render
from neuroattn.reports.sections.methods import SCORING
from neuroattn.reports.sources import Sources
from neuroattn.reports.spec import assemble

FILE = "report.html"
MOST_BYTES = 15_000_000  # what still opens at once and can be sent by mail


def run(context: StageContext) -> StageResult:
    """Write ``report.html``.

    Raises
    ------
    ArtefactError : a parent's file is damaged or lacks a column.
    DataError : the page would be larger than `MOST_BYTES`.
    """
    options = context.section("report", ReportConfig)
    report = assemble(Sources(context.parents, context.failures, options))
    page = render(report)
    length = len(page.encode())
    if length > MOST_BYTES:
        raise DataError(
            "the report is too large",
            expected=f"at most {MOST_BYTES:,} bytes",
            found=f"{length:,} bytes",
            fix="lower report.max_targets_in_table or report.max_rois",
        )
    context.out.text(FILE, page)
    return StageResult(_metrics(report, length, len(context.failures)), SCORING)


def _metrics(report: Report, length: int, failures: int) -> dict[str, float]:
    pictures = [
        block
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Picture)
    ]
    return {
        "report.bytes": float(length),
        "report.sections": float(len(report.sections)),
        "report.figures": float(len(pictures)),
        "report.failures": float(failures),
    }
