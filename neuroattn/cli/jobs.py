"""One Hydra job: run the stage, keep the failure in the job's own log, leave a result file.

A job never prints, and a failure never reaches Hydra: launchers differ in what they do with
either. The parent process reads the result files and speaks. Only what stops the whole
command (Ctrl-C, SIGTERM) passes through a sweep that runs in this process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from neuroattn.cli.compose import typed
from neuroattn.cli.variants import composer, searched
from neuroattn.core.atomic import ensure_folder, read_json, write_json
from neuroattn.core.errors import (
    EXIT_FAILED,
    EXIT_SIGINT,
    EXIT_SIGTERM,
    InterruptedRunError,
    NeuroattnError,
)
from neuroattn.core.logs import debugging
from neuroattn.pipeline.build import describe, run_stage
from neuroattn.pipeline.status import RESULTS

log = logging.getLogger("neuroattn.cli")

SIGNALLED = (EXIT_SIGINT, EXIT_SIGTERM)

# Seconds until a signal that Python lost is sent once more: what swallowed it has ended by then.
AGAIN_AFTER = 0.05

# With this code submitit leaves a job that it has put back into the queue.
REQUEUED = -1


@dataclass(frozen=True)
class Result:
    """How a job ended: the artefact's path, or why there is none."""

    number: int
    path: str = ""
    problem: str = ""
    log: str = ""
    exit_code: int = 0

    def save(self, folder: Path) -> None:
        """Write it where the parent process looks; a full disk must not hide how it ended."""
        _unwritten.pop((folder, self.number), None)
        try:
            write_json(ensure_folder(folder / RESULTS) / f"{self.number}.json", asdict(self))
        except OSError:
            _unwritten[folder, self.number] = self


# Results of this process that the disk refused.
_unwritten: dict[tuple[Path, int], Result] = {}


def load_result(folder: Path, number: int, code: int = EXIT_FAILED) -> Result:
    """The result of job ``number``; ``code`` is that of a job that left none."""
    file = folder / RESULTS / f"{number}.json"
    if (folder, number) in _unwritten:
        return _unwritten.pop((folder, number))
    if file.exists():
        return Result(**read_json(file))
    why = "the command was stopped" if code in SIGNALLED else "it was killed or never ran"
    problem = f"the job left no result yet: {why}; it may still run: neuroattn status"
    return Result(number, problem=problem, log=str(folder / str(number)), exit_code=code)


def run_job(composed: DictConfig) -> None:
    """Hydra's task function, for every launcher."""
    hydra = HydraConfig.get()
    is_sweep = hydra.mode == RunMode.MULTIRUN
    number = int(hydra.job.num) if is_sweep else 0
    folder = Path(str(hydra.sweep.dir if is_sweep else hydra.run.dir))
    record = Path(hydra.runtime.output_dir) / f"{hydra.job.name}.log"
    try:
        config = typed(composed)
        config.composer = composer([*searched(hydra.overrides.hydra), *hydra.overrides.task])
        artefact = run_stage(config.stage, config)
        result = Result(number, path=str(artefact.folder))
    except (KeyboardInterrupt, SystemExit, InterruptedRunError) as leaving:
        is_here = hydra.runtime.choices["hydra/launcher"] == "basic"
        if is_sweep and not is_here and getattr(leaving, "code", None) == REQUEUED:
            raise  # the job goes on later; a result now would say that it has ended
        code = _exit_code(leaving)
        result = Result(number, problem=_told(leaving, code), log=str(record), exit_code=code)
        result.save(folder)
        if is_sweep and is_here:
            raise SystemExit(code) from leaving  # else the next job would begin
    except Exception as error:  # noqa: BLE001 - a failure never reaches Hydra
        code = error.exit_code if isinstance(error, NeuroattnError) else EXIT_FAILED
        result = Result(number, problem=describe(error), log=str(record), exit_code=code)
        _keep_traceback(record, number)
    result.save(folder)


def _exit_code(leaving: BaseException) -> int:
    if isinstance(leaving, InterruptedRunError):
        return leaving.exit_code
    if isinstance(leaving, KeyboardInterrupt):
        return EXIT_SIGINT
    code = getattr(leaving, "code", None)
    return code if isinstance(code, int) and code else EXIT_FAILED


def _told(leaving: BaseException, code: int) -> str:
    if isinstance(leaving, InterruptedRunError):
        return describe(leaving)
    if code in SIGNALLED:
        return "stopped by a signal; the same command resumes"
    return f"the stage left by itself, with exit code {code}"


def _keep_traceback(record: Path, number: int) -> None:
    text = traceback.format_exc()
    if debugging():
        log.error(text)  # goes to the job's file as well
        return
    with contextlib.suppress(OSError), open(record, "a") as handle:  # the disk may be full
        handle.write(f"job {number} failed\n{text}")


class _Stopped(SystemExit):
    """SIGTERM came."""


@contextmanager
def leave_on_sigterm() -> Iterator[None]:
    """Make SIGTERM unwind like Ctrl-C, so that claims are released and temporaries removed.

    A signal that meets a destructor, or a callback of the garbage collector, would be lost:
    Python reports what is raised there and goes on. It is then sent once more.
    """

    def handler(number: int, _frame: FrameType | None) -> None:
        raise _Stopped(128 + number)

    def report(lost: sys.UnraisableHookArgs) -> None:
        if isinstance(lost.exc_value, _Stopped):
            again.append(threading.Timer(AGAIN_AFTER, os.kill, (os.getpid(), signal.SIGTERM)))
            again[-1].start()
        else:
            report_before(lost)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    again: list[threading.Timer] = []
    before = signal.signal(signal.SIGTERM, handler)
    report_before, sys.unraisablehook = sys.unraisablehook, report
    try:
        yield
    finally:
        for timer in again:
            timer.cancel()
        sys.unraisablehook = report_before
        # None stands for a handler that was not installed from Python.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
