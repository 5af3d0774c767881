"""What every launcher owes the caller of a sweep: a good job and a failing one, read by others.

stdout has one line per job in order, ``-`` for the failed one. The failure's traceback stands
in the failed job's log, not on the caller's screen, which gets one summary after all jobs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroattn.core.artefact import Artefact
from tests.system.command import PROGRAM, Ran, run, tiny

GOOD, BAD = "encoder.layers=[blocks.4]", "encoder.layers=[blocks.9]"
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Sweep:
    """A sweep that has ended, and under which root."""

    ran: Ran
    root: Path


def run_sweep(
    layers: str,
    *more: str,
    data: Path,
    root: Path,
    variables: Mapping[str, str] | None = None,
) -> Sweep:
    """``neuroattn encode -m`` over ``encoder.layers``."""
    words = tiny("encode", data, root, "-m", f"encoder.layers={layers}", *more)
    return Sweep(run([PROGRAM, *words], folder=root.parent, variables=variables), root)


class SweepContract:
    """Tests of a fixture ``sweep`` (a good job, then a failing one) and of ``good`` (one job)."""

    def test_stdout_has_one_line_per_job_in_order(self, sweep: Sweep) -> None:
        assert len(sweep.ran.lines) == 2, sweep.ran.out
        path, dash = sweep.ran.lines
        assert Path(path).parent == sweep.root / "encode"
        assert dash == "-"

    def test_exit_code_says_that_a_job_failed(self, sweep: Sweep) -> None:
        assert sweep.ran.code == 1, sweep.ran.err

    def test_artefact_of_the_good_job_is_readable(self, sweep: Sweep) -> None:
        scores = artefact_of(sweep).table("scores.tsv")
        assert len(scores) == 6
        assert scores["r"].notna().all()

    def test_summary_is_the_last_word_and_comes_once(self, sweep: Sweep) -> None:
        assert sweep.ran.err.count("1 of 2 jobs failed") == 1
        before, _, summary = sweep.ran.err.partition("1 of 2 jobs failed")
        assert BAD in summary
        assert GOOD not in summary
        assert "the backbone stored no layer blocks.9" in summary
        assert "jobs failed" not in before

    def test_traceback_stands_in_the_failed_jobs_log_alone(self, sweep: Sweep) -> None:
        assert TRACEBACK not in sweep.ran.err
        failed = log_of(sweep)
        assert failed.parent.name == "1"
        assert failed.read_text().count(TRACEBACK) == 1
        good = failed.parent.parent / "0" / failed.name
        assert TRACEBACK not in good.read_text()

    def test_single_good_job_returns_zero(self, good: Sweep) -> None:
        assert good.ran.code == 0, good.ran.err
        assert len(good.ran.lines) == 1, good.ran.out
        assert len(artefact_of(good).table("scores.tsv")) == 6
        assert "jobs failed" not in good.ran.err


def artefact_of(sweep: Sweep) -> Artefact:
    """What the first job made; the line is looked up by its form, not by its place."""
    paths = [Path(line) for line in sweep.ran.lines if line.startswith(str(sweep.root))]
    assert paths, sweep.ran.out + sweep.ran.err
    return Artefact(paths[0])


def log_of(sweep: Sweep) -> Path:
    """The log that the summary names."""
    named = re.findall(r"^ *log: (.+)$", sweep.ran.err, flags=re.MULTILINE)
    assert len(named) == 1, sweep.ran.err
    return Path(named[0])
