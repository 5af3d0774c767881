"""``neuroattn data plan | verify | lock | download`` as typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.cli.main import main
from neuroattn.core.errors import EXIT_FAILED
from neuroattn.data.manifests.load import load_manifest, manifests
from neuroattn.data.nsd import layout
from tests.nsd_copy import rewrite, write_copy


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_copy(tmp_path_factory.mktemp("copy") / "nsd")


@pytest.mark.parametrize("name", list(manifests()))
def test_every_dataset_can_be_planned(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "plan", name]) == 0
    out = capsys.readouterr().out
    assert " ".join(load_manifest(name).licence.split()) in out
    assert "all:" in out


def test_a_plan_prints_terms_bytes_and_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "plan", "nsd", "--subject", "subj01", "--root", str(tmp_path), "--files"]
    assert main(words) == 0
    out = capsys.readouterr().out
    nsd = load_manifest("nsd")
    assert nsd.agreement in out
    assert nsd.terms in out
    assert "prepare, features, encode, report: 127 files, 78.9 GB (estimate)" in out
    assert "lh.betas_session40.mgh" in out
    assert f"aws s3 sync --no-sign-request {nsd.source}/" in out
    assert "neuroattn data download nsd --subject subj01" in out
    assert not list(tmp_path.iterdir())


def test_verify_lock_and_verify_again(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, lock = ["--root", str(copy)], ["--lock", str(tmp_path / "lock.json")]
    assert main(["data", "lock", "nsd", *root, *lock]) == 0
    assert "files locked in" in capsys.readouterr().out
    assert main(["data", "verify", "nsd", *root, *lock]) == 0
    out = capsys.readouterr().out
    assert out.startswith("OK: ")
    assert len(out.splitlines()) == 1
    path = layout.coco_annotations(copy, "val2017")
    whole = path.read_bytes()
    rewrite(path, whole.replace(b"scene", b"scent"))
    assert main(["data", "verify", "nsd", *root, *lock]) == EXIT_FAILED
    out = capsys.readouterr().out
    assert out.splitlines()[0] == path.relative_to(copy).as_posix()
    assert "remedy:" in out
    rewrite(path, whole)


def test_a_damaged_copy_is_not_locked(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = layout.stim_info(copy)
    whole = path.read_bytes()
    rewrite(path, b"<html>")
    assert main(["data", "lock", "nsd", "--root", str(copy)]) == EXIT_FAILED
    assert "nothing was locked" in capsys.readouterr().err
    rewrite(path, whole)


def test_a_download_needs_accepted_terms(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "download", "nsd", "--subset", "design", "--subject", "subj01"]
    words += ["--root", str(tmp_path / "new"), "--source", str(copy)]
    assert main(words) == 2
    assert "--accept-terms" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main([*words, "--accept-terms"]) == 0
    assert "5 files fetched" in capsys.readouterr().out
    fetched = tmp_path / "new" / layout.expdesign(Path())
    assert fetched.read_bytes() == layout.expdesign(copy).read_bytes()


@pytest.mark.parametrize("place", ["/proc/neuroattn", "file", "file/below"])
def test_a_download_to_where_nothing_can_be_written(
    place: str, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = ["data", "download", "nsd", "--subset", "design", "--subject", "subj01"]
    words += ["--root", str(tmp_path / place), "--source", str(copy), "--accept-terms"]
    assert main(words) == EXIT_FAILED
    told = capsys.readouterr().err
    assert "error: cannot write: " in told
    assert "fix: choose a folder that can be written" in told


def test_a_home_is_found_behind_an_equals_sign(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell expands ``--root ~/nsd``, and leaves ``--root=~/nsd`` to us."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nsd").symlink_to(copy)
    place = ["--root=~/nsd", "--lock=~/lock.json"]
    assert main(["data", "lock", "nsd", *place]) == 0
    assert (tmp_path / "lock.json").is_file()
    assert main(["data", "verify", "nsd", *place]) == 0
    words = ["data", "download", "nsd", "--subset=design", "--subject=subj01", "--accept-terms"]
    assert main([*words, "--root=~/new", f"--source={copy}"]) == 0
    assert (tmp_path / "new" / layout.expdesign(Path())).is_file()
    capsys.readouterr()
    assert main(["data", "plan", "nsd", "--root=~/my new"]) == 0
    assert f"--root '{tmp_path}/my new' --accept-terms" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock.json", "new", "nsd"]


def test_nothing_is_fetched_into_the_home_of_nobody(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data", "download", "nsd", "--root=~no-such-user-here/nsd", f"--source={copy}"]
    assert main([*words, "--accept-terms"]) == EXIT_FAILED
    assert "no such user" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_unknown_words_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "plan", "imagenet"]) == 2
    assert "nsd" in capsys.readouterr().err
    assert main(["data", "plan", "nsd", "--subset", "all"]) == 2
    with pytest.raises(SystemExit):
        main(["data", "forget", "nsd"])
