"""Finding the stage or the verb; errors become messages and exit codes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from neuroattn.cli import main as module
from neuroattn.cli.main import main
from neuroattn.core.errors import ClaimedError, ConfigError, StorageError
from neuroattn.core.logs import DEBUG_VARIABLE, debugging


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make every command raise this."""

    def set_error(error: BaseException) -> None:
        def fail(_arguments: list[str]) -> int:
            raise error

        monkeypatch.setattr(module, "_dispatch", fail)

    return set_error


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("wrong"), 2), (StorageError("full"), 1), (ClaimedError("busy"), 75)],
)
def test_our_errors_have_their_codes(
    error: Exception,
    code: int,
    command: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(error)
    assert main(["encode"]) == code
    assert capsys.readouterr() == ("", f"error: {error}\n")
    with pytest.raises(type(error)):
        main(["encode", "--debug"])


def test_an_interrupt(
    command: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(KeyboardInterrupt())
    assert main(["run", "demo"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_stop_of_a_verb_is_told(
    command: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(SystemExit(143))
    assert main(["run", "demo"]) == 143
    assert "the same command resumes" in capsys.readouterr().err


def test_foreign_errors_are_not_hidden(command: Callable[[BaseException], None]) -> None:
    command(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["status"])


def test_debugging_is_for_one_call_and_is_handed_to_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look(arguments: list[str]) -> int:
        seen.append((arguments, os.environ.get(DEBUG_VARIABLE)))
        return 0

    monkeypatch.setattr(module, "_dispatch", look)
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    main(["status", "--debug", "x=1"])
    main(["status"])
    assert seen == [(["status", "x=1"], "1"), (["status"], None)]
    assert not debugging()
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    main(["--debug", "status"])
    assert debugging(), "what the user's environment says is left alone"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("neuroattn enc", ["encode"]),
        ("neuroattn do", ["doctor"]),
        ("neuroattn zzz", []),
        ("neuroattn run d", ["demo"]),
        ("neuroattn doctor ", []),
    ],
)
def test_the_first_word_is_completed(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("COMP_LINE", line)
    assert main(["-sc", "query=bash"]) == 0
    assert capsys.readouterr().out.split() == offered
