"""One Hydra job: run the stage, keep the failure in the job's own log, leave a result file.

A job never raises into Hydra and never prints: launchers differ in what they do with either.
The parent process reads the result files and speaks.
"""

from __future__ import annotations

import logging
import signal
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from neuroattn.cli.compose import typed
from neuroattn.core.atomic import ensure_folder, read_json, write_json
from neuroattn.core.errors import EXIT_FAILED, NeuroattnError
from neuroattn.core.logs import debugging
from neuroattn.pipeline.build import describe, run_stage

log = logging.getLogger("neuroattn.cli")

RESULTS = "results"


@dataclass(frozen=True)
class Result:
    """How a job ended: the artefact's path, or why there is none."""

    number: int
    path: str = ""
    problem: str = ""
    log: str = ""
    exit_code: int = 0

    def save(self, folder: Path) -> None:
        """Write it where the parent process looks."""
        write_json(ensure_folder(folder / RESULTS) / f"{self.number}.json", asdict(self))


def load_result(folder: Path, number: int) -> Result:
    """The result of job ``number``; a job that left none was killed."""
    file = folder / RESULTS / f"{number}.json"
    if not file.exists():
        return Result(
            number, problem="the job left no result: it was killed or never ran",
            log=str(folder / str(number)), exit_code=EXIT_FAILED,
        )  # fmt: skip
    return Result(**read_json(file))


def run_job(composed: DictConfig) -> None:
    """Hydra's task function, for every launcher."""
    hydra = HydraConfig.get()
    is_sweep = hydra.mode == RunMode.MULTIRUN
    number = int(hydra.job.num) if is_sweep else 0
    folder = Path(str(hydra.sweep.dir if is_sweep else hydra.run.dir))
    record = Path(hydra.runtime.output_dir) / f"{hydra.job.name}.log"
    try:
        config = typed(composed)
        artefact = run_stage(config.stage, config)
        result = Result(number, path=str(artefact.folder))
    except (KeyboardInterrupt, SystemExit) as leaving:
        code = int(leaving.code or 0) if isinstance(leaving, SystemExit) else 130
        problem = "stopped by a signal; the same command resumes"
        result = Result(number, problem=problem, log=str(record), exit_code=code)
    except Exception as error:  # noqa: BLE001 - a job never raises into Hydra
        code = error.exit_code if isinstance(error, NeuroattnError) else EXIT_FAILED
        result = Result(number, problem=describe(error), log=str(record), exit_code=code)
        _keep_traceback(record, number)
    result.save(folder)


def _keep_traceback(record: Path, number: int) -> None:
    text = traceback.format_exc()
    if debugging():
        log.error(text)  # goes to the job's file as well
        return
    with open(record, "a") as handle:
        handle.write(f"job {number} failed\n{text}")


def leave_on_sigterm() -> None:
    """Make SIGTERM unwind like Ctrl-C, so that claims are released and temporaries removed."""

    def handler(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, handler)
