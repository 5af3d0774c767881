"""Pixels to responses: equal to the stored predictions, differentiable, by region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import neuroattn
from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ArtefactError, ConfigError
from neuroattn.data.arrays import ArraysDataset
from neuroattn.data.registry import ArraysConfig
from neuroattn.encoding.encoder import Encoder
from neuroattn.features.images import fit_picture
from neuroattn.pipeline.build import run_stage
from tests.chain import config


@pytest.fixture(scope="module")
def artefact(tiny_root: Path) -> Artefact:
    (folder,) = (tiny_root / "encode").iterdir()
    return Artefact(folder)


@pytest.fixture(scope="module")
def encoder(artefact: Artefact) -> Encoder:
    return neuroattn.load_encoder(artefact.folder, fold=0, device="cpu")


@pytest.fixture(scope="module")
def pixels(tiny_data: Path) -> torch.Tensor:
    dataset = ArraysDataset(ArraysConfig(root=str(tiny_data)))
    pictures = np.stack([dataset.stimuli.read(int(image)) for image in dataset.images["image"]])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def test_it_predicts_what_the_stage_predicted(
    encoder: Encoder, artefact: Artefact, pixels: torch.Tensor
) -> None:
    with artefact.hdf5("predictions.h5") as file:
        rows = file["test/fold"][:] == 0
        predicted, images = file["test/predicted"][:][rows], file["test/image"][:][rows]
    with torch.no_grad():
        # The stage resizes in 8 bits and stores halves; with few images that can be seen.
        side = encoder.backbone.config.image_size
        shown = [
            (255 * picture.permute(1, 2, 0)).round().byte().numpy() for picture in pixels[images]
        ]
        fitted = torch.from_numpy(np.stack([fit_picture(picture, side) for picture in shown]))
        tokens = encoder.backbone.tokens(fitted.permute(0, 3, 1, 2).float() / 255)
        halved = {layer: values.half().float() for layer, values in tokens.items()}
        found = encoder.readouts[0](halved).numpy()
        whole = encoder(pixels[images]).numpy()
    np.testing.assert_allclose(found, predicted, atol=0.05 * predicted.std())
    assert np.corrcoef(whole.ravel(), predicted.ravel())[0, 1] > 0.98


def test_all_folds_are_averaged(artefact: Artefact, encoder: Encoder, pixels: torch.Tensor) -> None:
    every = neuroattn.load_encoder(artefact.folder, device="cpu")
    assert len(every.readouts) > 1
    first = encoder(pixels[:2])
    assert torch.allclose(every.readouts[0](every.backbone.tokens(pixels[:2])), first, atol=1e-5)
    assert not torch.allclose(every(pixels[:2]), first, atol=1e-5)


def test_the_gradient_reaches_the_pixels(encoder: Encoder, pixels: torch.Tensor) -> None:
    region = encoder.targets["rois"].iloc[0].split("|")[0]
    picture = pixels[:1].clone().requires_grad_()
    encoder.activation(picture, region).sum().backward()
    assert picture.grad is not None
    step = 1e-3 * picture.grad / picture.grad.norm()
    with torch.no_grad():
        rise = encoder.activation(picture + step, region) - encoder.activation(picture, region)
    assert float(rise) == pytest.approx(float((step * picture.grad).sum()), rel=0.1)


def test_regions_indices_and_contrasts(encoder: Encoder) -> None:
    cell, side = encoder.targets[["rois", "hemisphere"]].iloc[0]
    region = cell.split("|")[0]
    inside = encoder.weights(region)
    assert float(inside.sum()) == pytest.approx(1)
    one_side = encoder.weights(f"{side}.{region}")
    assert set(torch.nonzero(one_side)[:, 0].tolist()) == set(
        np.flatnonzero(encoder.targets["hemisphere"] == side)
    ) & set(torch.nonzero(inside)[:, 0].tolist())
    assert encoder.weights([0, 2])[[0, 1, 2]].tolist() == [0.5, 0, 0.5]
    contrast = encoder.weights({region: 1, f"{side}.{region}": -1})
    torch.testing.assert_close(contrast, inside - one_side)


def test_what_does_not_exist_is_named(encoder: Encoder, artefact: Artefact) -> None:
    with pytest.raises(ConfigError, match="region PPX"):
        encoder.weights("PPX")
    with pytest.raises(ConfigError, match="no such targets"):
        encoder.weights([10_000])
    with pytest.raises(ArtefactError, match="no fold 99"):
        neuroattn.load_encoder(artefact.folder, fold=99)
    (prepare,) = (artefact.folder.parent.parent / "prepare").iterdir()
    with pytest.raises(ArtefactError, match="no encoder"):
        neuroattn.load_encoder(prepare)
    with pytest.raises(AttributeError, match="nothing"):
        _ = neuroattn.nothing


@pytest.fixture(scope="module")
def part(tiny_data: Path, all_root: Path) -> Artefact:
    """An encoder of the targets whose ceiling is high enough, half of them or so."""
    made = config("encode", tiny_data, all_root)
    made.dataset.ceiling.select = 0.65
    return run_stage("encode", made)


def test_targets_that_were_left_out_answer_nothing_and_belong_to_no_region(
    part: Artefact, pixels: torch.Tensor
) -> None:
    chosen = neuroattn.load_encoder(part.folder, fold=0, device="cpu")
    assert 0 < chosen.fitted.sum() < len(chosen.targets)
    shown = pixels[:2].clone().requires_grad_()
    found = chosen(shown)
    assert found.shape == (2, len(chosen.targets))
    assert (found[:, ~chosen.fitted] == 0).all()
    plain = chosen.readouts[0].readout(chosen.backbone.tokens(shown))
    assert torch.equal(found[:, chosen.fitted], plain)
    with part.hdf5("predictions.h5") as file:
        there = np.isfinite(file["test/predicted"][:][file["test/fold"][:] == 0]).all(0)
    np.testing.assert_array_equal(there, chosen.fitted)
    (own,) = np.flatnonzero(chosen.fitted)[:1]
    chosen.activation(shown, [int(own)]).sum().backward()
    assert shown.grad is not None
    assert shown.grad.abs().sum() > 0
    with pytest.raises(ConfigError, match="were not fitted"):
        chosen.activation(shown, [int(np.flatnonzero(~chosen.fitted)[0])])
    region = chosen.targets["rois"][int(own)].split("|")[0]
    weights = chosen.weights(region)
    assert float(weights.sum()) == pytest.approx(1)
    assert (weights[~chosen.fitted] == 0).all()


def test_several_folds_count_what_all_of_them_fitted(part: Artefact, pixels: torch.Tensor) -> None:
    each = [neuroattn.load_encoder(part.folder, fold=fold, device="cpu") for fold in (0, 1)]
    both = neuroattn.load_encoder(part.folder, device="cpu")
    np.testing.assert_array_equal(both.fitted, each[0].fitted & each[1].fitted)
    mean = (each[0](pixels[:2]) + each[1](pixels[:2])) / 2
    assert torch.allclose(both(pixels[:2])[:, both.fitted], mean[:, both.fitted], atol=1e-5)
