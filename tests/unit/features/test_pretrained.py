from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from neuroattn.core.errors import DataError
from neuroattn.features.pretrained import read_network, read_part
from tests.unit.features.spoiled import without
from tests.unit.generators.families.pipelines import clip, tokeniser, vae

FILES = {"vae": "diffusion_pytorch_model.safetensors", "text": "model.safetensors"}
MADE = {"vae": vae, "text": clip}
#: A file's names of today -> those of files that are still about.
OLDER = {
    "vae": lambda name: (
        name.replace("to_q", "query").replace("to_k", "key").replace("to_v", "value")
        .replace("to_out.0", "proj_attn")
    ),
    "text": lambda name: f"text_model.{name}",
}  # fmt: skip

both = pytest.mark.parametrize("kind", list(MADE))


def _same(first: nn.Module, second: nn.Module) -> bool:
    other = second.state_dict()
    return all(torch.equal(value, other[name]) for name, value in first.state_dict().items())


@both
def test_it_is_the_network_that_was_saved(kind: str, tmp_path: Path) -> None:
    made = MADE[kind]()
    made.save_pretrained(tmp_path)
    assert _same(read_network(type(made), tmp_path), made)


@both
def test_files_with_the_names_of_earlier_versions_are_whole(kind: str, tmp_path: Path) -> None:
    made = MADE[kind]()
    made.save_pretrained(tmp_path)
    weights = load_file(tmp_path / FILES[kind])
    older = {OLDER[kind](name): value for name, value in weights.items()}
    assert set(older) != set(weights)
    save_file(older, tmp_path / FILES[kind], metadata={"format": "pt"})
    assert _same(read_network(type(made), tmp_path), made)


@both
def test_weights_that_are_left_out_are_named_and_nothing_is_made_up(
    kind: str, tmp_path: Path
) -> None:
    made = MADE[kind]()
    made.save_pretrained(tmp_path)
    start = {"vae": "decoder.conv_out", "text": "encoder.layers.1"}[kind]
    without(tmp_path / FILES[kind], start)
    with pytest.raises(DataError, match="not whole") as caught:
        read_network(type(made), tmp_path)
    assert start in caught.value.found
    assert caught.value.file == str(tmp_path)
    names = [name.rpartition(".")[2] for name in made.state_dict()]
    assert read_network(type(made), tmp_path, spare=names) is not None


@both
def test_torn_files_are_one_error(kind: str, tmp_path: Path) -> None:
    made = MADE[kind]()
    made.save_pretrained(tmp_path)
    file = tmp_path / FILES[kind]
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(DataError, match=f"the {type(made).__name__} in this folder"):
        read_network(type(made), tmp_path)
    (tmp_path / "config.json").write_text('{"')
    with pytest.raises(DataError, match=f"the {type(made).__name__} in this folder"):
        read_network(type(made), tmp_path)


def test_parts_without_weights_are_read_or_refused(tmp_path: Path) -> None:
    words = tokeniser(tmp_path / "words")
    words.save_pretrained(tmp_path / "words")
    assert read_part(type(words), tmp_path / "words")("cat") == words("cat")
    diffusers.DDIMScheduler().save_pretrained(tmp_path / "noise")
    assert read_part(diffusers.DDIMScheduler, tmp_path / "noise").config.num_train_timesteps == 1000
    (tmp_path / "noise" / "scheduler_config.json").write_text("[")
    for folder in ("noise", "nowhere"):
        with pytest.raises(DataError, match="the DDIMScheduler in this folder"):
            read_part(diffusers.DDIMScheduler, tmp_path / folder)
