"""The verbs: what they answer, on which stream, with which exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from neuroattn.cli.main import VERBS
from neuroattn.core.errors import EXIT_FAILED
from neuroattn.generators.registry import ModelConfig
from tests.chain import Ran, neuroattn, words

pytestmark = pytest.mark.usefixtures("standing")


@pytest.fixture
def labels(tiny_root: Path) -> dict[str, str]:
    """The label of each artefact of the tiny chain."""
    return {done.parent.parent.name: done.parent.name for done in tiny_root.glob("*/*/DONE")}


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("command", "told"),
        [
            (["nonesuch"], "there is no stage 'nonesuch'"),
            (["run"], "required: recipe"),
            (["run", "nonesuch"], "there is no recipe 'nonesuch'"),
            (["run", "tiny", "encoder.n_alfas=1"], "expected: encoder.n_alphas"),
            (["demo", "encoder.layrs=[x]"], "expected: encoder.layers"),
            (["demo", "x"], "write key=value"),
            (["data"], "required: action"),
            (["data", "delete", "x"], "invalid choice: 'delete'"),
            (["plan"], "required: stage"),
            (["plan", "nonesuch"], "there is no stage 'nonesuch'"),
            (["plan", "encode"], "the folder of the dataset is not set"),
            (["status", "paths.rot=x"], "expected: paths.root"),
            (["why", "a"], "required: right"),
            (["gc", "--older-than", "-1"], "0 or more"),
            (["gc", "--older-than", "nan"], "0 or more"),
            (["doctor", "--nonsense"], "unrecognized arguments: --nonsense"),
            (["doctor", "+hydra.callbacks.x._target_=os.system"], "hydra.callbacks"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_they_are_refused(self, command: list[str], told: str) -> None:
        ran = neuroattn(*command)
        assert ran.code == 2
        assert ran.out == ""
        assert told in ran.err
        assert "Traceback" not in ran.err

    def test_an_unknown_word_is_told_all_stages_and_verbs(self) -> None:
        assert set(VERBS) < set(re.findall(r"\w+", neuroattn("nonesuch").err))


@pytest.mark.parametrize("verb", VERBS)
def test_each_has_its_help(verb: str) -> None:
    ran = neuroattn(verb, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"usage: neuroattn {verb}")


@pytest.mark.parametrize("command", [[], ["--help"], ["-h"], ["help"]])
def test_help_of_all(command: list[str]) -> None:
    ran = neuroattn(*command)
    assert ran.code == 0
    assert all(f"\n  {verb} " in ran.out for verb in VERBS)
    assert "\n  encode " in ran.out


def test_help_waits_for_no_library() -> None:
    asked = "import sys; from neuroattn.cli.main import main; main(['--help'])"
    heavy = "assert not {'numpy', 'hydra', 'torch'} & set(sys.modules)"
    ran = subprocess.run([sys.executable, "-c", f"{asked}; {heavy}"], check=False)
    assert ran.returncode == 0


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", neuroattn("--version").out)


def test_data_generate(tmp_path: Path) -> None:
    ran = neuroattn("data", "generate", str(tmp_path / "data"), "--seed", "3")
    assert ran.code == 0
    assert ran.path == tmp_path / "data"
    assert (ran.path / "dataset.yaml").exists()


def test_run_prints_the_last_artefact(
    tiny_data: Path, root: Path, labels: dict[str, str], tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "about: twice\ngenerate: arrays\n"
        "steps:\n  - stage: prepare\n  - stage: encode\n    overrides: [seed=0]\n"
    )
    ran = neuroattn("run", str(recipe), *words("encode", tiny_data, root)[1:])
    assert ran.code == 0, ran.err
    assert ran.out == f"{root / 'encode' / labels['encode']}\n"
    assert not (root / "generated").exists(), "dataset.root=DIR takes another dataset"


def test_run_composes_all_steps_before_the_first(tiny_data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "steps:\n  - stage: prepare\n  - stage: encode\n    overrides: [encoder=nonesuch]\n"
    )
    ran = neuroattn("run", str(recipe), *words("", tiny_data, tmp_path / "root")[1:])
    assert ran.code == 2
    assert not (tmp_path / "root").exists()


class TestModelsOfARecipe:
    def run(self, tmp_path: Path, models: str, tiny_data: Path) -> Ran:
        recipe = tmp_path / "mine.yaml"
        recipe.write_text(f"about: x\nmodels: [{models}]\nsteps: [{{stage: prepare}}]\n")
        return neuroattn("run", str(recipe), *words("", tiny_data, tmp_path / "root")[1:])

    def test_they_are_trained_in_order_before_the_first_step(
        self, tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained = []

        def build(name: str, root: Path, config: ModelConfig, device: str) -> Path:
            trained.append((name, config.name, root, device))
            assert not (tmp_path / "root" / "prepare").exists()
            return root / name

        monkeypatch.setattr("neuroattn.generators.build.build", build)
        ran = self.run(tmp_path, "space, captioner", tiny_data)
        assert ran.code == 0, ran.err
        root = tmp_path / "root" / "models"
        assert trained == [(name, name, root, "auto") for name in ("space", "captioner")]
        assert ran.path.parent == tmp_path / "root" / "prepare"

    def test_an_unknown_one_is_told_before_anything_is_made(
        self, tmp_path: Path, tiny_data: Path
    ) -> None:
        ran = self.run(tmp_path, "nonesuch", tiny_data)
        assert ran.code == 2
        assert "nonesuch" in ran.err
        assert not (tmp_path / "root").exists()


class TestPlan:
    def plan(self, *command: str) -> list[list[str]]:
        ran = neuroattn("plan", *command)
        assert ran.code == 0, ran.err
        return [line.split()[:3] for line in ran.out.splitlines()]

    def test_what_exists_and_what_does_not(
        self, tiny_data: Path, root: Path, labels: dict[str, str]
    ) -> None:
        rows = self.plan(*words("report", tiny_data, root, "seed=77"))
        assert [(stage, state) for stage, _, state in rows] == [
            ("prepare", "done"),
            ("features", "done"),
            ("encode", "absent"),
            ("report", "absent"),
        ]
        assert rows[1][1] == labels["features"]

    def test_it_builds_nothing(self, tiny_data: Path, tmp_path: Path) -> None:
        self.plan(*words("report", tiny_data, tmp_path / "root"))
        assert not (tmp_path / "root").exists()


def test_status_lists_artefacts(root: Path, labels: dict[str, str], tmp_path: Path) -> None:
    ran = neuroattn("status", f"paths.root={root}")
    assert ran.code == 0
    states = {tuple(line.split()[:3]) for line in ran.out.splitlines()}
    assert {(stage, label, "done") for stage, label in labels.items()} <= states
    empty = neuroattn("status", f"paths.root={tmp_path}/nothing")
    assert (empty.code, empty.out) == (0, "")


class TestWhy:
    def why(self, left: str, right: str, root: Path) -> Ran:
        return neuroattn("why", left, right, f"paths.root={root}")

    def test_the_first_cause_is_named(
        self, tiny_data: Path, root: Path, labels: dict[str, str]
    ) -> None:
        other = neuroattn(*words("encode", tiny_data, root, "backbone.image_size=96"))
        ran = self.why(labels["encode"], other.path.name, root)
        assert ran.code == 0, ran.err
        assert ran.out == "features: science.backbone.image_size: 64 -> 96\n"
        assert self.why(labels["encode"], labels["encode"], root).out == "no difference\n"

    def test_a_name_of_nothing(self, root: Path) -> None:
        ran = self.why("nonesuch", "nonesuch", root)
        assert ran.code == EXIT_FAILED
        assert "'nonesuch' names 0 artefacts" in ran.err


class TestGc:
    @pytest.fixture
    def left(self, tmp_path: Path) -> Path:
        """An unfinished artefact."""
        folder = tmp_path / "root" / "prepare" / "arrays-00000000"
        folder.mkdir(parents=True)
        (folder / "fingerprint.json").write_text("{}")
        return folder

    def test_it_lists_and_removes_only_when_told(self, left: Path) -> None:
        command = ["gc", f"paths.root={left.parents[1]}", "--older-than", "0"]
        listed = neuroattn(*command)
        assert (listed.code, listed.out) == (0, f"{left}\n")
        assert "1 folders to remove (--yes)" in listed.err
        assert left.exists()
        removed = neuroattn(*command, "--yes")
        assert (removed.code, removed.out) == (0, f"{left}\n")
        assert not left.exists()

    def test_it_spares_what_is_young(self, left: Path) -> None:
        assert neuroattn("gc", f"paths.root={left.parents[1]}", "--yes").out == ""
        assert left.exists()


def test_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = neuroattn("doctor", f"paths.root={tmp_path}/root")
    assert ran.code == 0, ran.out
    assert all(line.startswith("ok ") for line in ran.out.splitlines())
    assert str(tmp_path / "root") in ran.out
    monkeypatch.setattr("neuroattn.pipeline.doctor.MIN_FREE_BYTES", 2**80)
    sick = neuroattn("doctor", f"paths.root={tmp_path}/root")
    assert sick.code == EXIT_FAILED
    assert re.search(r"^FAIL  free space .*\n      fix: ", sick.out, re.MULTILINE)


def test_nothing_is_written_outside_the_root(
    tiny_data: Path, tmp_path: Path, standing: Path
) -> None:
    """Whatever the command: the current folder (checked by ``standing``) and its parent."""
    place = f"paths.root={tmp_path}/root"
    data = f"dataset.root={tiny_data}"
    for command in (
        ["prepare", data, "-m", "dataset.block_mib=1,2"],
        ["prepare", "dataset.root=nonesuch"],
        ["encode", "--cfg", "all", data],
        ["gc", "--yes", "--older-than", "0"],
        ["doctor"],
    ):
        neuroattn(*command, place)
    assert {path.name for path in tmp_path.iterdir()} == {standing.name, "root"}
