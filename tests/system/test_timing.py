"""How long one waits for help, for a config and for a mistake. Limits of the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.command import PROGRAM, Ran, run

pytestmark = pytest.mark.system


def best(folder: Path, *words: str, of: int = 3) -> Ran:
    """The fastest of some runs: a busy machine only ever adds."""
    return min(
        (run([PROGRAM, *words], folder=folder) for _ in range(of)), key=lambda it: it.seconds
    )


def test_help_within_a_second(tmp_path: Path) -> None:
    ran = best(tmp_path, "--help")
    assert ran.code == 0
    assert ran.out.startswith("neuroattn <stage>")
    assert ran.seconds < 1


def test_config_within_three_seconds(tmp_path: Path) -> None:
    ran = best(tmp_path, "encode", "--cfg", "job")
    assert ran.code == 0, ran.err
    assert "encoder:" in ran.lines
    assert ran.seconds < 3


@pytest.mark.parametrize(
    "word",
    ["encoder.alfa_min=1", "encoder.n_alphas=many", "encoder=nonesuch", "encoder.n_alphas=0"],
)
def test_mistake_within_three_seconds(tmp_path: Path, word: str) -> None:
    ran = best(tmp_path, "encode", word)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err
    assert ran.seconds < 3
    assert not list(tmp_path.iterdir())
