"""What stands between a command and a committed artefact: the guard, the name, the claim."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroattn.core.errors import EXIT_CLAIMED
from neuroattn.core.stage import StageContext
from neuroattn.data import stage as prepare
from tests.chain import neuroattn, words


def test_a_run_that_lost_its_claim_commits_nothing(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = prepare.run

    def slept(context: StageContext) -> Any:
        """As if this process had been suspended for an hour."""
        claims = context.out.folder / ".claim"
        (claims / "000099.json").write_text("{}")
        return honest(context)

    monkeypatch.setattr(prepare, "run", slept)
    ran = neuroattn(*words("prepare", tiny_data, tmp_path))
    assert ran.code == EXIT_CLAIMED
    assert "took over" in ran.err
    assert not list(tmp_path.glob("prepare/*/DONE"))


def _label(data: Path, root: Path) -> str:
    """Name of the artefact that ``prepare`` would make; nothing is computed."""
    ran = neuroattn("plan", "prepare", *words("", data, root)[1:])
    assert ran.code == 0, ran.err
    return ran.out.split()[1]


def test_another_recording_gets_another_name(tiny_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    before = _label(data, tmp_path)
    responses = np.load(data / "responses.npy")
    responses[3, 2] += 1
    np.save(data / "responses.npy", responses)
    assert _label(data, tmp_path) != before
    responses[3, 2] -= 1
    np.save(data / "responses.npy", responses)
    assert _label(data, tmp_path) == before, "the name follows the bytes, not the time"


def test_a_callback_is_refused_and_not_run(tiny_data: Path, tmp_path: Path) -> None:
    proof = tmp_path / "it-ran"
    callback = f"+hydra.callbacks.foreign={{_target_: os.mkdir, path: '{proof}'}}"
    ran = neuroattn(*words("prepare", tiny_data, tmp_path / "root", callback))
    assert not proof.exists()
    assert ran.code != 0
    assert "foreign code" in ran.err
