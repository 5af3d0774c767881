"""The command line of a stage: what it prints where, what it understands, how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from neuroattn.core.artefact import Artefact
from tests.chain import neuroattn, words

pytestmark = pytest.mark.usefixtures("standing")

TRACEBACK = "Traceback (most recent call last)"


def config(*more: str) -> dict[str, object]:
    """What ``--cfg job`` prints."""
    shown = neuroattn("encode", "--cfg", "job", *more)
    assert shown.code == 0, shown.err
    assert shown.err == ""
    return dict(yaml.safe_load(shown.out))


class TestOutput:
    def test_the_path_is_all_of_stdout(self, tiny_data: Path, root: Path) -> None:
        ran = neuroattn(*words("encode", tiny_data, root, "seed=8"))
        assert ran.code == 0
        assert ran.out == f"{ran.path}\n"
        assert ran.path.parent == root / "encode"
        assert " begins" in ran.err
        again = neuroattn(*words("encode", tiny_data, root, "seed=8"))
        assert again.out == ran.out
        assert "is done already" in again.err
        assert " begins" not in again.err

    def test_a_failure_is_told_on_stderr_alone(self, root: Path, tmp_path: Path) -> None:
        command = ["prepare", f"dataset.root={tmp_path}/nonesuch", f"paths.root={root}"]
        ran = neuroattn(*command)
        assert ran.code == 1
        assert ran.out == ""
        assert ran.err.startswith("error: the folder of the dataset is not there\n")
        assert "  fix: " in ran.err
        assert TRACEBACK not in ran.err
        (log,) = [line for line in ran.err.splitlines() if line.startswith("  log: ")]
        record = Path(log.removeprefix("  log: "))
        assert record.is_relative_to(root / "jobs")
        assert record.read_text().count(TRACEBACK) == 1
        assert TRACEBACK in neuroattn(*command, "--debug").err
        assert TRACEBACK not in neuroattn(*command).err, "--debug is for one call"

    def test_a_sweep_prints_one_line_per_job_in_order(
        self, tiny_data: Path, root: Path, tmp_path: Path
    ) -> None:
        places = f"dataset.root={tmp_path}/nonesuch,{tiny_data}"
        ran = neuroattn("prepare", places, f"paths.root={root}", "-m", "dataset.block_mib=1")
        assert ran.code == 1
        failed, made = ran.out.splitlines()
        assert failed == "-"
        assert Artefact(Path(made)).stage == "prepare"
        _, _, table = ran.err.partition("1 of 2 jobs failed\n")
        assert f"    0  dataset.root={tmp_path}/nonesuch\n" in table
        assert table.count("the folder of the dataset is not there") == 1
        assert str(tiny_data) not in table
        assert TRACEBACK not in ran.err


class TestHydra:
    def test_values_additions_and_deletions(self) -> None:
        more = ("~seed", "dataset.root=x", "notes.b=2", "use.prepare=1a2b")
        shown = config("encoder.n_alphas=3", "+notes.a=pilot", *more)
        assert shown["encoder"]["n_alphas"] == 3  # type: ignore[index]
        assert shown["notes"] == {"a": "pilot", "b": "2"}
        assert shown["use"] == {"prepare": "1a2b"}
        assert "seed" not in shown, "what was taken away falls back to the schema's default"

    def test_hydras_own_node(self) -> None:
        shown = neuroattn("encode", "--cfg", "hydra", "--package", "hydra.job")
        assert "name: ${stage}" in shown.out

    def test_help_lists_choices_and_keys(self) -> None:
        shown = neuroattn("encode", "--help", "encoder.n_alphas=3")
        assert shown.code == 0
        lines = shown.out.splitlines()
        assert any(line.startswith("  encoder=") and "ridge" in line for line in lines)
        assert "  hydra/launcher=basic | submitit_local | submitit_slurm" in lines
        assert "  encoder.n_alphas=3" in lines
        assert "schema" not in shown.out

    def test_a_config_of_a_sweep_cannot_be_shown(self) -> None:
        shown = neuroattn("encode", "-m", "seed=1,2", "--cfg", "job")
        assert shown.code == 2
        assert "shows one config" in shown.err


class TestOverlay:
    """``--config-dir``: a lab's own folder of configs."""

    @pytest.fixture
    def lab(self, tmp_path: Path) -> Path:
        """An experiment, one that attacks, a choice on its schema, and two without."""
        files = {
            "experiment/pilot.yaml": (
                "# @package _global_\nencoder:\n  n_alphas: 9\nseed: 4\nparents: build\n"
            ),
            "experiment/attack.yaml": (
                "# @package _global_\nhydra:\n  callbacks:\n    x:\n      _target_: os.system\n"
            ),
            "encoder/thick.yaml": (
                "defaults:\n  - /schema/encoder/ridge@_here_\n  - _self_\nn_alphas: 5\n"
            ),
            "encoder/bare.yaml": "n_alphas: 5\n",
            "encoder/barer.yaml": "layers: [a]\n",
            "encoder/ridge.yaml": "defaults:\n  - /schema/encoder/ridge@_here_\nn_alphas: 7\n",
        }
        for name, content in files.items():
            (tmp_path / "lab" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "lab" / name).write_text(content)
        return tmp_path / "lab"

    def test_an_experiment(self, lab: Path) -> None:
        shown = config("--config-dir", str(lab), "experiment=pilot", "parents=require")
        assert shown["seed"] == 4
        assert shown["parents"] == "require", "what is typed wins"
        assert shown["encoder"]["n_alphas"] == 9  # type: ignore[index]

    def test_a_choice_of_ones_own(self, lab: Path) -> None:
        shown = config("--config-dir", str(lab), "encoder=thick")
        assert shown["encoder"]["name"] == "ridge"  # type: ignore[index]
        assert shown["encoder"]["n_alphas"] == 5  # type: ignore[index]

    def test_what_is_shipped_is_not_shadowed(self, lab: Path) -> None:
        assert config("--config-dir", str(lab))["encoder"]["n_alphas"] == 17  # type: ignore[index]

    @pytest.mark.parametrize("name", ["bare", "barer"])
    def test_a_choice_needs_its_schema(self, lab: Path, name: str) -> None:
        ran = neuroattn("encode", "--config-dir", str(lab), f"encoder={name}")
        assert ran.code == 2
        assert "/schema/<group>/<choice>@_here_" in ran.err

    def test_it_cannot_make_hydra_run_code(self, lab: Path) -> None:
        ran = neuroattn("encode", "--config-dir", str(lab), "experiment=attack", "--cfg", "job")
        assert ran.code == 2
        assert ran.out == ""
        assert "hydra.callbacks.x._target_" in ran.err

    def test_an_experiment_that_is_not_there(self, lab: Path) -> None:
        ran = neuroattn("encode", "--config-dir", str(lab), "experiment=pilto")
        assert ran.code == 2
        assert "attack" in ran.err
        assert "pilot" in ran.err  # among those that are shipped
        ran = neuroattn("encode", "--config-dir", str(lab / "nonesuch"))
        assert ran.code == 2
        assert "names no folder" in ran.err


MISTAKES = {
    "encoder.n_alfas=3": "expected: encoder.n_alphas",
    "+encoder.n_alfas=3": "expected: encoder.n_alphas",
    "+foo=1": "there is no key foo",
    "encoder=rigde": "ridge",
    "encoder=null": "must be a string",
    "~encoder": "no encoder is chosen",
    "dataset.responses=meen": "[single, mean, weighted]",
    "seed=1.5": "could not be converted to Integer",
    "encoder.n_alphas=0": "must be 1 or more",
    "encoder.layers=blocks.4": "write a list: key=[a,b]",
    "experiment=nonesuch": "adeli2025_rois | adeli2025_vertices",
    "hydra/launcher=joblib": "basic | submitit_local | submitit_slurm",
    "hydra.job.chdir=true": "hydra.job.chdir",
    "stage=report": "the stage is the first word",
    "seed": "write key=value",
    "seed=1,2": "Ambiguous value",
    "seed=choice(1)": "requires --multirun",
    "--nonsense": "there is no flag --nonsense",
    "--experimental-rerun=x": "--experimental-rerun is not supported",
}


@pytest.mark.parametrize("word", MISTAKES)
def test_a_mistake_is_one_message_and_exit_code_2(word: str) -> None:
    # Without paths.root: whatever was written would lie where we stand.
    ran = neuroattn("encode", "dataset.root=x", word)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert MISTAKES[word] in ran.err
    assert len(ran.err.splitlines()) <= 6
    assert TRACEBACK not in ran.err


def test_a_mistake_in_one_job_of_a_sweep_stops_it_before_the_first() -> None:
    ran = neuroattn("encode", "dataset.root=x", "-m", "seed=1,x")
    assert ran.code == 2
    assert ran.out == ""
    assert "seed=x" in ran.err


class TestParents:
    def test_they_are_required_by_name(self, tiny_data: Path, root: Path, tmp_path: Path) -> None:
        ran = neuroattn(*words("encode", tiny_data, tmp_path / "new", "parents=require"))
        assert ran.code == 1
        assert "the parent prepare is not built" in ran.err
        assert "neuroattn prepare with the same overrides" in ran.err
        assert neuroattn(*words("encode", tiny_data, root, "parents=require")).code == 0

    def test_one_is_used_by_its_fingerprint(self, tiny_data: Path, root: Path) -> None:
        (features,) = (root / "features").iterdir()
        short = features.name.rpartition("-")[2]
        other = ("backbone.pool=null", f"use.features={short}", "seed=9")
        ran = neuroattn(*words("encode", tiny_data, root, *other))
        assert ran.code == 0, ran.err
        assert Artefact(ran.path).inputs["features"]["label"] == features.name

    @pytest.mark.parametrize(
        ("word", "told"),
        [
            ("use.featurse=1a2b", "there is no stage 'featurse'"),
            ("use.features=00000000", "names 0 artefacts"),
        ],
    )
    def test_a_wrong_reference_is_refused(
        self, word: str, told: str, tiny_data: Path, root: Path
    ) -> None:
        ran = neuroattn(*words("encode", tiny_data, root, word))
        assert ran.code in (1, 2)
        assert told in ran.err


def test_records_go_where_the_user_wants_them(tiny_data: Path, root: Path, tmp_path: Path) -> None:
    place = f"hydra.sweep.dir={tmp_path}/records"
    ran = neuroattn("prepare", f"dataset.root={tiny_data}", f"paths.root={root}", "-m", place)
    assert ran.code == 0, ran.err
    assert "failed" not in ran.err
    assert (tmp_path / "records" / "0" / "prepare.log").exists()
