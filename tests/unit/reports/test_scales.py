"""The curve over scales and sets side by side, from made-up tables alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from neuroattn.reports.blocks import Details, Notice, Picture, Table
from neuroattn.reports.sections import scales, sets, words
from neuroattn.reports.sources import Sources

FINGERPRINT = "0" * 64


class Fake:
    """What a section asks of an artefact."""

    stage, fingerprint, provenance = "synthesize", FINGERPRINT, {}

    def __init__(self, folder: Path, guidance: dict[str, Any], **tables: pd.DataFrame) -> None:
        self.folder, self.label = folder, f"{guidance['name']}-{folder.name}"
        self.config = {"guidance": guidance, "synthesis": {"images": 8}}
        folder.mkdir()
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, na_rep="n/a")
        (folder / "generator.json").write_text(json.dumps({"generator": {}, "guides": ["a"]}))

    def path(self, name: str) -> Path:
        return self.folder / name

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def json(self, name: str) -> Any:
        return json.loads(self.path(name).read_text())


# scale -> judge on even and on odd seeds, and the Fréchet ratio.
SWEPT = {0.1: (1.0, 0.8, 1.0), 0.3: (2.0, 1.1, 1.05), 1.0: (3.0, 9.0, 1.9)}


def _halves(scale: float) -> pd.DataFrame:
    even, odd, ratio = SWEPT[scale]
    rows = []
    for method, values in (("x0", (even, odd, ratio)), ("none", (0.0, 0.0, 1.0))):
        for half, judge in (("even", values[0]), ("odd", values[1])):
            for measure, value in (
                ("judge", judge), ("judge_gain", judge), ("guide", 2 * judge),
                ("guide_gain", 2 * judge), ("realism", values[2]), ("diversity", 0.5),
            ):  # fmt: skip
                rows.append(("FFA-1", method, half, measure, value, value - 0.1, value + 0.1, 4))
    return pd.DataFrame(rows, columns=list(scales.COLUMNS))


def _swept(root: Path, **more: Any) -> dict[str, Fake]:
    names = ("synthesize", "synthesize/other-1", "synthesize/other-2")
    return {
        name: Fake(
            root / f"s{scale}", {"name": "x0", "scale": scale, **more}, halves=_halves(scale)
        )
        for name, scale in zip(names, (0.3, 1.0, 0.1), strict=True)
    }


def test_a_scale_is_chosen_on_even_seeds_and_reported_on_odd_ones(tmp_path: Path) -> None:
    found = scales.blocks(Sources(_swept(tmp_path)))
    (picture,) = [block for block in found if isinstance(block, Picture)]
    assert "Chosen: FFA-1: 0.3" in picture.alt
    (table,) = [block for block in found if isinstance(block, Table)]
    row = table.rows[0]
    assert row[:3] == ("FFA-1", "0.3", "1.100"), "what odd seeds say of it, not the 2 of even ones"
    assert "1.000 to 1.200" in row


def test_an_unreal_scale_is_not_taken_though_it_drives_most(tmp_path: Path) -> None:
    sweep = scales.swept(list(_swept(tmp_path).values()))
    assert sweep.chosen == {"FFA-1": 0.3}
    assert sweep.scales.tolist() == [0, 0.1, 0.3, 1.0]
    assert sweep.values("FFA-1", "judge", "odd")[0].tolist() == [0, 0.8, 1.1, 9.0]


def test_one_scale_makes_no_curve_and_another_recipe_is_named(tmp_path: Path) -> None:
    parents = _swept(tmp_path)
    assert scales.blocks(Sources({"synthesize": parents["synthesize"]})) == ()
    other = parents["synthesize/other-1"]
    other.config = {**other.config, "synthesis": {"images": 99}}
    found = scales.blocks(Sources(parents))
    (notice,) = [block for block in found if isinstance(block, Notice)]
    assert other.label in str(notice)
    assert "1" not in [row[1] for block in found if isinstance(block, Table) for row in block.rows]


# --- sets side by side


def _images(method: str, judge: float) -> pd.DataFrame:
    rows = [
        (f"{name}{seed}", seed, "FFA-1", name, value + seed / 10, value, 1, True, "done")
        for name, value in ((method, judge), ("none", 0.0))
        for seed in range(4)
    ]
    columns = ("file", "seed", "objective", "method", "guide_activation", "judge_activation",
               "rank", "selected", "status")  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def _real() -> pd.DataFrame:
    columns = ["file", "objective", "rank", "image", "guide_activation", "judge_activation"]
    return pd.DataFrame([("r0", "FFA-1", 1, 7, 5.0, 4.0)], columns=columns)


@pytest.fixture
def beside(tmp_path: Path) -> dict[str, Fake]:
    told = pd.DataFrame(
        [("c0", "FFA-1", 0, 3, "A face."), ("c1", "FFA-1", 1, 4, "A face.")],
        columns=list(words.COLUMNS),
    )
    gains = pd.DataFrame(
        [("FFA-1", "captions", "judge", 1.0, 0.5, 1.5, 4)],
        columns=["objective", "method", "measure", "gain", "low", "high", "n"],
    )
    captions = Fake(
        tmp_path / "c", {"name": "captions"}, images=_images("captions", 1.0), told=told,
        real=_real(), gains=gains,
    )  # fmt: skip
    guided = Fake(tmp_path / "g", {"name": "windowed"}, images=_images("windowed", 2.0))
    return {"synthesize": captions, "synthesize/other-1": guided}


def test_sets_stand_side_by_side_by_guide_and_judge(beside: dict[str, Fake]) -> None:
    found = sets.blocks(Sources(beside))
    pictures = [block for block in found if isinstance(block, Picture)]
    assert len(pictures) == 2
    judge = pictures[0].alt
    for told in ("from captions 1.000", "windowed 2.000", "unguided 0.000"):
        assert told in judge
    assert "top natural pictures 4.000" in judge
    (first,) = (block for block in found if isinstance(block, Table))
    names = [row[1] for row in first.rows]
    assert names == ["from captions", "unguided", "top natural pictures", "windowed"]
    (details,) = [block for block in found if isinstance(block, Details)]
    assert "0.500 to 1.500" in details.blocks[0].rows[0]


@pytest.mark.parametrize("method", ["captions", "primed"])
def test_words_stand_with_the_pictures_that_were_drawn_of_them(
    beside: dict[str, Fake], method: str
) -> None:
    told = beside["synthesize"]
    told.config["guidance"]["name"] = method
    (table,) = words.words(told)
    assert table.rows == (("FFA-1", "A face", "1", "2"),)
    turned = {"synthesize": beside["synthesize/other-1"], "synthesize/other-1": told}
    tables = [block for block in sets.blocks(Sources(turned)) if isinstance(block, Table)]
    assert tables[1] == table, "in the main artefact's own section, else beside the sets"
    assert not list(words.words(turned["synthesize"]))


def test_real_pictures_that_the_judge_learned_from_are_no_prediction(tmp_path: Path) -> None:
    real = pd.concat([_real(), _real().assign(rank=2, judge_activation=40.0)], ignore_index=True)
    parts = {}
    for name, learned in (("some", [0, 1]), ("all", [1, 1])):
        told = real.assign(guide_learned=0, judge_learned=learned)
        one = Fake(
            tmp_path / name, {"name": "windowed"}, images=_images("windowed", 2.0), real=told
        )
        parts[name] = sets._measured({"windowed": one})
    some = {row[1:4] for row in parts["some"] if row[1] == "top natural pictures"}
    assert some == {
        ("top natural pictures", "guide", 5.0), ("top natural pictures", "judge", 4.0),
    }  # fmt: skip
    assert [row[2] for row in parts["all"] if row[1] == "top natural pictures"] == ["guide"]


def test_one_way_alone_is_nothing_to_compare_unless_it_is_captions(
    beside: dict[str, Fake],
) -> None:
    assert sets.blocks(Sources({"synthesize": beside["synthesize/other-1"]})) == ()
    assert sets.blocks(Sources({"synthesize": beside["synthesize"]}))
    assert sets.blocks(Sources({})) == ()
