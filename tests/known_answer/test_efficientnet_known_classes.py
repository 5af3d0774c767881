"""EfficientNet-Lite0, 1 and 2 know what is on three photographs, and how sure they are.

The probabilities are those of an independent implementation of the network (the package
efficientnet-lite-pytorch 0.1.0) on the same pixels; ours agrees to 1e-5 in the logits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from skimage import data

from neuroattn.features import efficientnet_lite as module
from neuroattn.features.efficientnet_lite import EfficientNetLiteBackbone, build
from neuroattn.features.images import fit_picture
from neuroattn.features.registry import (
    EfficientNetLite1Config,
    EfficientNetLite2Config,
    EfficientNetLiteConfig,
    Interpolation,
    Resize,
)
from neuroattn.features.stage import unit_pixels

CPU = torch.device("cpu")
EGYPTIAN_CAT, ESPRESSO, TRIPOD = 285, 967, 872
KNOWN = {
    "chelsea": (EGYPTIAN_CAT, 0.7912),
    "coffee": (ESPRESSO, 0.8994),
    "camera": (TRIPOD, 0.9406),
}
MAPS = {
    "blocks.4": (40, 28, 28),
    "blocks.7": (80, 14, 14),
    "blocks.10": (112, 14, 14),
    "blocks.14": (192, 7, 7),
    "blocks.15": (320, 7, 7),
    "head": (1280, 7, 7),
}


@cache
def _backbone() -> EfficientNetLiteBackbone:
    return build(EfficientNetLiteConfig(), CPU)


# The judges, each at the size of its training: classes, and how sure they are.
JUDGES = {
    EfficientNetLite1Config: (0.7948, 0.6948, 0.7326),
    EfficientNetLite2Config: (0.7505, 0.8722, 0.7568),
}
JUDGES_MAPS = {"blocks.6": (30, 33), "blocks.10": (15, 17), "blocks.14": (15, 17)}


@cache
def _photographs() -> list[np.ndarray]:
    pictures = [np.asarray(getattr(data, name)()) for name in KNOWN]
    return [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in pictures]


@cache
def _pixels(resize: Resize, side: int = 224) -> torch.Tensor:
    return unit_pixels(np.stack([fit_picture(p, side, resize) for p in _photographs()]), CPU)


def _probabilities(resize: Resize = Resize.squash) -> torch.Tensor:
    with torch.inference_mode():
        return _backbone().logits(_pixels(resize)).softmax(dim=1)


def _is_known() -> bool:
    found = _probabilities()
    return all(
        int(row.argmax()) == label and abs(float(row[label]) - probability) < 2e-3
        for row, (label, probability) in zip(found, KNOWN.values(), strict=True)
    )


def test_cat_espresso_and_tripod_are_known() -> None:
    found = _probabilities()
    assert found.argmax(1).tolist() == [EGYPTIAN_CAT, ESPRESSO, TRIPOD]
    expected = [probability for _, probability in KNOWN.values()]
    assert found.max(1).values.tolist() == pytest.approx(expected, abs=2e-3)


def test_a_crop_shows_the_same_things() -> None:
    assert _probabilities(Resize.crop).argmax(1).tolist() == [EGYPTIAN_CAT, ESPRESSO, TRIPOD]


@pytest.mark.parametrize("schema", JUDGES)
def test_the_judges_know_them_too(schema: type[EfficientNetLiteConfig]) -> None:
    backbone = build(schema(), CPU)
    with torch.inference_mode():
        found = backbone.logits(_pixels(Resize.squash, schema().image_size)).softmax(dim=1)
    assert found.argmax(1).tolist() == [EGYPTIAN_CAT, ESPRESSO, TRIPOD]
    assert found.max(1).values.tolist() == pytest.approx(JUDGES[schema], abs=2e-3)
    place = list(JUDGES).index(schema)
    grids = {layer: backbone.native(layer).grid for layer in backbone.layers}
    assert grids == {layer: (sides[place],) * 2 for layer, sides in JUDGES_MAPS.items()}


@pytest.mark.parametrize("schema", JUDGES)
def test_the_published_evaluation_crop_shows_the_same_things(
    schema: type[EfficientNetLiteConfig],
) -> None:
    """Centre crop of side / (side + 32), bicubic: how these networks were tested."""
    side = schema().image_size
    keys = (side, Resize.crop, Interpolation.bicubic, side / (side + 32))
    pixels = unit_pixels(np.stack([fit_picture(p, *keys) for p in _photographs()]), CPU)
    with torch.inference_mode():
        found = build(schema(), CPU).logits(pixels)
    assert found.argmax(1).tolist() == [EGYPTIAN_CAT, ESPRESSO, TRIPOD]


def test_maps_have_the_published_shapes() -> None:
    with torch.inference_mode():
        maps = _backbone().maps(_pixels(Resize.squash)[:1], tuple(MAPS))
    assert {name: tuple(values.shape[1:]) for name, values in maps.items()} == MAPS


@pytest.mark.parametrize(
    ("centre", "scale"),
    [
        (127.0, 255.0),
        (0.0, 255.0),
        (0.449 * 255, 0.226 * 255),  # ImageNet's mean and deviation, averaged over colours
        (0.0, 128.0),
    ],
)
def test_other_preprocessing_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, centre: float, scale: float
) -> None:
    assert _is_known()
    monkeypatch.setattr(module, "PIXEL_CENTRE", centre)
    monkeypatch.setattr(module, "PIXEL_SCALE", scale)
    assert not _is_known()


def test_swapped_colours_would_be_noticed() -> None:
    with torch.inference_mode():
        swapped = _backbone().logits(_pixels(Resize.squash).flip(1)).softmax(dim=1)
    expected = [probability for _, probability in KNOWN.values()]
    assert swapped.max(1).values.tolist() != pytest.approx(expected, abs=2e-3)
