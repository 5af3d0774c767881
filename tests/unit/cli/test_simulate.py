"""The words of ``neuroattn data simulate``; what it writes is tested where it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neuroattn.cli.simulate import simulate
from neuroattn.data.simulate import write


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the writer is asked for; nothing is written."""
    calls: list[Any] = []

    def record(folder: Path, size: str, **keys: Any) -> Path:
        calls.append((folder, size, keys))
        return folder / "made"

    monkeypatch.setattr(write, "simulate", record)
    return calls


@pytest.mark.parametrize("words", [["size=demo", "seed=3"], ["--size", "demo", "--seed=3"]])
def test_keys_may_be_told_as_stages_are_told(
    words: list[str], asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(["there", *words]) == 0
    keys = {"seed": 3, "subjects": 1, "versions": None, "experiments": None}
    assert asked == [(Path("there"), "demo", keys)]
    assert capsys.readouterr().out == f"{Path('there') / 'made'}\n"


def test_pictures_are_drawn_in_a_home_behind_an_equals_sign(
    asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Path] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("neuroattn.cli.simulate._draw", lambda _, place: drawn.append(place))
    assert simulate(["there", "--pictures=~/drawn"]) == 0
    assert drawn == [tmp_path / "drawn"]


@pytest.mark.parametrize(
    ("words", "versions", "experiments"),
    [
        (["versions=b1,b3", "experiments=imagery"], ["b1", "b3"], ["imagery"]),
        (["versions=[b2]", "--experiments", "none"], ["b2"], []),
    ],
)
def test_versions_and_experiments_are_lists(
    words: list[str], versions: list[str], experiments: list[str], asked: list[Any]
) -> None:
    assert simulate(["there", *words]) == 0
    assert (asked[0][2]["versions"], asked[0][2]["experiments"]) == (versions, experiments)


def test_a_size_that_does_not_exist_lists_those_that_do(
    asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        simulate(["there", "size=huge"])
    assert leaving.value.code == 2
    assert "nsd_like" in capsys.readouterr().err
    assert not asked


def test_pictures_are_drawn_where_they_are_wanted(
    asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuroattn.data.simulate import drawings

    made = tmp_path / "there" / "made"
    made.mkdir(parents=True)
    (made / "SIMULATED.json").write_text('{"parameters": {"size": {"name": "tiny"}}}')
    drawn: list[Any] = []
    monkeypatch.setattr(drawings, "draw", lambda *words: drawn.append(words))
    assert simulate([str(tmp_path / "there"), "--pictures", "here"]) == 0
    assert drawn == [({"size": {"name": "tiny"}}, Path("here"))]
    assert len(asked) == 1
