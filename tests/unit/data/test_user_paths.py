"""A path of a user: ``~`` is expanded, and a user who does not exist is told in our words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuroattn.core.errors import NeuroattnError
from neuroattn.data import algonauts2023_files, arrays_files, laion_fmri_files
from neuroattn.data.dataset import split_file
from neuroattn.data.folders import target_folder
from neuroattn.data.generated import generate
from neuroattn.data.nsd import files as nsd_files
from neuroattn.data.registry import Algonauts2023Config, ArraysConfig, LaionFmriConfig, NsdConfig
from neuroattn.data.simulate.write import simulate

NOBODY = "~no-such-user-here/data"
CASES: dict[str, Callable[[str], object]] = {
    "arrays": lambda path: arrays_files.find(ArraysConfig(root=path)),
    "nsd": lambda path: nsd_files.find(NsdConfig(root=path)),
    "algonauts2023": lambda path: algonauts2023_files.find(Algonauts2023Config(root=path)),
    "laion_fmri": lambda path: laion_fmri_files.find(LaionFmriConfig(root=path)),
    "split": split_file,
    "generate": generate,
    "simulate": simulate,
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_unknown_user_is_told(
    case: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NeuroattnError, match="no-such-user-here"):
        case(NOBODY)
    assert not list(tmp_path.iterdir())


def test_a_known_user_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "split.json").write_text("{}")
    assert split_file("~/split.json") == tmp_path / "split.json"
    assert target_folder("~/new") == tmp_path / "new"
    monkeypatch.chdir(tmp_path)
    assert target_folder("./~odd") == tmp_path / "~odd"
