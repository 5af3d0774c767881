"""The verbs beside the stages: run, demo, data, reproduce, plan, status, why, gc, doctor."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from neuroattn.cli import data_verbs
from neuroattn.cli.simulate import simulate
from neuroattn.core.errors import EXIT_FAILED
from neuroattn.pipeline import status
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.recipes import GENERATED


def run_verb(name: str, words: list[str]) -> int:
    """Run verb ``name``; returns its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return _VERBS[name](words)


def _compose(overrides: Sequence[str]) -> RootConfig:
    """Compose under the same guard as a stage's command line."""
    from neuroattn.cli import guard
    from neuroattn.cli.compose import addressed, config_loader, load, typed
    from neuroattn.cli.variants import composer

    overrides = addressed(overrides)
    with config_loader() as loader:
        composed = load(loader, overrides)
        guard.check(loader, composed, overrides)
        config = typed(composed)
    config.composer = composer(overrides)
    return config


def _parser(name: str, about: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"neuroattn {name}", description=about)


def _overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", help="key=value, as for a stage (paths.root=DIR)")


def _run(words: list[str]) -> int:
    from neuroattn.pipeline.recipes import recipes

    parser = _parser("run", f"Run a recipe. Shipped: {', '.join(recipes())}")
    parser.add_argument("recipe", help="a shipped recipe's name, or a YAML file")
    _overrides(parser)
    arguments = parser.parse_args(words)
    return _run_recipe(arguments.recipe, arguments.overrides)


def _demo(words: list[str]) -> int:
    parser = _parser("demo", "Run the demo recipe on a simulated subject.")
    _overrides(parser)
    return _run_recipe("demo", parser.parse_args(words).overrides)


def _run_recipe(name: str, overrides: Sequence[str]) -> int:
    from neuroattn.cli.jobs import leave_on_sigterm
    from neuroattn.core.atomic import check_writable, standing
    from neuroattn.pipeline.build import run_stage
    from neuroattn.pipeline.plan import compose_cited
    from neuroattn.pipeline.recipes import load_recipe

    recipe = load_recipe(name)
    root = Path(_compose(overrides).paths.root)
    check_writable(standing(root))  # composing all steps takes seconds, and must make nothing
    extra = _of_generated(recipe.generate, root)
    # All steps are composed before anything is made: a typo in the last costs nothing.
    configs = [
        _compose([*extra, *step.overrides, *overrides, f"stage={step.stage}"])
        for step in recipe.steps
    ]
    for config in configs:
        compose_cited(config.stage, config)
    _check_models(recipe.models)
    with leave_on_sigterm():
        if any(_reads(config, recipe.generate, root) for config in configs):
            _generate(recipe.generate, root)
        _train(recipe.models, root, configs[0].runtime.device.value)
        for config in configs:
            artefact = run_stage(config.stage, config)
    print(artefact.folder)
    return 0


def _of_generated(kind: str, root: Path) -> list[str]:
    """Overrides that name the dataset a recipe generates; a later one may choose its reader."""
    from neuroattn.cli.compose import quoted

    if not kind:
        return []
    folder = _generated(kind, root)
    return [f"dataset={GENERATED[kind]}", f"dataset.root={quoted(str(folder))}"]


def _generated(kind: str, root: Path) -> Path:
    return root.absolute() / "generated" / kind


def _reads(config: RootConfig, kind: str, root: Path) -> bool:
    """Whether a step reads the dataset that is generated: dataset.root=DIR takes another."""
    return bool(kind) and getattr(config.dataset, "root", None) == str(_generated(kind, root))


def _check_models(names: Sequence[str]) -> None:
    from neuroattn.generators.registry import MODELS

    for name in names:
        MODELS.entry(name)


def _train(names: Sequence[str], root: Path, device: str) -> None:
    """Train the embedded models of a recipe below ``root``, or resume; finished ones are kept."""
    if names:
        from neuroattn.generators import build

        for name in names:
            build.build(name, root.absolute() / "models", build.model_config(name), device)


def _generate(kind: str, root: Path) -> None:
    """Make the dataset of a recipe, unless it is there."""
    folder = _generated(kind, root)
    if kind == "arrays":
        from neuroattn.data.generated import generate

        generate(folder)
    elif kind == "simulated":
        from neuroattn.data.simulate.write import simulate as write

        write(folder, "demo")


def _data(words: list[str]) -> int:
    if words[:1] == ["simulate"]:
        return simulate(words[1:])
    if words[:1] and words[0] in data_verbs.ABOUT:
        return data_verbs.run(words[0], words[1:])
    parser = _parser("data", "Make, list, fetch and check datasets; `data ACTION --help`.")
    parser.add_argument("action", choices=["generate", "simulate", *data_verbs.ABOUT])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    from neuroattn.data.generated import generate

    print(generate(arguments.folder, seed=arguments.seed))
    return 0


def _reproduce(words: list[str]) -> int:
    from neuroattn.pipeline.published import experiments

    parser = _parser("reproduce", f"Run an experiment: {', '.join(experiments())}.")
    parser.add_argument("experiment", help="its name; figures beside expectations go into a file")
    parser.add_argument("--plan", action="store_true", help="show what would run, and run nothing")
    _overrides(parser)
    arguments = parser.parse_intermixed_args(words)
    from neuroattn.cli.reproduce import reproduce

    return reproduce(arguments.experiment, arguments.overrides, _compose, only_plan=arguments.plan)


def _plan(words: list[str]) -> int:
    parser = _parser("plan", "Show what a stage would build, parents first; builds nothing.")
    parser.add_argument("stage")
    _overrides(parser)
    arguments = parser.parse_args(words)
    from neuroattn.pipeline.plan import plan

    for line in status.plan_lines(plan(arguments.stage, _compose(arguments.overrides))):
        print(line)
    return 0


def _status(words: list[str]) -> int:
    parser = _parser("status", "List artefacts and who computes them.")
    _overrides(parser)
    root = Path(_compose(parser.parse_args(words).overrides).paths.root)
    for row in status.scan(root):
        age = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.modified))
        size = f"{row.bytes / 2**20:.1f} MiB"
        cells = (
            f"{row.stage:<12} {row.label:<40} {row.state.value:<11} {size:>12}  {age}  {row.note}"
        )
        print(cells.rstrip())
    return 0


def _why(words: list[str]) -> int:
    parser = _parser("why", "Show which keys differ between two artefacts.")
    parser.add_argument("left", help="folder, label or fingerprint")
    parser.add_argument("right")
    _overrides(parser)
    arguments = parser.parse_args(words)
    root = Path(_compose(arguments.overrides).paths.root)
    rows = status.explain(arguments.left, arguments.right, root)
    for key, left, right in rows:
        print(f"{key}: {_shown(left)} -> {_shown(right)}")
    if not rows:
        print("no difference")
    return 0


def _shown(value: object) -> str:
    return "default" if value is None else str(value)


def _gc(words: list[str]) -> int:
    parser = _parser("gc", "List what nobody will read; --yes removes it.")
    parser.add_argument("--yes", action="store_true", help="remove instead of listing")
    parser.add_argument("--older-than", type=float, default=1.0, metavar="DAYS")
    _overrides(parser)
    arguments = parser.parse_args(words)
    if not arguments.older_than >= 0:
        parser.error("--older-than takes a number of days, 0 or more")
    root = Path(_compose(arguments.overrides).paths.root)
    found = status.garbage(root, older_than_days=arguments.older_than)
    for folder in found:
        print(folder)
    if arguments.yes:
        status.remove(found)
    print(
        f"{len(found)} folders {'removed' if arguments.yes else 'to remove (--yes)'}",
        file=sys.stderr,
    )
    return 0


def _doctor(words: list[str]) -> int:
    parser = _parser("doctor", "Check this installation and machine.")
    _overrides(parser)
    root = Path(_compose(parser.parse_args(words).overrides).paths.root)
    from neuroattn.pipeline.doctor import examine

    findings = examine(root)
    for finding in findings:
        mark = "ok  " if finding.fine else "FAIL"
        print(f"{mark}  {finding.name:<14} {finding.found}")
        if not finding.fine and finding.fix:
            print(f"      fix: {finding.fix}")
    return 0 if all(finding.fine for finding in findings) else EXIT_FAILED


_VERBS: dict[str, Callable[[list[str]], int]] = {
    "run": _run,
    "demo": _demo,
    "data": _data,
    "reproduce": _reproduce,
    "plan": _plan,
    "status": _status,
    "why": _why,
    "gc": _gc,
    "doctor": _doctor,
}
