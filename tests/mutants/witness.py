"""Plug-in of the inner pytest: writes down which package was tested and how each test ended."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_outcomes: list[dict[str, str]] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:  # type: ignore[misc]
    report = yield
    if report.when == "call" or report.failed:
        kind = call.excinfo.typename if call.excinfo is not None else ""
        _outcomes.append(
            {"test": item.nodeid, "when": report.when, "outcome": report.outcome, "error": kind}
        )
    return report


def pytest_sessionfinish() -> None:
    package = sys.modules.get("neuroattn")
    record = {"package": getattr(package, "__file__", ""), "outcomes": _outcomes}
    Path(os.environ["NEUROATTN_WITNESS"]).write_text(json.dumps(record))
