"""Details of verbs that the tests of the whole command line do not reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.cli import verbs
from neuroattn.cli.main import VERBS, main
from neuroattn.core.errors import ConfigError, SecurityError


def test_every_verb_that_is_announced_is_there() -> None:
    assert set(verbs._VERBS) == set(VERBS)


def test_verbs_compose_under_the_guard() -> None:
    assert verbs._compose(["notes.a=b", "seed=3"]).notes == {"a": "b"}
    with pytest.raises(SecurityError):
        verbs._compose(["+hydra.callbacks.x._target_=os.system"])
    with pytest.raises(ConfigError):
        verbs._compose(["hydra/launcher=joblib"])


@pytest.mark.parametrize(("value", "shown"), [(None, "default"), (0, "0"), ([], "[]")])
def test_a_key_at_its_default_is_told_so(value: object, shown: str) -> None:
    assert verbs._shown(value) == shown


@pytest.mark.parametrize(
    "words",
    [
        ["run", "tiny", "paths.root={}"],
        ["demo", "paths.root={}"],
        ["data", "simulate", "{}", "--size", "tiny"],
        ["data", "simulate", "{}", "--form", "things_eeg2"],
        ["data", "generate", "{}"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
@pytest.mark.parametrize("place", ["/proc/neuroattn", "/proc/neuroattn/below", "file/below"])
def test_a_place_that_cannot_be_written_is_told_with_a_remedy(
    words: list[str], place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main([word.format(tmp_path / place) for word in words]) == 1  # /proc stays /proc
    told = capsys.readouterr().err
    assert "error: cannot write: " in told
    assert "fix: choose a folder that can be written" in told
