"""One job: its result is on the disk however it ends, and only a stop passes through."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from neuroattn.cli import jobs
from neuroattn.cli.jobs import Result, leave_on_sigterm, load_result, run_job
from neuroattn.core.errors import ClaimedError, DataError, InterruptedRunError

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a job under a launcher that meets a stage which does ``what``."""

    def job(what: Callable[[], Path], *, launcher: str = "basic", sweep: bool = True) -> Result:
        hydra = SimpleNamespace(
            mode=RunMode.MULTIRUN if sweep else RunMode.RUN,
            job=SimpleNamespace(num=3, name="toy"),
            sweep=SimpleNamespace(dir=tmp_path),
            run=SimpleNamespace(dir=tmp_path),
            overrides=SimpleNamespace(hydra=[], task=[]),
            runtime=SimpleNamespace(output_dir=tmp_path, choices={"hydra/launcher": launcher}),
        )
        config = SimpleNamespace(stage="toy")
        monkeypatch.setattr(jobs.HydraConfig, "get", lambda: hydra)
        monkeypatch.setattr(jobs, "typed", lambda composed: config)
        monkeypatch.setattr(jobs, "run_stage", lambda *_: SimpleNamespace(folder=what()))
        run_job(OmegaConf.create({}))
        return load_result(tmp_path, 3 if sweep else 0)

    return job


def raising(error: BaseException) -> Callable[[], Any]:
    def what() -> Path:
        raise error

    return what


def test_a_good_job_leaves_its_path(run: Run, tmp_path: Path) -> None:
    assert run(lambda: tmp_path / "made") == Result(3, path=str(tmp_path / "made"))
    assert run(lambda: tmp_path / "made", sweep=False).number == 0


@pytest.mark.parametrize(
    ("error", "code", "problem"),
    [
        (DataError("broken", fix="mend"), 1, "broken\n  fix: mend"),
        (ClaimedError("busy"), 75, "busy"),
        (ZeroDivisionError("foreign"), 1, "ZeroDivisionError: foreign"),
    ],
)
def test_a_failure_is_kept_and_never_reaches_hydra(
    error: Exception, code: int, problem: str, run: Run, tmp_path: Path
) -> None:
    result = run(raising(error))
    assert (result.exit_code, result.problem, result.path) == (code, problem, "")
    assert result.log == str(tmp_path / "toy.log")
    assert type(error).__name__ in Path(result.log).read_text()


STOPS = [
    (KeyboardInterrupt(), 130, "stopped by a signal"),
    (SystemExit(143), 143, "stopped by a signal"),
    (InterruptedRunError("saved at step 3"), 85, "saved at step 3"),
    (SystemExit(4), 4, "left by itself, with exit code 4"),
    (SystemExit(0), 1, "left by itself"),
    (SystemExit("words"), 1, "left by itself"),
]


@pytest.mark.parametrize(("error", "code", "problem"), STOPS, ids=repr)
def test_a_stop_ends_a_sweep_in_this_process(
    error: BaseException, code: int, problem: str, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(raising(error))
    assert leaving.value.code == code
    result = load_result(tmp_path, 3)
    assert result.exit_code == code
    assert problem in result.problem


@pytest.mark.parametrize("how", [{"launcher": "submitit_local"}, {"sweep": False}], ids=str)
def test_elsewhere_a_stop_is_a_result(how: dict[str, Any], run: Run) -> None:
    assert run(raising(KeyboardInterrupt()), **how).exit_code == 130


def test_a_job_that_goes_back_into_the_queue_has_no_result_yet(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(raising(SystemExit(-1)), launcher="submitit_slurm")
    assert leaving.value.code == -1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("code", "told"), [(1, "killed or never ran"), (130, "the command was stopped")]
)
def test_a_job_that_left_nothing(code: int, told: str, tmp_path: Path) -> None:
    result = load_result(tmp_path, 7, code)
    assert result.exit_code == code
    assert told in result.problem
    assert "neuroattn status" in result.problem


class TestSigterm:
    def test_it_unwinds_and_the_handler_is_given_back(self) -> None:
        before = signal.getsignal(signal.SIGTERM)

        def stopped() -> None:
            with leave_on_sigterm():
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()

        with pytest.raises(SystemExit) as leaving:
            stopped()
        assert leaving.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is before

    def test_a_destructor_does_not_swallow_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ended: list[str] = []
        monkeypatch.setattr(sys, "unraisablehook", hook := lambda _: ended.append("only reported"))

        class Dying:
            def __del__(self) -> None:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0)  # here the handler raises, and Python goes on all the same
                ended.append("not reached")

        def stopped() -> None:
            with leave_on_sigterm():
                Dying()
                time.sleep(10)
                ended.append("the whole time")

        with pytest.raises(SystemExit) as leaving:
            stopped()
        assert leaving.value.code == 143
        assert ended == []
        assert sys.unraisablehook is hook

    def test_what_else_a_destructor_raises_is_reported_as_before(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reported: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda lost: reported.append(lost.exc_type))

        class Dying:
            def __del__(self) -> None:
                raise KeyError

        with leave_on_sigterm():
            Dying()
        assert reported == [KeyError]

    def test_in_a_thread_nothing_is_trapped(self) -> None:
        seen = []

        def look() -> None:
            with leave_on_sigterm():
                seen.append(signal.getsignal(signal.SIGTERM))

        before = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [before]
