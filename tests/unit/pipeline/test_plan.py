"""Plans: names before there are results, each ancestor once, references that are one thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ArtefactError, ConfigError, MissingDataError
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import find, plan
from tests.unit.pipeline.toys import made

pytestmark = pytest.mark.usefixtures("diamond")


def names(root: RootConfig) -> dict[str, str]:
    return {node.stage.name: node.label for node in plan("toy_top", root).chain()}


def test_ancestors_come_first_and_each_once(config: RootConfig) -> None:
    chain = [node.stage.name for node in plan("toy_top", config).chain()]
    assert chain == ["toy_seed", "toy_left", "toy_right", "toy_top"]


def test_a_plan_writes_nothing_and_names_the_folder(config: RootConfig, tmp_path: Path) -> None:
    node = plan("toy_top", config)
    assert node.folder == tmp_path / "root" / "toy_top" / f"toy-{node.fingerprint.short}"
    assert not (tmp_path / "root").exists()


def test_a_science_key_renames_and_a_place_does_not(config: RootConfig, tmp_path: Path) -> None:
    before = names(config)
    config.paths.root = str(tmp_path / "elsewhere")
    assert names(config) == before
    config.seed = 1
    assert not set(names(config).values()) & set(before.values())


def test_the_content_of_a_leaf_renames_all_below_it(config: RootConfig, tmp_path: Path) -> None:
    before = names(config)
    (tmp_path / "data" / "input.txt").write_text("other")
    after = names(config)
    assert all(after[stage] != before[stage] for stage in before)
    (tmp_path / "data" / "input.txt").unlink()
    with pytest.raises(MissingDataError, match=r"input\.txt"):
        plan("toy_top", config)


def test_use_replaces_a_parent_and_all_above_it(config: RootConfig, tmp_path: Path) -> None:
    other = made(tmp_path / "root", "toy_left", {"seed": 5})
    before = names(config)
    config.use = {"toy_left": other.name}
    after = names(config)
    assert after["toy_left"] == other.name
    assert after["toy_right"] == before["toy_right"]
    assert after["toy_top"] != before["toy_top"]
    config.use = {"toy_lfet": other.name}
    with pytest.raises(ConfigError, match="toy_lfet"):
        plan("toy_top", config)


class TestFind:
    def test_by_folder_label_and_fingerprint(self, tmp_path: Path) -> None:
        folder = made(tmp_path, "toy_left", {})
        digest = Artefact(folder).fingerprint
        for reference in (str(folder), folder.name, digest, digest[:8], digest[:12], digest[:4]):
            assert find(reference, tmp_path).folder == folder

    def test_none_and_several(self, tmp_path: Path) -> None:
        made(tmp_path, "toy_left", {})
        folder = made(tmp_path, "toy_right", {})
        twin = tmp_path / "toy_left" / folder.name
        twin.mkdir()
        with pytest.raises(ArtefactError, match="names 0 artefacts"):
            find("12345678", tmp_path)
        with pytest.raises(ArtefactError, match="names 2 artefacts") as caught:
            find(folder.name, tmp_path)
        assert caught.value.found == f"toy_left/{folder.name}, toy_right/{folder.name}"
        assert find(folder.name, tmp_path, stage="toy_right").folder == folder

    def test_a_few_digits_are_no_reference(self, tmp_path: Path) -> None:
        folder = made(tmp_path, "toy_left", {})
        with pytest.raises(ArtefactError, match="names 0 artefacts"):
            find(folder.name.rpartition("-")[2][:3], tmp_path)

    def test_one_of_another_stage_or_unfinished(self, tmp_path: Path) -> None:
        folder = made(tmp_path, "toy_left", {})
        with pytest.raises(ArtefactError, match="is no toy_right artefact"):
            find(str(folder), tmp_path, stage="toy_right")
        half = made(tmp_path, "toy_left", {"seed": 2}, done=False)
        with pytest.raises(ArtefactError, match="no finished artefact"):
            find(half.name, tmp_path)
