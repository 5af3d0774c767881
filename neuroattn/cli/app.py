"""A stage on the command line: guard the composition, let Hydra run it, print the paths."""

from __future__ import annotations

import logging
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from neuroattn.cli import guard
from neuroattn.cli.compose import (
    CONFIG_NAME,
    NOT_COMPOSED,
    VERSION_BASE,
    addressed,
    config_loader,
    engine,
    explain,
    load,
    load_job,
    quoted,
    typed,
)
from neuroattn.cli.help import help_text
from neuroattn.cli.jobs import Result, leave_on_sigterm, load_result, run_job
from neuroattn.cli.variants import composer
from neuroattn.core.atomic import check_writable, storage_errors
from neuroattn.core.errors import (
    EXIT_FAILED,
    EXIT_SIGINT,
    ConfigError,
    SecurityError,
    StorageError,
)
from neuroattn.core.logs import debugging
from neuroattn.core.resources import shipped, user_path
from neuroattn.pipeline.plan import compose_cited

log = logging.getLogger("neuroattn.cli")


def run_stage_command(stage: str, words: Sequence[str]) -> int:
    """``neuroattn <stage> [words]``; returns the exit code.

    Raises
    ------
    ConfigError : before anything is written.
    """
    if any(word in ("--shell-completion", "-sc") for word in words):
        return _complete(stage, words)
    arguments = _parse(stage, words)
    if arguments.hydra_help:
        return _hand_over(["--hydra-help"])
    overrides = [*_overlay(arguments), *addressed(arguments.overrides), f"stage={stage}"]
    with config_loader() as loader:
        master = load(loader, overrides, multirun=True)
        guard.check(loader, master, overrides)
        is_sweep = arguments.multirun or master.hydra.mode == RunMode.MULTIRUN
        jobs = _jobs(loader, master, overrides) if is_sweep else [overrides]
        if not is_sweep and _sweeps(loader, overrides):
            load(loader, overrides)  # says which value is ambiguous, or needs -m
        for job in jobs:
            composed = load_job(loader, master, job) if is_sweep else master
            guard.check(loader, composed, overrides)
            config = typed(composed)
            config.composer = composer(job)
            if not arguments.help and arguments.cfg is None and arguments.info is None:
                compose_cited(stage, config)
    if arguments.help:
        print(help_text(stage, config, loader))
        return 0
    flags = _flags(arguments)
    if flags and is_sweep:
        raise ConfigError(
            f"{flags[0]} shows one config, not those of a sweep",
            found="-m",
            fix="leave -m out, and give every key one value",
        )
    if flags:
        return _hand_over([*flags, *overrides])
    check_writable(Path(config.paths.root))  # Hydra's own message would be a traceback
    folder = _call_folder(master, stage, Path(config.paths.root), is_sweep)
    place = f"hydra.{'sweep' if is_sweep else 'run'}.dir={quoted(str(folder))}"
    # What Hydra's own main would add; it composes everything once more to find this out.
    mode = [] if master.hydra.mode else [f"hydra.mode={'MULTIRUN' if is_sweep else 'RUN'}"]
    code = _run([*overrides, place, *mode], is_sweep, folder)
    results = [load_result(folder, number, code or EXIT_FAILED) for number in range(len(jobs))]
    return _conclude_sweep(results, jobs, code) if is_sweep else _conclude(results[0])


def _parse(stage: str, words: Sequence[str]) -> Namespace:
    parser = get_args_parser()
    parser.prog = f"neuroattn {stage}"
    # Intermixed: -m and the other flags may stand anywhere between the overrides.
    arguments, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        raise ConfigError(
            f"there is no flag {unknown[0]}",
            expected="key=value, -m, --cfg, --info, --help, --hydra-help, --config-dir, --debug",
            found=" ".join(unknown),
            fix="see docs/cli.md",
        )
    for name in ("experimental_rerun", "config_path", "config_name"):
        if getattr(arguments, name) is not None:
            raise SecurityError(
                f"--{name.replace('_', '-')} is not supported",
                fix="--config-dir adds a folder of your own configs; experiment=<name> picks one",
            )
    stray = [word for word in arguments.overrides if word.lstrip("+~").startswith("stage=")]
    if stray:
        raise ConfigError("the stage is the first word, not a key", found=stray[0])
    return arguments


def _overlay(arguments: Namespace) -> list[str]:
    """A lab's own config folder, as an addition that cannot shadow what is shipped."""
    if arguments.config_dir is None:
        return []
    folder = user_path(arguments.config_dir).absolute()
    if not folder.is_dir():
        raise ConfigError("--config-dir names no folder", file=folder, fix="correct the path")
    return [f"hydra.searchpath=[{quoted(f'file://{folder}')}]"]


def _flags(arguments: Namespace) -> list[str]:
    """The words that make Hydra show something instead of running."""
    shown = []
    if arguments.cfg is not None:
        shown += ["--cfg", arguments.cfg]
    if arguments.info is not None:
        shown += ["--info", arguments.info]
    if shown and arguments.resolve:
        shown.append("--resolve")
    if shown and arguments.package is not None:
        shown += ["--package", arguments.package]
    return shown


def _jobs(loader: ConfigLoader, master: DictConfig, overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every job of a sweep, in the order in which Hydra numbers them."""
    params = master.hydra.sweeper.params or {}
    words = [*(f"{key}={value}" for key, value in params.items()), *overrides]
    batches = BasicSweeper.split_arguments(_parsed(loader, words), None)
    return list(chain.from_iterable(batches))


def _sweeps(loader: ConfigLoader, overrides: Sequence[str]) -> bool:
    return any(word.is_sweep_override() for word in _parsed(loader, overrides))


def _parsed(loader: ConfigLoader, words: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    except NOT_COMPOSED as error:
        raise explain(error) from error


def _call_folder(master: DictConfig, stage: str, root: Path, is_sweep: bool) -> Path:
    """The folder of this call's records: the user's choice, or one that no other call has."""
    node = master.hydra.sweep if is_sweep else master.hydra.run
    default = OmegaConf.to_container(node, resolve=False)
    assert isinstance(default, dict)
    if not str(default["dir"]).startswith("${paths.root}/jobs/"):
        return Path(str(node.dir)).absolute()
    suffix = "-sweep" if is_sweep else ""
    day, clock = time.strftime("%Y-%m-%d"), time.strftime("%H-%M-%S")
    return root / "jobs" / day / f"{clock}-{stage}-{os.getpid()}{suffix}"


def _run(overrides: list[str], is_sweep: bool, folder: Path) -> int:
    """Let Hydra run the job, or all jobs of a sweep; as `_stopped` answers."""

    def start() -> None:
        with engine() as started:
            call = started.multirun if is_sweep else started.run
            call(CONFIG_NAME, run_job, overrides)

    return _stopped(start, folder)


def _hand_over(words: list[str]) -> int:
    """Let Hydra's own main show something; as `_stopped` answers."""
    before, sys.argv = sys.argv, [sys.argv[0], *words]
    main = hydra.main(
        version_base=VERSION_BASE, config_path=str(shipped("conf")), config_name=CONFIG_NAME
    )(run_job)
    try:
        return _stopped(main, Path())
    finally:
        sys.argv = before


def _stopped(start: Callable[[], object], folder: Path) -> int:
    """The exit code of what stopped Hydra, or 0.

    Raises
    ------
    StorageError : Hydra, or a job, cannot write its records in ``folder``.
    """
    # submitit would write its warnings on stdout; unconfigured, they reach Hydra's handler.
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise what a launcher raises, instead of printing it
    logging.raiseExceptions = debugging()  # a log that cannot be written is not worth a traceback
    try:
        with leave_on_sigterm(), storage_errors(folder):
            start()
    except (StorageError, BrokenPipeError):  # the latter: whoever read our stdout has gone
        raise
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_SIGINT
    except Exception as error:  # a job's failure never comes here: this is the launcher's own
        if debugging():
            raise
        told = "; ".join(line.strip() for line in str(error).splitlines()[:2])
        print(f"the launcher stopped: {told}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        logging.raiseExceptions = True
    return 0


def _conclude(result: Result) -> int:
    """Print the path on stdout, or the failure on stderr."""
    if not result.exit_code:
        print(result.path)
        return 0
    print(f"error: {result.problem}", file=sys.stderr)
    if result.log:
        print(f"  log: {result.log}", file=sys.stderr)
    return result.exit_code


def _conclude_sweep(results: Sequence[Result], jobs: Sequence[Sequence[str]], code: int) -> int:
    """Print one line per job on stdout, and one table of what failed on stderr.

    ``code`` is that of what stopped the sweep as a whole, or 0.
    """
    for result in results:
        print(result.path or "-")
    failed = [result for result in results if result.exit_code]
    if not failed:
        return 0
    common = set(jobs[0]).intersection(*jobs)
    print(f"\n{len(failed)} of {len(results)} jobs failed\n  job  problem", file=sys.stderr)
    for result in failed:
        own = " ".join(word for word in jobs[result.number] if word not in common)
        lines = [*([own] if own else []), *result.problem.splitlines(), f"log: {result.log}"]
        print(f"{result.number:>5}  " + "\n       ".join(lines), file=sys.stderr)
    return code or EXIT_FAILED


def _complete(stage: str, words: Sequence[str]) -> int:
    """Shell completion behind the stage's name: Hydra completes the rest of the line."""
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.partition(" ")
    os.environ["COMP_LINE"] = f"{program} {rest.partition(stage)[2].lstrip()}"
    from neuroattn.cli.compose import register_schemas

    register_schemas()
    return _hand_over(list(words))
