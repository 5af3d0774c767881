from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from neuroattn.core.errors import ArtefactError
from neuroattn.training.weights import (
    put_weights,
    read_weights,
    shape_differences,
    weights_of,
    write_weights,
)

from .training_toy import digest, toy_model


def test_weights_survive_a_file_bit_by_bit(tmp_path: Path) -> None:
    source, target = toy_model(seed=1), toy_model(seed=2)
    write_weights(tmp_path / "w.safetensors", weights_of(source))
    put_weights(target, read_weights(tmp_path / "w.safetensors"), tmp_path)
    assert digest(target.state_dict()) == digest(source.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_copies_do_not_follow_the_model() -> None:
    model = toy_model()
    weights = weights_of(model)
    with torch.no_grad():
        model.first.weight.zero_()
    assert weights["first.weight"].abs().sum() > 0


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    write_weights(tmp_path / "w.safetensors", weights_of(model))
    put_weights(model, read_weights(tmp_path / "w.safetensors"), tmp_path)
    assert model[1].weight is model[0].weight


def test_weights_of_another_shape_give_one_clear_error(tmp_path: Path) -> None:
    model = toy_model(width=8)
    before = digest(model.state_dict())
    with pytest.raises(ArtefactError, match="belong to another model") as caught:
        put_weights(model, weights_of(toy_model(width=9)), tmp_path / "w.safetensors")
    assert caught.value.found == (
        "first.bias is (9,), the model has (8,); first.weight is (9, 6), the model has (8, 6); "
        "last.weight is (3, 9), the model has (3, 8); norm.bias is (9,), the model has (8,); "
        "and 3 more"
    )
    assert digest(model.state_dict()) == before


def test_missing_and_unknown_tensors_are_told_apart() -> None:
    assert shape_differences({"a": (1,), "b": (2,)}, {"b": (2,), "c": ()}) == [
        "a is missing",
        "c is unknown to the model",
    ]


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "text"])
def test_an_unreadable_file_is_an_artefact_error(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "w.safetensors"
    write_weights(file, weights_of(toy_model()))
    content = file.read_bytes()
    match damage:
        case "absent":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "cut":
            file.write_bytes(content[:-10])
        case _:
            file.write_text("<html>not found</html>")
    with pytest.raises(ArtefactError, match="cannot be read") as caught:
        read_weights(file)
    assert caught.value.file == str(file)
