"""The stage through the real chain: 24 pictures, a random generator, two steps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import (
    ArtefactError,
    ConfigError,
    DataError,
    NeuroattnError,
    StorageError,
)
from neuroattn.encoding.encoder import load_encoder
from neuroattn.generators.registry import FolderGeneratorConfig
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.config import RootConfig
from neuroattn.synthesis import steering
from neuroattn.synthesis.guidance_schemas import RetrievalConfig
from neuroattn.synthesis.guide import activations, check_gradient
from tests.chain import build, config, neuroattn, words
from tests.unit.generators.families.pipelines import consistency

Change = Callable[[RootConfig], None]


@pytest.fixture
def run(tiny_data: Path, all_root: Path) -> Callable[..., Artefact]:
    def synthesize(change: Change | None = None, **given: Any) -> Artefact:
        made = config("synthesize", tiny_data, all_root)
        for name, value in {"images": 4, "chunk": 2, **given}.items():
            setattr(made.synthesis, name, value)
        if change is not None:
            change(made)
        return run_stage("synthesize", made)

    return synthesize


@pytest.fixture
def done(run) -> Artefact:
    return run()


def test_activations_are_those_of_the_kept_files(done: Artefact, tiny_data, all_root) -> None:
    encoder = load_encoder(build("encode", tiny_data, all_root).folder, device="cpu")
    table = done.table("images.tsv")
    pictures = np.stack([np.asarray(Image.open(done.path(name))) for name in table["file"]])
    member = encoder.targets["rois"].str.contains("early_sim").to_numpy()
    found = activations(pictures, encoder)[:, member].mean(1)
    assert np.allclose(found, table["guide_activation"], atol=1e-5)
    assert table["judge_activation"].isna().all()
    regions = done.table("regions.tsv")
    early = regions[regions["region"] == "early_sim"].set_index("file")["guide_activation"]
    assert np.allclose(early[table["file"]], table["guide_activation"], atol=1e-5)


def test_shards_join_to_the_very_pictures_of_one_job(
    done: Artefact, tiny_data: Path, all_root: Path
) -> None:
    more = ("synthesis.images=4", "synthesis.chunk=2", "synthesis.shards=2")
    ran = neuroattn(*words("synthesize", tiny_data, all_root, *more))
    assert ran.code == 0, ran.err
    joined = Artefact(ran.path)
    assert joined.folder != done.folder
    assert joined.files == done.files, "the same bytes"
    assert len(joined.inputs) == 4, "prepare, encode and two shards"


def test_a_job_without_a_chunk_draws_nothing_and_is_joined(
    done: Artefact, tiny_data: Path, all_root: Path
) -> None:
    more = ("synthesis.images=4", "synthesis.chunk=2", "synthesis.shards=3")
    ran = neuroattn(*words("synthesize", tiny_data, all_root, *more))
    assert ran.code == 0, ran.err
    assert Artefact(ran.path).files == done.files
    last = neuroattn(*words("synthesize", tiny_data, all_root, *more, "synthesis.shard=2"))
    assert len(Artefact(last.path).table("images.tsv")) == 0


def test_real_pictures_are_the_fold_s_own_and_say_who_learned_from_them(run) -> None:
    judged = run(judge="encoder=linear_pool", judge_fold=1, fold=0, unguided=False)
    with Artefact(judged.folder.parent.parent / "encode" / judged.inputs["encode"]["label"]).hdf5(
        "predictions.h5"
    ) as file:
        own = set(file["/test/image"][:][file["/test/fold"][:] == 0].tolist())
    real = judged.table("real.tsv")
    assert len(real)
    assert set(real["image"]) <= own
    assert (real["guide_learned"] == 0).all()
    assert (real["judge_learned"] == 1).all(), "of two folds the other learned from all of them"
    assert judged.json("evaluation.json")["reference"] == 24 - len(own), "the others, all of them"


def test_a_judge_and_a_further_guide_have_their_say(done: Artefact, run) -> None:
    judged = run(
        judge="encoder=linear_pool", judge_fold=1, fold=0, unguided=False,
        guides={"pool": "encoder=linear_pool"},
    )  # fmt: skip
    table = judged.table("images.tsv")
    assert (table["method"] == "windowed").all()
    assert table["judge_activation"].notna().all()
    assert judged.metrics["judge.shared_training_images"] == 0, "the folds are apart"
    assert len(judged.json("generator.json")["guides"]) == 2
    assert not np.allclose(table["judge_activation"], table["guide_activation"])
    assert done.files["images/none-000000.png"]


def test_an_objective_may_have_a_scale_of_its_own(done: Artefact, run) -> None:
    def alone(made: RootConfig) -> None:
        made.guidance.scales = {"late_sim": 0.0}

    own, names = run(alone, objectives=["early_sim", "late_sim"]), [f"{n:06d}" for n in range(4)]
    digests = {name: entry["sha256"] for name, entry in own.files.items()}
    for seed in names:
        plain = digests[f"images/none-{seed}.png"]
        assert digests[f"images/late_sim-windowed-{seed}.png"] == plain, "a scale of 0 is none"
        early = f"images/early_sim-windowed-{seed}.png"
        assert plain != digests[early] == done.files[early]["sha256"], "the others keep theirs"


def test_retrieval_takes_the_real_pictures_that_are_predicted_highest(run, tiny_data) -> None:
    def retrieval(made: RootConfig) -> None:
        made.guidance = RetrievalConfig()

    artefact = run(retrieval)
    table = artefact.table("images.tsv")
    assert len(table) == 4
    assert artefact.json("generator.json")["generator"] is None
    seeds = table["seed"].tolist()
    first = np.asarray(Image.open(artefact.path(table["file"][0])))
    known = np.asarray(Image.open(tiny_data / "images" / f"{seeds[0]:05d}.jpg"))
    assert np.array_equal(first, known)


def test_a_picture_without_a_gradient_is_marked_and_the_job_goes_on(
    run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = steering.push

    def poisoned(*given):
        said, gradient = plain(*given)
        gradient[0] = torch.nan
        return said, gradient

    monkeypatch.setattr(steering, "push", poisoned)
    artefact = run(objectives=["late_sim"])
    table = artefact.table("images.tsv")
    guided = table[table["method"] != "none"]
    assert guided["status"].tolist() == ["failed", "done", "failed", "done"]
    assert guided["file"].isna().tolist() == [True, False, True, False]
    assert "the picture of seed 0 failed" in caplog.text
    record = artefact.json("images/late_sim-windowed-000000.json")
    assert (record["status"], record["file"]) == ("failed", "")


def test_out_of_memory_names_the_setting(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(steering, "push", full)
    with pytest.raises(StorageError, match=r"synthesis.chunk=1"):
        run(objectives=["visual_sim"])


def _folder(made: RootConfig) -> None:
    made.generator.model = "/nowhere"


def _sampler(made: RootConfig) -> None:
    made.guidance.sampler = "flow"


def _shards(made: RootConfig) -> None:
    made.guidance = RetrievalConfig()
    made.synthesis.shards = 2
    made.synthesis.shard = 0


def _scales(made: RootConfig) -> None:
    made.guidance.scales = {"early": 1.0}


def _few(made: RootConfig) -> None:
    made.generator.few_steps = True


@pytest.mark.parametrize(
    ("change", "given", "says"),
    [
        (None, {"objectives": []}, "synthesis.objectives="),
        (None, {"objectives": ["nowhere"]}, "early_sim"),
        (None, {"judge_fold": 7, "judge": "encoder=linear_pool"}, "no fold 7"),
        (_folder, {}, "/nowhere"),
        (_sampler, {}, "flow"),
        (_shards, {}, "leave synthesis.shards"),
        (_scales, {}, "no objective of this run: early"),
        (_few, {}, "guidance=noise_optimisation"),
    ],
)
def test_what_is_wrong_is_said(run, change: Change | None, given: dict, says: str) -> None:
    with pytest.raises(NeuroattnError, match=re.escape(says)):
        run(change, **given)


def test_a_folder_that_turns_out_to_take_few_steps_is_not_steered(run, tmp_path) -> None:
    folder = consistency(tmp_path / "lcm")

    def change(made: RootConfig) -> None:
        made.generator = FolderGeneratorConfig(model=str(folder))

    with pytest.raises(ConfigError, match="too few steps to be steered"):
        run(change)


def test_an_encoder_of_selected_targets_guides(run) -> None:
    def chosen(made: RootConfig) -> None:
        made.dataset.ceiling.select = 0.65

    part = run(chosen, objectives=["visual_sim"], images=2)
    table = part.table("images.tsv")
    assert np.isfinite(table["guide_activation"]).all()
    assert (table["status"] == "done").all()


def test_an_encoder_of_another_size_is_refused(tiny_data, all_root) -> None:
    encoder = load_encoder(build("encode", tiny_data, all_root).folder, device="cpu")
    encoder.backbone.config.pool = 3  # other tokens than it was fitted on
    with pytest.raises(ArtefactError, match="does not fit the backbone"):
        check_gradient(encoder, "ridge")


@pytest.mark.parametrize("wrong", [np.zeros((1, 8, 8, 3)), np.zeros((1, 3, 8, 8), np.uint8)])
def test_normalised_pictures_are_refused(tiny_data, all_root, wrong) -> None:
    encoder = load_encoder(build("encode", tiny_data, all_root).folder, device="cpu")
    with pytest.raises(DataError, match="8-bit"):
        activations(wrong, encoder)


def test_the_records_say_what_was_done(done: Artefact) -> None:
    record = json.loads(done.path("images/early_sim-windowed-000001.json").read_text())
    assert record["chunk"] == [0, 1]
    assert record["passes"]["network"] == 2
    assert record["gradient"]["steps"] == 2
    assert pd.notna(record["guide"]["values"]["early_sim"])
    assert record["sha256"] == done.files["images/early_sim-windowed-000001.png"]["sha256"]
