"""Before Hydra runs: flags, records, jobs of a sweep; and after: what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.cli import app
from neuroattn.cli.compose import config_loader, load
from neuroattn.cli.jobs import Result
from neuroattn.core.atomic import check_writable
from neuroattn.core.errors import ConfigError, SecurityError, StorageError


class TestParse:
    def test_flags_stand_anywhere(self) -> None:
        arguments = app._parse("encode", ["a=1", "-m", "b=1,2", "--config-dir", "x", "c=3"])
        assert arguments.overrides == ["a=1", "b=1,2", "c=3"]
        assert arguments.multirun
        assert arguments.config_dir == "x"

    @pytest.mark.parametrize("flag", ["--experimental-rerun", "--config-path", "--config-name"])
    def test_flags_that_would_go_round_the_guard(self, flag: str) -> None:
        with pytest.raises(SecurityError, match=f"{flag} is not supported"):
            app._parse("encode", [flag, "x"])

    @pytest.mark.parametrize("word", ["stage=x", "+stage=x", "~stage=x"])
    def test_the_stage_is_no_key(self, word: str) -> None:
        with pytest.raises(ConfigError, match="the stage is the first word"):
            app._parse("encode", [word])

    def test_what_only_shows_something(self) -> None:
        arguments = app._parse("encode", ["-c", "job", "--resolve", "-p", "encoder"])
        assert app._flags(arguments) == ["--cfg", "job", "--resolve", "--package", "encoder"]
        assert app._flags(app._parse("encode", ["--resolve", "a=1"])) == []


def test_hydras_help_is_asked_without_our_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    # It composes Hydra's own config alone, in which no key of ours can be set.
    handed = []
    monkeypatch.setattr(app, "_hand_over", lambda words: handed.append(words) or 0)
    assert app.run_stage_command("encode", ["seed=1", "--hydra-help"]) == 0
    assert handed == [["--hydra-help"]]


def test_an_overlay_is_a_folder_that_exists(tmp_path: Path) -> None:
    arguments = app._parse("encode", ["--config-dir", str(tmp_path)])
    assert app._overlay(arguments) == [f"hydra.searchpath=['file://{tmp_path}']"]
    arguments = app._parse("encode", ["--config-dir", str(tmp_path / "none")])
    with pytest.raises(ConfigError, match="names no folder"):
        app._overlay(arguments)


def test_jobs_are_in_the_order_in_which_hydra_numbers_them() -> None:
    with config_loader() as loader:
        words = ["seed=1,2", "encoder.n_alphas=range(3,5)", "parents=require"]
        master = load(loader, words, multirun=True)
        jobs = app._jobs(loader, master, words)
    assert jobs == [
        [f"seed={seed}", f"encoder.n_alphas={count}", "parents=require"]
        for seed in (1, 2)
        for count in (3, 4)
    ]


def test_parameters_of_the_sweeper_are_jobs_as_well(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "grid.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: 1,2\n"
    )
    with config_loader() as loader:
        words = [f"hydra.searchpath=['file://{tmp_path}']", "experiment=grid"]
        master = load(loader, words, multirun=True)
        assert [job[0] for job in app._jobs(loader, master, words)] == ["seed=1", "seed=2"]


def test_records_have_a_folder_of_their_own_unless_one_is_chosen(tmp_path: Path) -> None:
    with config_loader() as loader:
        ours, chosen = (load(loader, words) for words in ([], [f"hydra.run.dir={tmp_path}/x"]))
    folder = app._call_folder(ours, "encode", tmp_path, False)
    assert folder.is_relative_to(tmp_path / "jobs")
    assert "-encode-" in folder.name
    assert app._call_folder(ours, "encode", tmp_path, True).name == f"{folder.name}-sweep"
    assert app._call_folder(chosen, "encode", tmp_path, False) == tmp_path / "x"


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError) as caught:
            check_writable(place)
        assert caught.value.fix


class TestConclude:
    def test_one_good_job(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert app._conclude(Result(0, path="/root/encode/x")) == 0
        assert capsys.readouterr() == ("/root/encode/x\n", "")

    def test_one_failed_job(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert app._conclude(Result(0, problem="broken", log="/l", exit_code=75)) == 75
        assert capsys.readouterr() == ("", "error: broken\n  log: /l\n")

    def test_a_sweep_tells_what_was_the_failed_jobs_own(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        results = [
            Result(0, path="/a"),
            Result(1, problem="broken\n  fix: mend", log="/l", exit_code=2),
        ]
        jobs = [["seed=1", "same=0"], ["seed=2", "same=0"]]
        assert app._conclude_sweep(results, jobs, 0) == 1
        out, err = capsys.readouterr()
        assert out == "/a\n-\n"
        assert err == (
            "\n1 of 2 jobs failed\n  job  problem\n"
            "    1  seed=2\n       broken\n         fix: mend\n       log: /l\n"
        )
        assert app._conclude_sweep(results, jobs, 143) == 143
        assert app._conclude_sweep(results[:1], jobs[:1], 0) == 0
