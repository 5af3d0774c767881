from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroattn.core.config import restore
from neuroattn.data.simulate.exemplars import UNSEEN_GROUPS, catalogue, pool_groups
from neuroattn.data.simulate.scene import CATEGORIES, Pool
from neuroattn.generators.registry import (
    MODELS,
    NearScenesConfig,
    RefereeScenesConfig,
    ScenesConfig,
)
from neuroattn.generators.scenes import SceneSource, Side, scene_set, scene_sets

CONFIG = ScenesConfig(small=6, large=4, held=4, chunk=4)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("scenes")


def test_sides_share_no_picture_and_no_unseen_source(cache) -> None:
    sets = {side: scene_sets(cache, side, CONFIG, 0) for side in Side}
    ids = [i for side in Side for one in sets[side] for i in one.ids.tolist()]
    assert len(set(ids)) == len(ids)
    pictures = [p.tobytes() for side in Side for one in sets[side] for p in one.pixels]
    assert len(set(pictures)) == len(pictures)
    for side in Side:
        for one in sets[side]:
            unseen = np.isin(one.group, UNSEEN_GROUPS)
            assert unseen.all() if side is Side.unseen else not unseen.any()


def test_the_judge_learns_from_sources_of_its_own_and_is_asked_of_those_of_the_others(
    cache,
) -> None:
    config = RefereeScenesConfig(small=6, large=0, near=4, held=4, chunk=4)
    for side in Side:
        for one in scene_sets(cache, side, config, 0):
            apart = np.isin(one.group, pool_groups(Pool.apart))
            assert not apart.any() if side is Side.unseen else apart.all()
            assert not np.isin(one.group, UNSEEN_GROUPS).any()
    shared = scene_set(cache, "small", Side.train, ScenesConfig(small=6, held=4, chunk=4), 0)
    own = scene_set(cache, "small", Side.train, config, 0)
    assert own.folder != shared.folder, "kept pictures of one are never read for the other"
    assert not np.array_equal(own.pixels, shared.pixels)


def test_the_truth_belongs_to_the_pictures(cache) -> None:
    one = scene_set(cache, "small", Side.train, CONFIG, 0)
    assert one.pixels.shape == (6, 64, 64, 3)
    kinds = {e.kind: e.category for e in catalogue()}
    for row in range(6):
        for number, category in enumerate(CATEGORIES):
            there = bool(one.presence[row, number])
            assert there == (one.kinds[row, number] != "")
            assert there == bool(np.any(one.attributes[row, number]))
            if there:
                assert kinds[one.kinds[row, number]] == category
                assert one.kinds[row, number] in one.captions[row, 0].lower()


def test_scenes_depend_on_the_seed_and_the_stream_alone(cache, tmp_path) -> None:
    one = scene_set(cache, "small", Side.train, CONFIG, 0)
    other_chunks = ScenesConfig(small=3, large=0, held=1, chunk=2)
    again = scene_set(tmp_path, "small", Side.train, other_chunks, 0)
    assert np.array_equal(one.pixels[:3], again.pixels)
    referee = ScenesConfig(small=3, large=0, held=1, stream="referee")
    assert not np.array_equal(
        scene_set(tmp_path, "small", Side.train, referee, 0).pixels, again.pixels
    )


def test_near_scenes_have_scores_and_numbers_of_their_own(cache) -> None:
    config = NearScenesConfig(small=2, large=2, near=2, held=2, chunk=4)
    found = scene_sets(cache, Side.train, config, 0)
    assert [one.called for one in found] == ["64", "160", "near"]
    assert len(set(np.concatenate([one.ids for one in found]).tolist())) == 6
    near = found[2]
    assert near.pixels.shape == (2, 64, 64, 3)
    assert (near.presence.sum(axis=1) == 1).all()
    assert len(scene_sets(cache, Side.train, CONFIG, 0)) == 2, "others draw none"


def test_the_referee_s_scenes_are_its_own() -> None:
    from neuroattn.generators.build import model_config

    streams = {name: model_config(name).scenes.stream for name in MODELS}
    assert [name for name, stream in streams.items() if stream == streams["referee"]] == ["referee"]
    assert model_config("referee").scenes.apart


def test_a_batch_mixes_layouts_at_one_size(cache) -> None:
    source = SceneSource(scene_sets(cache, Side.train, CONFIG, 0), 32)
    rows = np.array([9, 0, 6])
    batch = source.batch(rows, np.random.default_rng(0))
    assert batch["pixels"].shape == (3, 3, 32, 32)
    assert float(batch["pixels"].min()) >= 0
    assert float(batch["pixels"].max()) <= 1
    large = scene_set(cache, "large", Side.train, CONFIG, 0)
    assert torch.equal(batch["presence"][0], torch.tensor(large.presence[3].tolist()))
    alone = source.batch(rows[:1], np.random.default_rng(0))
    assert torch.equal(alone["pixels"][0], batch["pixels"][0])


def test_a_share_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        restore(ScenesConfig, {"held": 0})
