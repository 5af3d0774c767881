"""docs/cli.md names what there is: verbs, exit codes, flags, Hydra's free keys, launchers."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from hydra._internal.utils import get_args_parser

from neuroattn.cli import guard
from neuroattn.cli.app import _parse
from neuroattn.cli.main import VERBS
from neuroattn.core import errors
from neuroattn.core.errors import SecurityError
from neuroattn.core.sections import Parents, PathsConfig
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "cli.md").read_text()
CODE = re.findall(r"`([^`\n]+)`", PAGE)


def section(title: str) -> str:
    """The text under one heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb(verb: str) -> None:
    assert re.search(rf"^\| `{verb}\b", section("Verbs"), re.MULTILINE)


def test_every_exit_code_and_no_other() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    told = re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)
    assert {int(code) for code in told} == {0, *codes}


def test_every_free_key_and_no_other() -> None:
    listed = section("Which of Hydra's own keys are free").split("\n\n")[1]
    assert tuple(re.findall(r"`([^`]+)`", listed)) == guard.FREE


@pytest.mark.parametrize("name", [*guard.SHELL, *guard.LAUNCHERS])
def test_every_launcher_and_its_shell_keys(name: str) -> None:
    assert any(code == name or code.startswith(f"{name} ") for code in CODE)


def test_every_flag_of_hydra() -> None:
    ours = {"--run", "--shell-completion", "--version"}
    for action in get_args_parser()._actions:
        for flag in action.option_strings:
            if flag.startswith("--") and flag not in ours:
                assert flag in PAGE, flag


def test_refused_flags_are_refused() -> None:
    (sentence,) = re.findall(r"^(`--config-path`.*?) are refused", PAGE, re.MULTILINE | re.DOTALL)
    for flag in re.findall(r"`(--[\w-]+)`", sentence):
        with pytest.raises(SecurityError):
            _parse("encode", [flag, "x"])


def test_keys_and_values_that_are_named_exist() -> None:
    for value in Parents:
        assert f"parents={value.value}" in PAGE
    (root,) = (entry for entry in fields(PathsConfig) if entry.name == "root")
    assert f"`paths.root=DIR` (default `{root.default}`" in PAGE
