"""Blocks to one HTML page that loads nothing and runs nothing.

Every string passes two gates on its way out: `wording.harmless` takes what a page cannot
hold, and autoescape turns what is left into text. The Content-Security-Policy is the third:
even if markup came through, a browser would neither run nor fetch anything.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from neuroattn.reports.blocks import Report
from neuroattn.reports.wording import harmless

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)


def render(report: Report) -> str:
    """The page as text; the same report gives the same text."""
    template = _environment().get_template("report.html.j2")
    return template.render(report=report, policy=POLICY)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("neuroattn.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _clean(value: Any) -> Any:
    if isinstance(value, Markup):  # already rendered by a macro
        return value
    return harmless(value) if isinstance(value, str) else value
