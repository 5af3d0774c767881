from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroattn.core.errors import MissingDataError
from neuroattn.data.simulate.scene import CATEGORIES, PLACES
from neuroattn.generators.scenes import JUDGED
from neuroattn.synthesis.evaluate import look
from neuroattn.synthesis.evaluation_schemas import EvaluationConfig, evaluation_leaves
from neuroattn.synthesis.views import PLACE, WORDS, Views, open_views, preferred, small
from neuroattn.synthesis.wishes import parse

PICTURES = np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8)


class Brightness:
    """A referee and a space that know how bright a picture is."""

    dim = 2

    def judge(self, pixels):
        bright = pixels.mean((1, 2, 3))
        presence = torch.zeros(len(pixels), len(CATEGORIES))
        presence[:, CATEGORIES.index("face")] = bright
        place = torch.zeros(len(pixels), len(PLACES))
        place[:, PLACES.index("city")], place[:, PLACES.index("room")] = 0.3, 0.2
        attributes = torch.zeros(len(pixels), len(CATEGORIES), len(JUDGED))
        return {"presence": presence, "place": place, "attributes": attributes}

    def encode_image(self, pixels):
        bright = pixels.mean((1, 2, 3))
        return torch.stack([bright, 1 - bright], 1)

    def encode_text(self, captions):
        return torch.tensor([[1.0, 0.0] if "face" in one or "portrait" in one else [0.0, 1.0]
                             for one in captions])  # fmt: skip

    def pooled(self, pixels):
        return pixels.flatten(1)


def test_regions_of_the_localiser_prefer_their_category() -> None:
    wanted = {"FFA-1": "face", "lh.OFA": "face", "EBA": "body", "PPA": PLACE, "VWFA-2": "word"}
    for text, category in wanted.items():
        assert preferred(parse(text)) == category
        assert category in WORDS
    assert preferred(parse("FFA-1 - PPA")) == "face"
    assert preferred(parse("V1v")) is None
    assert preferred(parse("target:2")) is None
    assert preferred(parse("- FFA-1")) is None
    assert preferred(parse("OFA + FFA-1 + FFA-2")) == "face"
    assert preferred(parse("OFA|FFA-1|FFA-2")) == "face"
    assert preferred(parse("FFA-1 + PPA")) is None
    assert preferred(parse("FFA-1|PPA")) is None
    assert preferred(parse("cluster:1/2@OPA")) == PLACE


def test_pictures_that_come_in_blocks_are_seen_as_one() -> None:
    knows = Brightness()
    views = Views(lambda shown: shown.reshape(len(shown), -1) / 255, "x", knows, knows)
    files = [f"{n}.png" for n in range(40)]
    whole = look(files, iter([PICTURES]), views)
    parts = look(files, (PICTURES[start : start + 16] for start in (0, 16, 32)), views)
    np.testing.assert_array_equal(parts.features, whole.features)
    np.testing.assert_array_equal(parts.pixels, whole.pixels)
    np.testing.assert_array_equal(parts.referee["face"], whole.referee["face"])
    assert parts.matched == whole.matched
    assert (len(parts.features), len(parts.matched), parts.rows["39.png"]) == (40, 40, 39)


def test_views_see_each_picture_once_and_in_order() -> None:
    knows = Brightness()
    views = Views(knows.pooled, "x", knows, knows)
    bright = PICTURES.mean((1, 2, 3)) / 255
    judged = views.judged(PICTURES)
    assert np.allclose(judged["face"], bright, atol=1e-6)
    assert np.allclose(judged[PLACE], 0.5)  # city and room are built places
    assert len(judged["place.beach"]) == len(PICTURES)
    extremes = np.stack([np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)])
    assert views.matched(extremes)[0] == "face"
    assert views.matched(extremes)[1] != "face"
    assert Views(knows.pooled, "x").judged(PICTURES) == {}
    assert Views(knows.pooled, "x").matched(PICTURES) == []


def test_embedded_models_look_at_simulated_scenes_alone(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("neuroattn.generators.loading.EMBEDDED", tmp_path)
    real = open_views(EvaluationConfig(), Brightness(), "x", "cpu", simulated=False)
    assert real.referee is None
    assert "simulated" in real.absent["referee"]
    unbuilt = open_views(EvaluationConfig(), Brightness(), "x", "cpu", simulated=True)
    assert "build space" in unbuilt.absent["space"]
    none = EvaluationConfig(referee="", space="")
    assert open_views(none, Brightness(), "x", "cpu", simulated=True).absent["referee"]
    assert evaluation_leaves(EvaluationConfig()) == {}
    with pytest.raises(MissingDataError, match="no model here"):
        evaluation_leaves(EvaluationConfig(space=str(tmp_path / "clip")))


def test_pictures_of_any_size_become_small() -> None:
    rows = small([PICTURES[0], np.zeros((50, 70, 3), np.uint8)])
    assert rows.shape == (2, 3, 32, 32)
    assert rows[1].max() == 0
