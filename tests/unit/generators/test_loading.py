from __future__ import annotations

import json
import re
import socket
from pathlib import Path

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
    with pytest.raises(MissingDataError, match="generators build captioner --root "):
        files_of(tmp_path / "captioner")


def test_a_card_decides_nothing(models) -> None:
    assert "card.json" not in files_of(models / "referee")
    assert {"config.json", "model.safetensors"} <= set(files_of(models / "referee"))


def test_a_torn_configuration_is_refused(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "cl')
    with pytest.raises(DataError, match="not valid JSON"):
        load(tmp_path)


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


def test_all_of_them_ship() -> None:
    assert set(SHIPPED) == set(MODELS)


def test_what_ships_is_as_good_as_the_documents_say() -> None:
    scores = {name: read_card(EMBEDDED / name)["scores"] for name in MODELS}
    for kind in ("64", "160", "near", "remade"):
        assert scores["referee"][f"held.{kind}.accuracy"] >= 0.95
        assert scores["referee"][f"unseen.{kind}.accuracy"] >= 0.93, "of what the others learned"
    assert scores["generator"]["held.generated.accuracy"] >= 0.8
    assert scores["generator"]["unseen.generated.accuracy"] >= 0.8
    judge = identity(read_card(EMBEDDED / "referee"))
    assert read_card(EMBEDDED / "generator")["judged_by"] == {"referee": judge}
    for size in ("held.64", "held.160"):
        space, captioner = scores["space"], scores["captioner"]
        for way in ("image_to_text", "text_to_image"):
            assert space[f"{size}.{way}.r1"] > 100 * space[f"{size}.chance.r1"]
        assert space[f"{size}.zero_shot.category"] > 4 * space[f"{size}.chance.category"]
        assert captioner[f"{size}.named_category"] > 0.8
        assert captioner[f"{size}.false_category"] < 0.2


PAGE = Path(__file__).parents[3] / "docs" / "models.md"
SIDES = {"seen": "held", "unseen": "unseen", "own": "held", "the others'": "unseen"}
KINDS = r"(160|64) pixels(, one thing that fills it(?:, through the autoencoder)?)?"
#: Model -> start of a row's label in its table, and the scores in the row's cells.
TABLES = {
    "referee": (KINDS + ", (own|the others') sources",
                ("accuracy", "exact", "place")),
    "space": (r"(160|64) pixels(), (seen|unseen) sources",
              ("image_to_text.r1", "text_to_image.r1", "zero_shot.category")),
    "captioner": (r"(160|64) pixels(), (seen|unseen) sources",
                  ("named", "false", "named_category", "false_category")),
}  # fmt: skip


def _rows(model: str) -> dict[str, list[float]]:
    """Numbers of the table that follows the first mention of a model's own scores."""
    heads = {"referee": "accuracy | all right", "space": "image to text | text to image",
             "captioner": "kind found | kind false"}  # fmt: skip
    table = PAGE.read_text().split(heads[model])[1].split("\n\n")[0]
    label, scores = TABLES[model]
    found = {}
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        size, near, side = re.match(label, cells[0]).groups()
        row = [float(cell) for cell in cells[1 : 1 + len(scores)]]
        kind = "remade" if "through" in (near or "") else "near" if near else size
        found[f"{SIDES[side]}.{kind}"] = row
    return found


@pytest.mark.parametrize(("model", "rows"), [("referee", 8), ("space", 4), ("captioner", 4)])
def test_tables_of_the_documents_are_those_of_the_cards(model: str, rows: int) -> None:
    scores = read_card(EMBEDDED / model)["scores"]
    found = _rows(model)
    assert len(found) == rows
    for prefix, row in found.items():
        wanted = [scores[f"{prefix}.{name}"] for name in TABLES[model][1]]
        assert row == pytest.approx(wanted, abs=6e-4), prefix


@pytest.mark.parametrize("side", ["held", "unseen"])
@pytest.mark.parametrize("kind", ["generated", "remade", "real"])
def test_the_generator_s_table_is_that_of_its_card(side: str, kind: str) -> None:
    table = PAGE.read_text().split("| captions of | accuracy")[1].split("\n\n")[0]
    order = [(s, k) for s in ("held", "unseen") for k in ("generated", "remade", "real")]
    line = table.splitlines()[2 + order.index((side, kind))]
    row = [float(n) for n in re.findall(r"(?<![\w.])\.\d+", line)]
    names = ["accuracy", "found", "false", "foremost", "exemplar.distance", "exemplar.kind"]
    scores = read_card(EMBEDDED / "generator")["scores"]
    wanted = [scores[f"{side}.{kind}.{name}"] for name in names]
    if kind == "generated":
        wanted += [scores[f"{side}.nearest.{name}"] for name in ("median", "least")]
    assert row == pytest.approx(wanted, abs=6e-4)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_what_its_recipe_says(name: str) -> None:
    card, config = read_card(EMBEDDED / name), model_config(name)
    said = {key.path: key.value for key in walk(config) if key.role == "science"}
    assert card["config"] == said
    maker = MODELS.load(name)
    told = (maker.about, maker.limits, f"{maker.data(config)}.")
    assert (card["about"], card["limits"], card["data"]) == told
    made_from = {other: identity(read_card(EMBEDDED / other)) for other in NEEDS.get(name, ())}
    assert card["made_from"] == made_from, "of the very models beside it"


def test_what_ships_is_small() -> None:
    assert SHIPPED
    sizes = [path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()]
    assert sum(sizes) < 30e6
