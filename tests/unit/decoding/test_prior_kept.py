from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.errors import DataError
from neuroattn.decoding.decoder_schemas import EvaluationConfig
from neuroattn.decoding.evaluate import Side, evaluate
from neuroattn.decoding.prior_kept import (
    blur_told,
    blurring,
    both_ways,
    extremes,
    keep_clean,
    keep_prior,
    pair_table,
    pictures_of,
)
from neuroattn.decoding.prior_schemas import (
    FoveaPriorConfig,
    FusionPriorConfig,
    NoPriorConfig,
    UbpPriorConfig,
)
from neuroattn.features.blur_schemas import BlurConfig, BlurKind
from neuroattn.reports.blocks import Picture, Table
from neuroattn.reports.registry import DECODER, ReportConfig
from neuroattn.reports.sections import prior as section
from neuroattn.reports.sources import Sources
from tests.unit.decoding.test_blur_prior import HIGH, LOW, bank, made, outliers

BLUR = {"kind": "fovea", "centre": 1.0, "decay": 3.0}
OPTIONS = EvaluationConfig(ways=20, draws=2, permutations=10, bootstraps=20)


def picture(image: int) -> Any:
    return np.random.default_rng(image).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def trained() -> Any:
    prior = made(UbpPriorConfig(), bank())
    prior.observe(torch.arange(400), outliers())
    prior.end_epoch()
    return prior


def side(gain: float) -> Side:
    random = np.random.default_rng(0)
    target = random.standard_normal((30, 6))
    return Side("sub-01", np.arange(30), target + gain * random.standard_normal((30, 6)), target)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    out = ArtefactWriter(tmp_path_factory.mktemp("decode") / "ubp-00000000")
    out.folder.mkdir()
    keep_prior(out, trained(), ["sub-01"], BLUR, picture, size=224)
    evaluate([side(0.5)], {}, OPTIONS).write(out)
    keep_clean(out, [side(2.0)], {}, OPTIONS, 0)
    write_json(out.folder / "config.yaml", {"seed": 0, "dataset": {"subjects": ["sub-01"]}})
    write_json(
        out.folder / "fingerprint.json",
        {"stage": "decode", "version": 1, "science": {}, "parents": {}, "leaves": {}},
    )
    out.finish(provenance={}, metrics={}, methods="Made by a test.")
    return Artefact(out.folder)


def test_only_a_prior_that_blurs_is_kept() -> None:
    for config, kept in ((UbpPriorConfig(), True), (NoPriorConfig(), False)):
        model = SimpleNamespace(network=SimpleNamespace(prior=made(config, bank())))
        assert (blurring(model) is not None) is kept
    assert blurring(object()) is None


def test_the_methods_text_tells_of_a_blur_and_of_no_other() -> None:
    def told(config: Any) -> str:
        return blur_told(SimpleNamespace(network=SimpleNamespace(prior=made(config, bank()))))

    assert "fovea blur; levels 7.1, 8, 8.9), more where a pair" in told(UbpPriorConfig())
    assert "all at strength 7.5;" in told(FoveaPriorConfig(strength=7.5))
    assert "mixture" in told(FusionPriorConfig())
    assert told(NoPriorConfig()) == blur_told(object()) == ""


def test_the_table_has_a_row_for_each_pair() -> None:
    table = pair_table(trained(), ["sub-07"])
    assert table["subject"].unique().tolist() == ["sub-07"]
    assert table["image"].tolist() == list(range(10, 410))
    assert table["blur"].iloc[[3, 4]].tolist() == pytest.approx([HIGH, LOW])
    assert table["uncertainty"].idxmax() == 3
    unknown = pair_table(made(FusionPriorConfig(), bank()), ["a"])
    assert unknown[["uncertainty", "blur"]].isna().all().all()


def test_extremes_are_the_most_certain_then_the_least() -> None:
    table = pd.DataFrame({"uncertainty": [0.1, np.nan, 3.0, -2.0, 1.0, -4.0]})
    assert extremes(table, 2).tolist() == [5, 3, 2, 4]
    assert extremes(table, 9).tolist() == [5, 3, 2, 4]


def test_pictures_are_shown_with_the_blur_of_their_pair() -> None:
    shown, blurred = both_ways(picture(0), BlurConfig(), 8.0, 224)
    assert shown.shape == blurred.shape == (160, 160, 3)
    edge = [
        float(np.abs(np.diff(one[:20].astype(float), axis=1)).mean()) for one in (shown, blurred)
    ]
    assert edge[1] < edge[0] / 2, "the border is blurred"


@pytest.mark.parametrize("kind", BlurKind)
@pytest.mark.parametrize("strength", [0.0, 1e-6, 0.05])
def test_a_blur_that_nobody_sees_is_shown_as_none(kind: BlurKind, strength: float) -> None:
    shown, blurred = both_ways(picture(0), BlurConfig(kind=kind), strength, 224)
    assert np.array_equal(shown, blurred)


def test_cells_are_told_in_pixels_of_the_pictures_that_were_embedded() -> None:
    config = BlurConfig(kind=BlurKind.lowres)
    quarters = both_ways(picture(0), config, 160.0, size=320)[1]
    assert np.array_equal(quarters, both_ways(picture(0), config, 80.0, size=160)[1])
    assert quarters.std(axis=(0, 1)).min() > 0, "two cells a side, not one"


def test_a_picture_that_changed_is_refused() -> None:
    stimuli = SimpleNamespace(read=picture, digest=lambda image: "b", file=lambda image: "x.png")
    read = pictures_of(stimuli, pd.DataFrame({"image": [7], "sha256": ["a"]}))
    with pytest.raises(DataError, match="another picture"):
        read(7)


def test_the_artefact_tells_both_galleries(artefact: Artefact) -> None:
    assert artefact.json("prior.json")["low_medium_high"] == [7.1, 8.0, 8.9]
    with artefact.hdf5("prior_examples.h5") as file:
        assert file["pictures"].shape == (12, 2, 160, 160, 3)
    blurred, clean = (artefact.table(name) for name in ("retrieval.tsv", "clean-retrieval.tsv"))
    assert blurred["accuracy"].iloc[0] > clean["accuracy"].iloc[0]
    assert len(artefact.table("clean-queries.tsv")) == 30


def test_the_section_shows_uncertainty_pairs_and_both_galleries(artefact: Artefact) -> None:
    other = {"decode": artefact, f"{DECODER}1": artefact}
    found = section.blocks(Sources(other, {}, ReportConfig(stages=["decode"])))
    pictures = [block for block in found if isinstance(block, Picture)]
    assert len(pictures) == 3
    assert "least certain: images 13" in pictures[1].alt
    (table,) = [block for block in found if isinstance(block, Table)]
    assert {row[1] for row in table.rows} == {
        "blurred gallery",
        "pictures as shown",
        artefact.label,
    }
    assert all(block.content for block in pictures)


def test_no_section_without_a_prior() -> None:
    assert section.blocks(Sources({}, {}, ReportConfig(stages=["decode"]))) == ()
