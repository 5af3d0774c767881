from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroattn.core.errors import ConfigError, InterruptedRunError, MissingDataError, StorageError
from neuroattn.core.progress import Progress
from neuroattn.data.simulate.exemplars import UNSEEN_GROUPS, pool_groups
from neuroattn.data.simulate.scene import Pool
from neuroattn.generators import build as building
from neuroattn.generators.__main__ import main
from neuroattn.generators.build import build, model_config, publish, score
from neuroattn.generators.cards import identity, read_card, write_card
from neuroattn.generators.registry import JUDGES, MODELS, NEEDS
from neuroattn.generators.scenes import LAYOUTS
from tests.unit.generators.tiny_models import TRAINING, tiny_config


def _linked(models: Path, root: Path, name: str) -> Path:
    """A root with the scenes and the other models, but not this one."""
    root.mkdir()
    for other in ("scenes", *MODELS):
        if other != name:
            (root / other).symlink_to(models / other)
    return root


@pytest.mark.parametrize("name", ["referee", "space", "captioner", "autoencoder", "generator"])
def test_a_stopped_training_resumes_to_the_same_bits(
    models: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _linked(models, tmp_path / "root", name)
    config = tiny_config(name, training={**TRAINING, "checkpoint_every": 1})

    class Stopping(Progress):
        def advance(self, count: int = 1) -> None:
            super().advance(count)
            if self.done == 4:
                raise InterruptedRunError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(building, "Progress", Stopping)
        with pytest.raises(InterruptedRunError):
            build(name, root, config, "cpu")
    assert not (root / name).exists()
    spent = json.loads((root / ".work" / name / "cpu_seconds.json").read_text())["seconds"]
    torch.manual_seed(123)  # other random numbers than those of the first process
    build(name, root, config, "cpu")
    assert identity(read_card(root / name)) == identity(read_card(models / name))
    assert read_card(root / name)["cpu_seconds"] > spent > 0, "the card counts both calls"
    assert not (root / ".work" / name).exists()


def test_the_judge_may_come_after_the_training(models: Path, tmp_path: Path) -> None:
    root, config = _linked(models, tmp_path / "root", "generator"), tiny_config("generator")
    (root / "referee").unlink()
    with pytest.raises(MissingDataError, match="no embedded model") as caught:
        build("generator", root, config, "cpu")
    assert "build referee" in str(caught.value)
    (root / "referee").symlink_to(models / "referee")
    build("generator", root, config, "cpu")
    assert identity(read_card(root / "generator")) == identity(read_card(models / "generator"))


def test_a_finished_model_is_judged_again_and_stays_as_it_is(models: Path, tmp_path: Path) -> None:
    root = tmp_path / "models"
    shutil.copytree(models, root)
    card = read_card(root / "generator")
    stale = {
        "judged_by": {"referee": "another"},
        "scores": {**card["scores"], "held.generated.found": -1.0},
        "limits": "None.", "data": "Everything.",
    }  # fmt: skip
    write_card(root / "generator", card | stale)
    again = score("generator", root, tiny_config("generator"), "cpu")
    assert again == read_card(root / "generator")
    assert again["files"] == card["files"]
    for told in ("judged_by", "limits", "data"):
        assert again[told] == card[told]
    assert set(again["scores"]) == set(card["scores"])
    assert again["scores"]["held.generated.found"] >= 0
    real = {name: value for name, value in card["scores"].items() if ".real." in name}
    assert real
    assert {name: again["scores"][name] for name in real} == real  # the same judge, the same scenes
    remade = {name: again["scores"][name.replace(".real.", ".remade.")] for name in real}
    assert remade != real  # what the autoencoder makes of them


def test_the_referee_is_judged_again_to_the_same_scores(models: Path, tmp_path: Path) -> None:
    root = tmp_path / "models"
    shutil.copytree(models, root)
    before = read_card(root / "referee")["scores"]
    after = score("referee", root, tiny_config("referee"), "cpu")["scores"]
    assert after == pytest.approx(before, abs=0.05)


def test_what_only_its_training_can_score_says_so(models: Path) -> None:
    with pytest.raises(ConfigError, match="at the end of its training"):
        score("space", models, tiny_config("space"), "cpu")


def test_a_half_built_model_of_another_configuration_is_refused(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _linked(models, tmp_path / "root", "referee")
    with monkeypatch.context() as patch:
        patch.setattr(building, "_clocked", lambda _: (_ for _ in ()).throw(InterruptedError))
        with pytest.raises(InterruptedError):
            build("referee", root, tiny_config("referee"), "cpu")
    with pytest.raises(StorageError, match="another referee was begun"):
        build("referee", root, tiny_config("referee", noise=0.01), "cpu")


def test_a_model_that_is_there_is_kept_and_another_is_refused(models: Path) -> None:
    before = (models / "referee" / "card.json").stat().st_mtime_ns
    build("referee", models, tiny_config("referee"), "cpu")
    assert (models / "referee" / "card.json").stat().st_mtime_ns == before
    with pytest.raises(StorageError, match="another referee"):
        build("referee", models, tiny_config("referee", seed=1), "cpu")


def test_a_model_asks_for_those_it_is_made_from(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no embedded model") as caught:
        build("captioner", tmp_path, tiny_config("captioner"), "cpu")
    assert "build space" in str(caught.value)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_card_says_what_a_reader_must_know(models: Path, name: str) -> None:
    card = read_card(models / name)
    for key in ("about", "limits", "data", "steps", "cpu_seconds", "device", "versions", "licence"):
        assert card[key], key
    assert set(card["made_from"]) == set(NEEDS.get(name, ()))
    assert set(card["judged_by"]) == set(JUDGES.get(name, ()))
    assert card["scores"]
    assert card["config"]["seed"] == 0
    assert any(key.startswith("unseen") for key in card["scores"])
    assert all(value == value for value in card["scores"].values()), "a score is not a number"


def test_no_model_is_asked_of_sources_that_it_learned_from_nor_the_judge_trained_on_others(
    models: Path,
) -> None:
    shown: dict[tuple[str, bool], set[int]] = {}
    for folder in (models / "scenes").iterdir():
        key = "judge" if folder.name.startswith("referee-") else "others", "-unseen-" in folder.name
        shown.setdefault(key, set()).update(np.load(folder / "group.npy").tolist())
    seen, held_out = set(pool_groups(Pool.seen)), set(UNSEEN_GROUPS)
    assert shown["others", False] <= seen
    assert shown["others", True] <= held_out
    assert shown["judge", True] <= seen
    assert shown["judge", False] <= set(pool_groups(Pool.apart))


def test_publishing_copies_the_model_over_an_older_one(models: Path, tmp_path: Path) -> None:
    for _ in range(2):
        publish("referee", models, tmp_path)
    assert identity(read_card(tmp_path / "referee")) == identity(read_card(models / "referee"))


@pytest.mark.parametrize("name", list(MODELS))
def test_every_workflow_fits_its_schema(name: str) -> None:
    config = model_config(name)
    assert config.name == name
    for needed in NEEDS.get(name, ()):  # or nothing that they computed would be found again
        other = model_config(needed)
        assert other.scenes.stream == config.scenes.stream
        for layout in LAYOUTS:
            counts = {getattr(one.scenes, layout, 0) for one in (other, config)}
            assert len(counts - {0}) <= 1, layout


def test_a_key_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "referee.yaml"
    file.write_text("sides: 3\n")
    with pytest.raises(ConfigError, match="sides"):
        model_config("referee", file)
    file.write_text("- 3\n")
    with pytest.raises(ConfigError, match="no configuration"):
        model_config("referee", file)


def test_what_cannot_be_read_as_a_configuration_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration of a model") as caught:
        model_config("referee", tmp_path / "absent.yaml")
    assert caught.value.file == str(tmp_path / "absent.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigError, match="no configuration of a model"):
        model_config("referee", tmp_path / "bad.yaml")


def test_a_device_that_is_not_there_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device is not there"):
        build("referee", tmp_path, tiny_config("referee"), "gpu")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_missing_and_leaves_with_a_code(tmp_path: Path, caplog) -> None:
    assert main(["publish", "space", "--root", str(tmp_path)]) == 1
    assert "build space" in caplog.text
    with pytest.raises(SystemExit):
        main(["build", "nonsense"])


def test_the_files_are_small_and_in_half_precision(models: Path) -> None:
    from safetensors import safe_open

    for file in models.glob("*/**/*.safetensors"):
        with safe_open(file, "pt") as weights:
            kinds = {weights.get_tensor(name).dtype for name in weights.keys()}  # noqa: SIM118
        assert torch.float32 not in kinds, file
    index = json.loads((models / "generator" / "model_index.json").read_text())
    assert set(index) >= {"unet", "vae", "tiny", "scheduler"}
