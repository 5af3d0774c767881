"""Errors: what failed, why, how to mend it, where its log stands. First in the page."""

from __future__ import annotations

from neuroattn.core.stage import Failure
from neuroattn.reports.blocks import Block, Facts, Notice
from neuroattn.reports.sources import Sources


def blocks(sources: Sources) -> tuple[Block, ...]:
    """One notice for each distinct problem; stages that fail for the same reason share it."""
    grouped: dict[str, list[Failure]] = {}
    for failure in sources.failures.values():
        grouped.setdefault(failure.problem, []).append(failure)
    return tuple(_notice(problem, failures) for problem, failures in grouped.items())


def _notice(problem: str, failures: list[Failure]) -> Notice:
    text, facts = _parsed(problem)
    stages = ", ".join(f"{failure.stage} ({failure.label})" for failure in failures)
    logs = tuple(("log", log) for log in dict.fromkeys(f.log for f in failures) if log)
    return Notice("error", f"Failed: {stages}", text, facts + logs)


def _parsed(problem: str) -> tuple[str, Facts]:
    """The sentence of one of our errors, and its indented rows (file, expected, found, fix)."""
    text: list[str] = []
    facts: list[tuple[str, str]] = []
    for line in problem.splitlines():
        name, separator, value = line.strip().partition(": ")
        if line.startswith("  ") and separator and name in ("file", "expected", "found", "fix"):
            facts.append((name, value))
        else:
            text.append(line)
    return "\n".join(text).strip(), tuple(facts)
