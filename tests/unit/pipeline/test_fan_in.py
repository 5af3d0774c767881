"""A stage that reads several artefacts of one stage: variants of its run, and finished ones."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ArtefactError, ConfigError, DataError
from neuroattn.core.sections import Parents
from neuroattn.pipeline import status
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import compose_cited, is_overrides, plan
from neuroattn.pipeline.stages import catalogue
from tests.unit.pipeline.toys import made, stage

pytestmark = pytest.mark.usefixtures("diamond")

MEMBERS = {"b": "seed=2", "a": "seed=1"}


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch, config: RootConfig) -> RootConfig:
    """``toy_many`` reads a ``toy_left`` for each note of the run, under the note's name."""
    reader = stage(
        "toy_many",
        cites=lambda run: {f"toy_left/{n}": ("toy_left", w) for n, w in run.notes.items()},
    )
    monkeypatch.setitem(catalogue().stages, "toy_many", reader)

    def composed(line: str) -> RootConfig:
        key, _, value = line.partition("=")
        if key != "seed":
            raise ConfigError(f"there is no key {key}")
        other = copy.deepcopy(config)
        other.seed, other.paths.root = int(value), "elsewhere"
        return other

    config.notes, config.composer = dict(MEMBERS), composed
    return config


def test_members_are_planned_with_their_own_parents(many: RootConfig) -> None:
    node = plan("toy_many", many)
    assert list(node.parents) == ["toy_left/a", "toy_left/b"]
    assert [each.stage.name for each in node.chain()] == [
        "toy_seed", "toy_left", "toy_seed", "toy_left", "toy_many",
    ]  # fmt: skip
    assert {each.folder.parents[1] for each in node.chain()} == {Path(many.paths.root)}


def test_it_depends_on_names_and_members_not_on_their_order_or_wording(many: RootConfig) -> None:
    before = plan("toy_many", many)
    many.notes = dict(reversed(MEMBERS.items()))
    assert plan("toy_many", many).label == before.label
    for notes in ({"a": "seed=1"}, {"a": "seed=1", "c": "seed=2"}, {"a": "seed=2", "b": "seed=1"}):
        many.notes = notes
        assert plan("toy_many", many).label != before.label
    many.notes = {name: node.label for name, node in _members(before).items()}
    many.notes |= {"a": run_stage("toy_left", many.variant("seed=1")).folder.name}
    run_stage("toy_left", many.variant("seed=2"))
    assert plan("toy_many", many).label == before.label


def _members(node: object) -> dict[str, object]:
    return {name.partition("/")[2]: parent for name, parent in node.parents.items()}  # type: ignore[attr-defined]


def test_missing_members_are_built_and_recorded(many: RootConfig) -> None:
    found = run_stage("toy_many", many)
    assert json.loads((found.folder / "seen.json").read_text())[0] == ["toy_left/a", "toy_left/b"]
    for name, seed in (("a", 1), ("b", 2)):
        label = found.inputs[f"toy_left/{name}"]["label"]
        member = Artefact(Path(many.paths.root) / "toy_left" / label)
        assert member.metrics == {"seed": seed}
        assert member.config["seed"] == seed
    rows = status.plan_rows(plan("toy_many", many))
    assert {state for _, _, state, _ in rows} == {status.State.done}
    left = status.garbage(Path(many.paths.root), older_than_days=0)
    assert {folder.name for folder in left} <= {".claim"}


def test_why_looks_into_the_member_that_differs(many: RootConfig) -> None:
    first = run_stage("toy_many", many).label
    many.notes["b"] = "seed=3"
    second = run_stage("toy_many", many).label
    rows = status.explain(first, second, Path(many.paths.root))
    assert ("toy_left: science.seed", 2, 3) in rows
    assert all(stage.partition(":")[0] != "toy_many" for stage, _, _ in rows)


def test_members_may_be_required(many: RootConfig, tmp_path: Path) -> None:
    many.parents = Parents.require
    with pytest.raises(ArtefactError, match="the parent toy_left/a is not built") as caught:
        run_stage("toy_many", many)
    told = "run: neuroattn toy_left with the same overrides and then seed=1, or set parents=build"
    assert caught.value.fix == told
    assert not (tmp_path / "root").exists()
    many.parents = Parents.build  # the remedy, and that of the next member
    for line in ("seed=1", "seed=2"):
        run_stage("toy_left", many.variant(line))
    many.parents = Parents.require
    assert run_stage("toy_many", many).label.startswith("toy-")


def test_a_parent_that_stands_for_another_is_required_with_its_overrides(many: RootConfig) -> None:
    many.use, many.parents = {"toy_left": "seed=7"}, Parents.require
    with pytest.raises(ArtefactError, match="the parent toy_left is not built") as caught:
        run_stage("toy_top", many)
    assert "neuroattn toy_left with the same overrides and then seed=7," in str(caught.value.fix)
    assert str(plan("toy_left", many.variant("seed=7")).folder) == caught.value.file


def test_an_error_says_which_member_failed(
    many: RootConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function, kind in (("fail", DataError), ("crash", ArtefactError)):
        broken = stage("toy_left", "toy_seed", function=function)
        monkeypatch.setitem(catalogue().stages, "toy_left", broken)
        with pytest.raises(kind, match=r"^toy_left/a: "):
            run_stage("toy_many", many)
    many.notes["b"] = "sed=2"
    for find in (plan, compose_cited):
        with pytest.raises(ConfigError, match=r"^toy_left/b: there is no key sed"):
            find("toy_many", many)
    many.notes["b"] = "0123456789"
    with pytest.raises(ArtefactError, match=r"^toy_left/b: '0123456789' names 0 artefacts"):
        plan("toy_many", many)
    many.notes["b"] = made(Path(many.paths.root), "toy_right", {}).name
    with pytest.raises(ArtefactError, match=r"^toy_left/b: "):
        plan("toy_many", many)


def test_a_failed_parent_of_one_stage_does_not_stop_members_of_the_same_stage(
    many: RootConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue().stages, "toy_right", stage("toy_right", function="fail"))
    tolerant = stage("toy_page", "toy_right", "toy_many", tolerant=True)
    monkeypatch.setitem(catalogue().stages, "toy_page", tolerant)
    with pytest.raises(ArtefactError, match="toy_right failed"):
        run_stage("toy_page", many)
    (page,) = Path(many.paths.root).glob("toy_page/*/seen.json")
    assert json.loads(page.read_text()) == [["toy_many"], ["toy_right"]]


def test_overrides_and_references_are_told_apart() -> None:
    for line in ("encoder=ridge", "a=1 b='x y'", "~encoder.layers", "", "+a.b=1 ~c", "a='open"):
        assert is_overrides(line)
    for line in ("ridge-1a2b3c4d", "1a2b3c4d", "outputs/encode/ridge-1a2b3c4d", "a=1 b", "it's"):
        assert not is_overrides(line)


def test_nobody_composes_a_config_made_by_hand(many: RootConfig) -> None:
    many.composer = None
    with pytest.raises(ConfigError, match="was not composed"):
        plan("toy_many", many)
