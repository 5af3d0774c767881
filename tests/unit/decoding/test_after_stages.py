"""The stages ``ablate`` and ``imagery`` on the tiny chain: they use the decoder as it was left."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neuroattn.cli.compose import compose
from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.decoding import ablate_stage
from neuroattn.decoding.ablation import DROP, KEEP
from neuroattn.decoding.imagery import seen_in_training
from neuroattn.decoding.load import Loaded, load_decoder
from neuroattn.decoding.partial import MaskedPasses, PartialProducts
from neuroattn.features.store import FeatureStore
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.plan import find
from neuroattn.pipeline.plan import plan as find_plan
from neuroattn.reports.blocks import Notice, Prose, Table
from neuroattn.reports.registry import ReportConfig
from neuroattn.reports.sections import warnings
from neuroattn.reports.sections.decoding import imagery
from neuroattn.reports.sources import Sources
from neuroattn.stats.retrieval import DIRECTIONS
from tests import chain
from tests.chain import build, config


@pytest.fixture(scope="module")
def ablated(tiny_data: Path, all_root: Path) -> Artefact:
    return build("ablate", tiny_data, all_root)


@pytest.fixture(scope="module")
def loaded(ablated: Artefact, all_root: Path) -> Loaded:
    parent = {
        name: find(ablated.inputs[name]["label"], all_root, stage=name)
        for name in ("prepare", "features", "decode")
    }
    return load_decoder(parent["decode"], parent["prepare"], [FeatureStore(parent["features"])])


def test_a_loaded_decoder_predicts_what_was_kept(loaded: Loaded) -> None:
    predicted = loaded.embed(0, loaded.sides[0].tested())
    with loaded.artefact.hdf5("retrieval.h5") as file:
        np.testing.assert_allclose(predicted, file["test/brain"][:], atol=1e-5)
        np.testing.assert_array_equal(file["test/image_id"][:], loaded.sides[0].test)


def test_its_partial_products_are_its_masked_passes(loaded: Loaded) -> None:
    inputs = loaded.sides[0].tested()
    split = loaded.model.split(0)
    assert split is not None
    partial = PartialProducts(split, inputs, loaded.space.normalised)
    masked = MaskedPasses(lambda x: loaded.embed(0, x), inputs)
    for columns in (np.array([0, 3]), np.arange(5)):
        for one, other in zip(partial.both(columns), masked.both(columns), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_inputs_are_standardised_by_training_trials(loaded: Loaded) -> None:
    side = loaded.sides[0]
    raw = side.view.image_responses(side.test, columns=side.input.columns)
    np.testing.assert_allclose(side.tested(), (raw - side.input.mean) / side.input.sd, rtol=1e-5)
    training = side.view.image_responses(side.train, columns=side.input.columns)
    np.testing.assert_allclose(side.input.mean, training.mean(0), rtol=1e-4)


def test_every_network_is_left_out_and_kept(ablated: Artefact, loaded: Loaded) -> None:
    table = ablated.table("ablation.tsv")
    assert set(table["mode"]) == {DROP, KEEP}
    whole = table[table["measure"] == DIRECTIONS[0]]["intact"].unique()
    assert len(whole) == 1
    kept = loaded.artefact.table("retrieval.tsv")
    centred = kept[kept["direction"] == DIRECTIONS[0]].query("centring == 'centred' and k == 1")
    assert whole[0] == pytest.approx(centred["accuracy"].iloc[0])
    maps = ablated.table("contributions.tsv")
    assert np.isfinite(maps["contribution"]).all()
    assert list(maps["target"]) == list(ablated.table("targets.tsv")["target"])
    assert ablated.has("networks.tsv")


def test_other_trials_are_decoded_and_counted(tiny_data: Path, all_root: Path) -> None:
    artefact = build("imagery", tiny_data, all_root)
    table = artefact.table("imagery.tsv")
    trials = len(find(artefact.inputs["prepare"]["label"], all_root).table("trials.tsv"))
    assert set(table["trials"]) == {trials}
    assert (table["p"] >= 1 / 51).all()
    with artefact.hdf5("imagery.h5") as file:
        assert file["similarity"].shape[0] == len(file["image"])
        assert int(file["trials"][:].sum()) == trials
        assert (file["gallery"][:][file["own"][:]] == file["image"][:]).all()


def test_images_that_were_seen_in_training_are_told(
    tiny_data: Path, all_root: Path, loaded: Loaded, caplog: pytest.LogCaptureFixture
) -> None:
    artefact = build("imagery", tiny_data, all_root)
    with artefact.hdf5("imagery.h5") as file:
        seen = set(file["image"][:][file["seen"][:] == 1].tolist())
    assert seen == set(loaded.sides[0].train.tolist()), "here both sets are one"
    assert artefact.metrics["imagery.seen_in_training"] == pytest.approx(len(seen) / 24)
    data = loaded.sides[0].unit.data
    caplog.clear()  # of what building said
    with caplog.at_level(logging.WARNING, logger="neuroattn"):
        assert not seen_in_training(loaded.sides, data, loaded.sides[0].test).any()
        assert not caplog.records
        assert seen_in_training(loaded.sides, data, loaded.sides[0].train).all()
    assert "12 of 12 images" in caplog.text
    sources = Sources({"imagery": artefact}, {}, ReportConfig(stages=["imagery"]))
    told = [each.text for each in warnings.blocks(sources) if isinstance(each, Notice)]
    assert sum(text.startswith("50 % of the images") for text in told) == 1
    text, _, table = imagery(sources)
    assert isinstance(text, Prose)
    assert text.paragraphs[0].startswith("12 of 24 images (50 %) were among the training images")
    assert isinstance(table, Table)
    assert table.rows[-1][1:3] == ("share of images seen in training", "0.500")


def test_test_images_can_stand_in_the_gallery(tiny_data: Path, all_root: Path) -> None:
    made = config("imagery", tiny_data, all_root)
    made.imagery.candidates = type(made.imagery.candidates).imagined_and_test
    artefact = run_stage("imagery", made)
    with artefact.hdf5("imagery.h5") as file:
        assert file["similarity"].shape[1] > file["similarity"].shape[0]
        assert (file["gallery"][:] < 0).sum() == 12


def test_trials_are_held_against_texts(
    tiny_data: Path, all_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = [
        "A face on a beach.",
        "A truck in a city.",
        "A fish by a mountain.",
        "A word in a field.",
    ]
    names = sorted(path.name for path in (tiny_data / "images").iterdir())
    file = tmp_path / "told.json"
    file.write_text(json.dumps({name: [told[n % 4]] for n, name in enumerate(names)}))
    words = chain.words(
        "imagery", tiny_data, all_root, "backbone=space", "backbone.layers=[pooled]",
        "backbone.image_size=160", "decoder.target.layers=[pooled]",
        f"imagery.gallery='backbone=space_captions backbone.captions={file}'",
    )[1:]  # fmt: skip
    made = compose(words)
    made.stage = "imagery"
    with caplog.at_level(logging.WARNING, logger="neuroattn"):
        artefact = run_stage("imagery", made)
    assert f"only 4 of the {len(names)} embeddings" in caplog.text
    texts = FeatureStore(find(artefact.inputs["imagery/features"]["label"], all_root))
    assert texts.artefact.label.startswith("space_captions")
    with artefact.hdf5("imagery.h5") as kept:
        similarity, ids = kept["similarity"][:], kept["image"][:]
    assert similarity.shape == (len(names), len(names))
    raw = texts.read("pooled", ids)[:, 0].astype(np.float64)
    alike = np.abs(raw @ raw.T - 1) < 1e-3
    assert alike.sum() == len(names) ** 2 / 4, "four texts for all pictures"
    np.testing.assert_allclose(np.corrcoef(similarity.T)[alike], 1, atol=1e-3)
    with pytest.raises(ConfigError, match="test images stand in the gallery"):
        compose([*words, "imagery.candidates=imagined_and_test"])


def test_a_decoder_of_features_that_the_run_does_not_name_is_refused(tmp_path: Path) -> None:
    also = {"decoder": {"target": {"also": ["backbone=captions"]}}}
    parents = {"decode": SimpleNamespace(config=also, folder=tmp_path), "features": None}
    with pytest.raises(ConfigError, match="further features") as caught:
        ablate_stage.load(SimpleNamespace(parents=parents))
    assert "backbone=captions" in str(caught.value)


def test_what_is_missing_is_said(tiny_data: Path, all_root: Path) -> None:
    made = config("imagery", tiny_data, all_root)
    made.imagery.trials = None
    with pytest.raises(ConfigError, match="which trials"):
        run_stage("imagery", made)
    made = config("imagery", tiny_data, all_root)
    made.decoder.target.also = ["backbone=captions backbone.layers=[captions]"]
    with pytest.raises(ConfigError, match="further features") as caught:
        find_plan("imagery", made)
    assert "backbone=captions" in str(caught.value)
    made = config("imagery", tiny_data, all_root)
    made.imagery.trials = "dataset.normalise=none"
    made.imagery.gallery = "backbone.layers=[blocks.7]"
    with pytest.raises((DataError, ConfigError), match=r"layer|space"):
        run_stage("imagery", made)
