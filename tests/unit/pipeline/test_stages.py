"""The catalogue: the rooms' own registries, and names that are one thing."""

from __future__ import annotations

import pytest

from neuroattn.cli.main import VERBS
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Entry, load
from neuroattn.data.registry import DATASETS
from neuroattn.encoding.registry import ENCODERS, RidgeConfig
from neuroattn.features.registry import BACKBONES
from neuroattn.pipeline import plugins
from neuroattn.pipeline.stages import ROOMS, catalogue, stage_named
from tests.unit.pipeline.toys import stage


def test_the_registries_are_those_that_the_rooms_read() -> None:
    registries = catalogue().registries
    assert registries["encoder"] is ENCODERS
    assert registries["backbone"] is BACKBONES
    assert registries["dataset"] is DATASETS


def test_stages_have_their_own_names_and_code() -> None:
    declared = [stage.name for room in ROOMS for stage in room.STAGES]
    assert len(set(declared)) == len(declared)
    for name in declared:
        assert callable(load(stage_named(name).run))


def test_no_stage_is_a_verb() -> None:
    assert set(VERBS) <= set(plugins.VERBS)
    assert not set(catalogue().stages) & set(plugins.VERBS)


def test_parents_of_every_stage_exist() -> None:
    from neuroattn.pipeline.config import RootConfig

    for declared in catalogue().stages.values():
        assert set(declared.parents(RootConfig())) <= set(catalogue().stages)


def test_an_unknown_stage_is_told_the_others() -> None:
    with pytest.raises(ConfigError, match="there is no stage 'encod'") as caught:
        stage_named("encod")
    assert "encode" in str(caught.value.expected)


def test_taken_names_and_unknown_groups_are_refused() -> None:
    with pytest.raises(ConfigError, match="registered twice"):
        catalogue().add("encoder", "ridge", Entry(RidgeConfig, "mine:Ridge"))
    with pytest.raises(ConfigError, match="registered twice"):
        catalogue().add_stage(stage("encode"))
    with pytest.raises(ConfigError, match="there is no config group 'encodr'"):
        catalogue().add("encodr", "mine", Entry(RidgeConfig, "mine:Ridge"))
    assert ENCODERS["ridge"].target != "mine:Ridge"
