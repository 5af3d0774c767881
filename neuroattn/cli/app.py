"""A stage on the command line: guard the composition, let Hydra run it, print the paths."""

from __future__ import annotations

import logging
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from neuroattn.cli import guard
from neuroattn.cli.compose import (
    CONFIG_NAME,
    VERSION_BASE,
    config_loader,
    explain,
    load,
    load_job,
    typed,
)
from neuroattn.cli.jobs import Result, leave_on_sigterm, load_result, run_job
from neuroattn.core.atomic import ensure_folder, storage_errors
from neuroattn.core.errors import EXIT_FAILED, ConfigError, SecurityError
from neuroattn.core.logs import debugging
from neuroattn.core.resources import shipped

log = logging.getLogger("neuroattn.cli")


def run_stage_command(stage: str, words: Sequence[str]) -> int:
    """``neuroattn <stage> [words]``; returns the exit code.

    Raises
    ------
    ConfigError : before anything is written.
    """
    if any(word in ("--shell-completion", "-sc") for word in words):
        return _complete(stage, words)
    arguments = _parse(words)
    overrides = [*_overlay(arguments), *arguments.overrides, f"stage={stage}"]
    with config_loader() as loader:
        master = load(loader, overrides, multirun=True)
        guard.check(loader, master, overrides)
        is_sweep = arguments.multirun or str(master.hydra.mode) in ("RunMode.MULTIRUN", "MULTIRUN")
        jobs = _jobs(loader, master, overrides) if is_sweep else [overrides]
        for job in jobs:
            composed = load_job(loader, master, job) if is_sweep else load(loader, job)
            guard.check(loader, composed, overrides)
            config = typed(composed)
    flags = _flags(arguments)
    if flags:
        return _hand_over([*flags, *overrides])
    _check_writable(Path(config.paths.root))
    folder = _call_folder(master, stage, Path(config.paths.root), is_sweep)
    place = f"hydra.{'sweep' if is_sweep else 'run'}.dir='{folder}'"
    code = _hand_over([*(["--multirun"] if is_sweep else []), *overrides, place])
    results = [load_result(folder, number) for number in range(len(jobs))]
    return _conclude_sweep(results, jobs) if is_sweep else _conclude(results[0], code)


def _parse(words: Sequence[str]) -> Namespace:
    arguments = get_args_parser().parse_args(list(words))
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
    folder = Path(arguments.config_dir).expanduser().absolute()
    if not folder.is_dir():
        raise ConfigError("--config-dir names no folder", file=folder, fix="correct the path")
    return [f"hydra.searchpath=['file://{folder}']"]


def _flags(arguments: Namespace) -> list[str]:
    """The words that make Hydra show something instead of running."""
    shown = []
    if arguments.help:
        shown.append("--help")
    if arguments.hydra_help:
        shown.append("--hydra-help")
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
    try:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(words)
        batches = BasicSweeper.split_arguments(parsed, None)
    except HydraException as error:
        raise explain(error) from error
    return list(chain.from_iterable(batches))


def _check_writable(root: Path) -> None:
    """Find out before Hydra does, whose own message would be a traceback."""
    ensure_folder(root)
    probe = root / f".probe.{os.getpid()}"
    with storage_errors(root):
        probe.write_text("")
        probe.unlink()


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


def _hand_over(words: list[str]) -> int:
    """Let Hydra's own main run; it leaves through ``SystemExit`` where it fails."""
    leave_on_sigterm()
    # submitit would write its warnings on stdout; unconfigured, they reach Hydra's handler.
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise what a launcher raises, instead of printing it
    before = sys.argv
    sys.argv = [before[0], *words]
    main = hydra.main(
        version_base=VERSION_BASE, config_path=str(shipped("conf")), config_name=CONFIG_NAME
    )(run_job)
    try:
        main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else EXIT_FAILED
    except Exception as error:  # a job never raises: this is the launcher's own
        if debugging():
            raise
        told = "; ".join(line.strip() for line in str(error).splitlines()[:2])
        print(f"the launcher stopped: {told}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        sys.argv = before
    return 0


def _conclude(result: Result, code: int) -> int:
    """Print the path on stdout, or the failure on stderr."""
    if not result.exit_code:
        print(result.path)
        return code
    print(f"error: {result.problem}", file=sys.stderr)
    if result.log:
        print(f"  log: {result.log}", file=sys.stderr)
    return result.exit_code


def _conclude_sweep(results: Sequence[Result], jobs: Sequence[Sequence[str]]) -> int:
    """Print one line per job on stdout, and one table of what failed on stderr."""
    for result in results:
        print(result.path or "-")
    failed = [result for result in results if result.exit_code]
    if not failed:
        return 0
    common = set(jobs[0]).intersection(*jobs)
    print(f"\n{len(failed)} of {len(results)} jobs failed\n  job  problem", file=sys.stderr)
    for result in failed:
        own = " ".join(word for word in jobs[result.number] if word not in common)
        lines = [own, *result.problem.splitlines(), f"log: {result.log}"]
        print(f"{result.number:>5}  " + "\n       ".join(lines), file=sys.stderr)
    return EXIT_FAILED


def _complete(stage: str, words: Sequence[str]) -> int:
    """Shell completion behind the stage's name: Hydra completes the rest of the line."""
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.partition(" ")
    os.environ["COMP_LINE"] = f"{program} {rest.partition(stage)[2].lstrip()}"
    from neuroattn.cli.compose import register_schemas

    register_schemas()
    return _hand_over(list(words))
