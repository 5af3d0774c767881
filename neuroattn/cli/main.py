"""``neuroattn``: finds the stage or the verb, and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from neuroattn.core.errors import EXIT_FAILED, EXIT_SIGINT, EXIT_SIGTERM, NeuroattnError
from neuroattn.core.logs import DEBUG_VARIABLE, debugging
from neuroattn.core.process import settle

VERBS = {
    "run": "run a recipe: a list of stages with overrides",
    "demo": "a simulated subject: encoders, maps, decoding, captions, pictures, one report",
    "data": "make, list, fetch and check datasets: simulate, plan, download, verify, lock",
    "reproduce": "run a published experiment; write its figures beside what to expect",
    "plan": "show what a stage would build, and what exists",
    "status": "list artefacts and who computes them",
    "why": "show which keys differ between two artefacts",
    "gc": "remove what was left unfinished, and old job records",
    "doctor": "check this installation and machine",
}

USAGE = """\
neuroattn <stage> [key=value ...]   build a stage's artefact and its missing parents
neuroattn <verb>  [...]             everything else

Stages
{stages}

Verbs
{verbs}

Every stage understands Hydra's command line: key=value, group=choice, -m a=1,2, --cfg job,
--help, --config-dir DIR, hydra/launcher=submitit_slurm. --debug shows tracebacks.
The last line on stdout is the artefact's folder; everything else goes to stderr.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code that `docs/cli.md` documents."""
    settle()
    arguments = list(sys.argv[1:] if words is None else words)
    with _debug(requested="--debug" in arguments):
        return _answer([_opened(word) for word in arguments if word != "--debug"])


def _opened(word: str) -> str:
    """Spare the user Hydra's ``+`` where every name is allowed: use.<stage>=, notes.<name>=."""
    return f"++{word}" if re.match(r"(use|notes)\.\w+=", word) else word


@contextmanager
def _debug(*, requested: bool) -> Iterator[None]:
    """Set the variable by which jobs in other processes learn of ``--debug`` too."""
    before = os.environ.get(DEBUG_VARIABLE)
    if requested:
        os.environ[DEBUG_VARIABLE] = "1"
    try:
        yield
    finally:
        if requested and before is None:
            del os.environ[DEBUG_VARIABLE]


def _answer(arguments: list[str]) -> int:
    try:
        return _dispatch(arguments)
    except NeuroattnError as error:
        if debugging():
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_SIGINT
    except SystemExit as leaving:
        if leaving.code != EXIT_SIGTERM:
            raise
        print("stopped by a signal; the same command resumes", file=sys.stderr)
        return EXIT_SIGTERM
    except BrokenPipeError:
        return EXIT_FAILED


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_usage())
        return 0
    first, *rest = arguments
    if first == "--version":
        return _version()
    if first in ("-sc", "--shell-completion"):
        return _complete(arguments)
    return _command(first)(first, rest)


def _command(name: str) -> Callable[[str, list[str]], int]:
    if name in VERBS:
        from neuroattn.cli.verbs import run_verb

        return run_verb
    from neuroattn.pipeline.stages import stage_named

    try:
        stage_named(name)
    except NeuroattnError as error:
        error.expected = f"{error.expected} | {' | '.join(VERBS)}"
        error.exit_code = 2
        raise
    from neuroattn.cli.app import run_stage_command

    return run_stage_command


def _usage() -> str:
    from neuroattn.pipeline.stages import catalogue

    def rows(entries: dict[str, str]) -> str:
        return "\n".join(f"  {name:<12}{about}" for name, about in entries.items())

    stages = {stage.name: stage.about for stage in catalogue().stages.values()}
    return USAGE.format(stages=rows(stages), verbs=rows(VERBS))


def _version() -> int:
    from importlib.metadata import version

    print(version("neuroattn"))
    return 0


def _complete(arguments: list[str]) -> int:
    """Complete the first word ourselves; behind a stage, Hydra completes."""
    from neuroattn.pipeline.stages import catalogue

    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    stages = list(catalogue().stages)
    is_install = any(word.startswith(("install", "uninstall")) for word in arguments)
    is_first = len(words) < 2 or (len(words) == 2 and not line.endswith(" "))
    if not is_install and is_first:
        typed = words[1] if len(words) > 1 else ""
        print(" ".join(name for name in (*stages, *VERBS) if name.startswith(typed)))
    elif is_install or words[1] in stages:
        from neuroattn.cli.app import run_stage_command

        return run_stage_command(stages[0] if is_install else words[1], arguments)
    elif words[1] == "plan":
        print(" ".join(stages))
    elif words[1] == "run":
        from neuroattn.pipeline.recipes import recipes

        typed = "" if line.endswith(" ") else words[-1]
        print(" ".join(name for name in recipes() if name.startswith(typed)))
    elif words[1] == "reproduce":
        from neuroattn.pipeline.published import experiments

        typed = "" if line.endswith(" ") else words[-1]
        print(" ".join(name for name in experiments() if name.startswith(typed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
