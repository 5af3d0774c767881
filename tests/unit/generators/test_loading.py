from __future__ import annotations

import json
import socket

import pytest

from neuroattn.core.config import walk
from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.generators import load, loading
from neuroattn.generators.build import model_config
from neuroattn.generators.cards import identity, read_card
from neuroattn.generators.loading import EMBEDDED, files_of, find
from neuroattn.generators.registry import MODELS, NEEDS


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_loads_with_no_network(models, name: str, monkeypatch) -> None:
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert load(models / name) is not None


def test_a_name_is_an_embedded_model_and_a_path_a_folder(tmp_path) -> None:
    assert find("space") == EMBEDDED / "space"
    assert find(tmp_path / "space") == tmp_path / "space"


def test_an_absent_model_says_how_to_build_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(loading, "EMBEDDED", tmp_path)
    with pytest.raises(MissingDataError, match="no embedded model") as caught:
        load("space")
    assert "build space" in str(caught.value)


def test_an_absent_folder_is_not_to_be_built(tmp_path) -> None:
    with pytest.raises(MissingDataError, match="no model here") as caught:
        files_of(tmp_path / "CLIP")
    assert "generators build" not in str(caught.value)
    assert "correct the folder" in str(caught.value)
    with pytest.raises(MissingDataError, match="generators build captioner "):
        files_of(tmp_path / "captioner")


def test_a_folder_of_another_kind_is_refused(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(DataError, match="no model that is known") as caught:
        load(tmp_path)
    assert "llama" in str(caught.value)


SHIPPED = sorted(card.parent.name for card in EMBEDDED.glob("*/card.json"))


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_loads_by_name(name: str) -> None:
    assert name in MODELS
    assert load(name) is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_what_its_recipe_says(name: str) -> None:
    card, config = read_card(EMBEDDED / name), model_config(name)
    said = {key.path: key.value for key in walk(config) if key.role == "science"}
    assert card["config"] == said
    made_from = {other: identity(read_card(EMBEDDED / other)) for other in NEEDS.get(name, ())}
    assert card["made_from"] == made_from, "of the very models beside it"


def test_what_ships_is_small() -> None:
    assert SHIPPED
    sizes = [path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()]
    assert sum(sizes) < 30e6
