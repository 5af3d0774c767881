"""What ``make test-slow`` last found: written when it ends, and asked for by every other run.

The slow tests take an hour, so they run by hand or by night. Their last result is committed as
``tests/slow_result.json``; whoever runs the fast tests is told when it is old. It is a notice
and no failure: an old result says nothing against the change at hand.

``python -m tests.slow_record`` prints it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

NAME = "tests/slow_result.json"
OLD_AFTER_DAYS = 14
_started = time.monotonic()


def describe(file: Path, now: datetime) -> tuple[str, bool]:
    """One sentence about the last result, and whether it is as it should be."""
    if not file.is_file():
        return f"the slow tests have no result ({NAME}); run make test-slow", False
    found = json.loads(file.read_text())
    days = (now - datetime.fromisoformat(found["date"])).days
    text = (
        f"slow tests, {days} days ago at {found['commit'][:12]}: {found['passed']} passed,"
        f" {found['failed']} failed, {found['skipped']} skipped in {found['seconds'] / 60:.0f} min"
    )
    if days > OLD_AFTER_DAYS:
        return f"{text}; older than {OLD_AFTER_DAYS} days, run make test-slow", False
    return text, not found["failed"]


def is_whole(config: pytest.Config, status: int) -> bool:
    """Whether every slow test was asked for, and the run came to its end."""
    if hasattr(config, "workerinput"):
        return False  # one of several processes, which knows its own share only
    option = config.option
    asked = option.markexpr == "slow" and not option.keyword and not option.collectonly
    everywhere = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return asked and everywhere and not option.maxfail and status in (0, 1)


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Write the result of a whole slow run; in any other run, tell of an old one."""
    file = config.rootpath / NAME
    if is_whole(config, int(exitstatus)):
        counts = {name: len(reports) for name, reports in terminalreporter.stats.items()}
        file.write_text(json.dumps(_record(counts, config), indent=1) + "\n")
        terminalreporter.write_line(f"{NAME} is written; commit it")
    elif config.option.markexpr != "slow":
        text, good = describe(file, datetime.now(UTC))
        if not good:
            terminalreporter.write_sep("-", "notice")
            terminalreporter.write_line(text, yellow=True)


def _record(counts: dict[str, int], config: pytest.Config) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(config.rootpath),
        "passed": counts.get("passed", 0),
        "failed": counts.get("failed", 0) + counts.get("error", 0),
        "skipped": counts.get("skipped", 0),
        "seconds": round(time.monotonic() - _started),
        "command": "python -m pytest " + " ".join(map(str, config.invocation_params.args)),
    }


def _commit(root: Path) -> str:
    def git(*words: str) -> str:
        try:
            ran = subprocess.run(
                ["git", "--no-optional-locks", *words],
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            return ""
        return ran.stdout.strip()

    commit = git("rev-parse", "HEAD") or "unknown"
    return f"{commit} with changes" if git("status", "--porcelain", "-uno") else commit


if __name__ == "__main__":
    sentence, fresh = describe(Path(__file__).resolve().parents[1] / NAME, datetime.now(UTC))
    sys.stdout.write(("" if fresh else "warning: ") + sentence + "\n")
