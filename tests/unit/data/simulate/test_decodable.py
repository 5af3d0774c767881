"""What is planted can be seen: a linear probe on a real network's features finds it.

Trained on scenes of the seen pool, tested on the unseen one, so that recognising an exemplar
does not help. The probe is told where the thing is; finding it is the encoder's business.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import adaptive_avg_pool2d

from neuroattn.data.simulate.compose import scenes
from neuroattn.data.simulate.scene import CATEGORIES, Pool
from neuroattn.features.efficientnet_lite import EfficientNetLiteBackbone, build
from neuroattn.features.registry import EfficientNetLiteConfig

LAYER = "blocks.10"
NAMES = ("tint_red", "tint_yellow", "size", "contrast")
Floats = NDArray[np.float32]


@torch.inference_mode()
def _features(
    backbone: EfficientNetLiteBackbone, pool: Pool, count: int
) -> tuple[Floats, list[str], Floats, Floats, list[str]]:
    """Masked features, categories and attributes by thing; mean features and places by scene."""
    masked, kinds, values, mean, places = [], [], [], [], []
    for scene in scenes(count, seed=5, side=128, pool=pool):
        pixels = torch.from_numpy(scene.pixels).permute(2, 0, 1)[None].float() / 255
        maps = backbone.maps(pixels, (LAYER,))[LAYER][0].float()
        mean.append(maps.mean((1, 2)).numpy())
        places.append(scene.background)
        for thing in scene.things:
            weight = adaptive_avg_pool2d(torch.from_numpy(thing.mask)[None], maps.shape[1:])[0]
            masked.append(((maps * weight).sum((1, 2)) / weight.sum()).numpy())
            kinds.append(thing.category)
            values.append([thing.attributes[name] for name in NAMES])
    return np.stack(masked), kinds, np.array(values, np.float32), np.stack(mean), places


@pytest.mark.slow
def test_categories_attributes_and_places_are_decodable_on_held_out_exemplars() -> None:
    config = EfficientNetLiteConfig(layers=[LAYER], image_size=128)
    backbone = build(config, torch.device("cpu"))
    things, kinds, values, pictures, places = _features(backbone, Pool.seen, 220)
    new_things, new_kinds, new_values, new_pictures, new_places = _features(
        backbone, Pool.unseen, 110
    )
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=500))
    found = probe.fit(things, kinds).predict(new_things)
    hits = found == np.array(new_kinds)
    assert hits.mean() > 0.65  # chance is 1/6
    for category in CATEGORIES:
        assert hits[np.array(new_kinds) == category].mean() > 0.35, category
    assert probe.fit(pictures, places).score(new_pictures, new_places) > 0.85
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 8))).fit(things, values)
    guessed = ridge.predict(new_things)
    for index, name in enumerate(NAMES):
        found_r = np.corrcoef(guessed[:, index], new_values[:, index])[0, 1]
        assert found_r > 0.45, name
