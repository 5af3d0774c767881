from __future__ import annotations

import pytest

from neuroattn.core.errors import ArtefactError, MissingDataError, StorageError
from neuroattn.generators import cards
from neuroattn.generators.cards import (
    copy_model,
    identity,
    read_card,
    replace_model,
    write_model,
)

FACTS = {
    "model": "thing", "about": "A thing.", "limits": "Many.", "data": "none.", "steps": 3,
    "cpu_seconds": 1.5, "device": "cpu",
    "scores": {"held.accuracy": 0.25}, "versions": {"torch": "2"},
}  # fmt: skip


def _save(folder, content=b"abc") -> None:
    (folder / "part").mkdir()
    (folder / "part" / "model.safetensors").write_bytes(content)


def test_a_folder_has_its_card_and_what_a_person_reads(tmp_path) -> None:
    card = write_model(tmp_path / "thing", _save, FACTS)
    assert read_card(tmp_path / "thing") == card
    text = (tmp_path / "thing" / "README.md").read_text()
    for said in ("A thing.", "Many.", "held.accuracy | 0.25", "MIT", "build thing"):
        assert said in text
    assert list(tmp_path.glob(".*")) == []


def test_a_changed_or_missing_file_is_refused(tmp_path) -> None:
    write_model(tmp_path / "thing", _save, FACTS)
    file = tmp_path / "thing" / "part" / "model.safetensors"
    file.write_bytes(b"abd")
    with pytest.raises(ArtefactError, match="not what was written"):
        read_card(tmp_path / "thing")
    file.unlink()
    with pytest.raises(ArtefactError, match="not what was written"):
        read_card(tmp_path / "thing")


def test_an_absent_model_says_how_to_build_it(tmp_path) -> None:
    with pytest.raises(MissingDataError) as caught:
        read_card(tmp_path / "referee")
    assert f"python -m neuroattn.generators build referee --root {tmp_path}" in str(caught.value)


def test_nothing_is_left_of_a_failed_save(tmp_path) -> None:
    def failing(folder) -> None:
        _save(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_model(tmp_path / "thing", failing, FACTS)
    assert list(tmp_path.iterdir()) == []


def test_another_model_is_not_written_over(tmp_path) -> None:
    write_model(tmp_path / "thing", _save, FACTS)
    with pytest.raises(StorageError, match="something else"):
        write_model(tmp_path / "thing", lambda folder: _save(folder, b"other"), FACTS)
    assert read_card(tmp_path / "thing")


def test_a_model_stays_until_the_one_in_its_place_is_whole(tmp_path, monkeypatch) -> None:
    older, newer, there = (tmp_path / name / "thing" for name in ("older", "newer", "there"))
    write_model(older, _save, FACTS)
    write_model(newer, lambda folder: _save(folder, b"new"), FACTS)
    first = replace_model(older, there)
    with monkeypatch.context() as patch:
        patch.setattr(cards, "copy_model", _full_disk)
        with pytest.raises(OSError, match="full"):
            replace_model(newer, there)
    assert identity(read_card(there)) == identity(first)
    assert identity(replace_model(newer, there)) == identity(read_card(there)) != identity(first)
    assert [path.name for path in there.parent.iterdir()] == ["thing"]


def _full_disk(_source, _target):
    raise OSError("full")


def test_a_copy_is_the_same_model(tmp_path) -> None:
    card = write_model(tmp_path / "thing", _save, FACTS)
    assert identity(copy_model(tmp_path / "thing", tmp_path / "there" / "thing")) == identity(card)
