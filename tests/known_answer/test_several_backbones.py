"""Features of several backbones in one readout: planted ones are told apart, pixels pass them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import neuroattn
from neuroattn.cli.compose import compose
from neuroattn.core.artefact import Artefact
from neuroattn.pipeline.build import run_stage
from tests.chain import neuroattn as command
from tests.chain import node
from tests.chain import words as tiny_words

IMAGES, SIDE, DIM, TARGETS = 160, 2, 6, 6
FROM_OWN = np.arange(TARGETS) < TARGETS // 2  # the others are made of the further features alone


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that say nothing, two files of features, and targets that read one file each."""
    folder, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    (folder / "data/images").mkdir(parents=True)
    for image in range(IMAGES):
        noise = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"data/images/{image:03d}.png")
    values = rng.normal(size=(2, IMAGES, SIDE, SIDE, DIM)).astype(np.float32)
    for name, table in zip(("own", "other"), values, strict=True):
        np.save(folder / f"{name}.npy", table)
    read = values.mean((2, 3)) @ rng.normal(size=(2, DIM, TARGETS))
    signal = np.where(FROM_OWN, *read)
    noise = rng.normal(size=signal.shape) * signal.std(0) / 3
    np.save(folder / "data/responses.npy", (signal + noise).astype(np.float32))
    rows = "".join(f"{image}\t{image}\t1\t1\n" for image in range(IMAGES))
    (folder / "data/trials.tsv").write_text(f"trial\timage\tsession\trepeat\n{rows}")
    targets = "".join(f"{target}\tR\tlh\n" for target in range(TARGETS))
    (folder / "data/rois.tsv").write_text(f"target\troi\themisphere\n{targets}")
    told = ("name", "species", "modality", "units", "space", "licence", "citation", "description")
    about = "".join(f"{name}: unknown\n" for name in told)
    (folder / "data/dataset.yaml").write_text(f"{about}simulated: true\n")
    return folder


def words(world: Path, *more: str) -> list[str]:
    return [
        "dataset=arrays", f"dataset.root={world / 'data'}", f"paths.root={world / 'root'}",
        "dataset.split.folds=2", "backbone=arrays", f"backbone.file={world / 'own.npy'}",
        "scoring.permutations=0", "scoring.bootstraps=0", "runtime.threads=1", *more,
    ]  # fmt: skip


def fitted(world: Path, *more: str) -> Artefact:
    """What ``neuroattn encode`` makes of these words, in this process."""
    return run_stage("encode", compose(words(world, *more)))


def also(world: Path) -> str:
    return f"encoder.also.other=backbone.file={world / 'other.npy'}"


BANDED = ("encoder=banded_ridge", "encoder.n_alphas=5", "encoder.candidates=8")
ATTENTION = (
    "encoder=attention", "encoder.queries=one", "encoder.heads=1", "encoder.hidden=0",
    "encoder.norm=none", "encoder.dropout=0", "encoder.mix=per_target", "encoder.place=free",
    "encoder.training.epochs=20", "encoder.training.optimiser.lr=3e-2",
)  # fmt: skip


@pytest.mark.parametrize(("readout", "share"), [(BANDED, "share"), (ATTENTION, "mix")])
def test_each_target_is_found_in_the_backbone_that_it_was_made_of(
    world: Path, readout: tuple[str, ...], share: str
) -> None:
    artefact = fitted(world, *readout, also(world))
    scores = artefact.table("scores.tsv")
    assert (scores["r"] > 0.8).all()
    own, other = scores[f"{share}_array"], scores[f"{share}_other:array"]
    np.testing.assert_allclose(own + other, 1, atol=1e-6)
    assert (own[FROM_OWN] > 0.75).all()
    assert (other[~FROM_OWN] > 0.75).all()
    label = artefact.inputs["features/other"]["label"]
    assert f"it was given other ({label})" in artefact.methods


def test_one_backbone_alone_fails_on_what_it_does_not_hold(world: Path) -> None:
    one = (*BANDED, also(world), "encoder.layers=[other:array]")
    r = fitted(world, *one).table("scores.tsv")["r"]
    assert (r[~FROM_OWN] > 0.8).all()
    assert (r[FROM_OWN] < 0.4).all()


def test_what_was_made_elsewhere_is_a_parent_and_must_be_of_the_same_pictures(
    world: Path, tiny_data: Path, tiny_root: Path
) -> None:
    artefact = fitted(world, *BANDED, also(world))
    parents = artefact.inputs
    assert set(parents) == {"prepare", "features", "features/other"}
    again = fitted(world, *BANDED, f"encoder.also.other={parents['features/other']['label']}")
    assert again.folder == artefact.folder, "a reference and overrides name the same"
    foreign = node("features", tiny_data, tiny_root).folder
    ran = command("encode", *words(world, *BANDED, f"encoder.also.other={foreign}"))
    assert ran.code != 0
    assert "the features other are of other images" in ran.err
    assert "136 missing" in ran.err


def test_pixels_lead_through_all_backbones(tiny_data: Path, all_root: Path) -> None:
    more = (
        "encoder.also.gabor=backbone=gabor backbone.layers=[pyramid] backbone.frequencies=[2,4]",
    )
    line = tiny_words("predict", tiny_data, all_root, *more, "predict.fold=0")[1:]
    predict = run_stage("predict", compose(line))
    encode = Artefact(all_root / "encode" / predict.inputs["encode"]["label"])
    with predict.hdf5("predictions.h5") as file:
        shown = file["predicted"][:]
    with encode.hdf5("predictions.h5") as file:
        rows = file["test/fold"][:] == 0
        stored, images = file["test/predicted"][:][rows], file["test/image"][:][rows]
    # Features are stored in half precision.
    np.testing.assert_allclose(shown[images], stored, atol=0.05 * stored.std())
    encoder = neuroattn.load_encoder(encode.folder, fold=0, device="cpu")
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    encoder.activation(picture, [0]).sum().backward()
    assert picture.grad is not None
    assert bool(picture.grad.abs().sum() > 0)
