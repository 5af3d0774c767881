from __future__ import annotations

import pytest

from neuroattn.core.errors import ArtefactError, MissingDataError, StorageError
from neuroattn.generators.cards import copy_model, identity, read_card, write_model

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
    assert "python -m neuroattn.generators build referee" in str(caught.value)


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


def test_a_copy_is_the_same_model(tmp_path) -> None:
    card = write_model(tmp_path / "thing", _save, FACTS)
    assert identity(copy_model(tmp_path / "thing", tmp_path / "there" / "thing")) == identity(card)
