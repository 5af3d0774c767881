"""The doctor: one finding a check, also where the check itself falls ill."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from neuroattn.pipeline import doctor


def findings(root: Path) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine(root)}


def test_this_machine_is_well(tmp_path: Path) -> None:
    found = findings(tmp_path / "root")
    assert [name for name, finding in found.items() if not finding.fine] == []
    assert found["paths.root"].found == str(tmp_path / "root")
    assert not list((tmp_path / "root").iterdir()), "probes are taken away"


def test_every_failure_comes_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: Path, _target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 2**80)
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(doctor, "_installed", lambda name: name != "torch")
    monkeypatch.setattr(os, "link", refuse)
    found = findings(tmp_path)
    ill = {name for name, finding in found.items() if not finding.fine}
    assert ill == {"python", "packages", "free space", "hard links"}
    assert all(found[name].fix for name in ill)
    assert found["hard links"].found == "no links here"
    assert found["packages"].fix == "pip install torch"


def test_two_doctors_of_one_number_look_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.link

    def link(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", honest)
        assert findings(tmp_path)["hard links"].fine
        honest(source, target)

    monkeypatch.setattr(os, "link", link)
    assert findings(tmp_path)["hard links"].fine
    assert not list(tmp_path.iterdir())


def test_a_check_that_raises_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Path:
        raise RuntimeError(f"{name} is lost")

    monkeypatch.setattr(doctor, "shipped", broken)
    assert findings(tmp_path)["shipped files"] == doctor.Finding(
        "shipped files", False, "conf is lost", doctor.REINSTALL
    )


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_root_that_cannot_be_made(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    ill = [finding for finding in doctor.examine(tmp_path / place) if not finding.fine]
    assert {"paths.root", "hard links"} <= {finding.name for finding in ill}
    assert {finding.name for finding in ill} <= {"paths.root", "hard links", "free space"}
    for finding in ill:
        assert "a folder that can be written" in finding.fix
        assert "Errno" not in finding.found
        assert "\n" not in finding.found
    assert (tmp_path / "file").is_file()
