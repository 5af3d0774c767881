"""Members that do not belong together are refused, and each message says which and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.compare.members import Bench
from neuroattn.compare.registry import Weights
from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError, NeuroattnError
from neuroattn.data.generated import generate
from neuroattn.pipeline.build import run_stage
from tests.chain import Ran, build, config, neuroattn, node, words


@pytest.fixture(scope="module")
def plain(tiny_data: Path, all_root: Path) -> str:
    """The label of a good member."""
    return build("encode", tiny_data, all_root).label


def _with(members: dict[str, str], data: Path, root: Path, **keys: object) -> Artefact:
    made = config("compare", data, root)
    made.compare.members = members
    for name, value in keys.items():
        setattr(made.compare, name, value)
    return run_stage("compare", made)


def _refused(ran: Ran, *says: str) -> None:
    assert ran.code != 0
    assert not ran.out
    for word in says:
        assert word in ran.err, ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("dataset.split.folds=3", "was tested on other images than plain"),
        ("dataset.split.seed=1", "was tested on other images than plain"),
        ("dataset.normalise=session_train", "was tested against other responses than plain"),
    ],
)
def test_members_of_another_split_or_scale_are_refused(
    other: str, says: str, tiny_data: Path, all_root: Path
) -> None:
    with pytest.raises(DataError, match=says) as caught:
        _with({"plain": "encoder=ridge", "second": other}, tiny_data, all_root)
    assert "the member second" in str(caught.value)
    assert caught.value.fix


def test_members_of_another_dataset_are_refused(
    plain: str, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    other = generate(tmp_path / "other", images=24, targets=5, repeats=1)
    label = str(build("encode", other, tmp_path / "root").folder)
    with pytest.raises(DataError, match="the member other has other targets than mine") as caught:
        _with({"mine": plain, "other": label}, tiny_data, all_root)
    assert "5 targets" in str(caught.value)


def test_unknown_and_empty_members_are_refused(tiny_data: Path, tmp_path: Path) -> None:
    own = [word for word in words("compare", tiny_data, tmp_path) if "members" not in word]
    _refused(neuroattn(*own), "nothing to compare", "compare.members.ridge=encoder=ridge")
    _refused(neuroattn(*own, "compare.members.a=encoder=ridg"), "encode/a", "ridge")
    with pytest.raises(NeuroattnError, match="encode/a: 'nothing' names 0 artefacts"):
        _with({"a": "nothing"}, tiny_data, tmp_path)
    assert not list(tmp_path.glob("compare/*"))


def test_a_member_of_another_stage_is_refused(tiny_data: Path, all_root: Path) -> None:
    label = node("prepare", tiny_data, all_root).label
    with pytest.raises(NeuroattnError, match=r"encode/a: .* names 0 artefacts"):
        _with({"a": label}, tiny_data, all_root)


def test_members_without_selection_need_equal_weights(
    plain: str,
    tiny_data: Path,
    all_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Bench, "selection", lambda _self, _member: None)
    labels = {"x": plain, "y": plain}
    with pytest.raises(ConfigError, match="the member x kept no accuracy") as caught:
        _with(labels, tiny_data, all_root)
    assert "compare.weights=equal" in str(caught.value.fix)
    found = _with(labels, tiny_data, all_root, weights=Weights.equal).table("compared.tsv")
    np.testing.assert_array_equal(found[["weight-x", "weight-y"]], 0.5)
