"""The folder of a pipeline of diffusers, read part by part and never from a network.

``model_index.json`` names the class of each part. Only classes of diffusers and transformers are
made, from JSON and safetensors: a folder can bring no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.data.files import read_json_input
from neuroattn.features.pretrained import read_network, read_part
from neuroattn.generators.library import diffusers, transformers
from neuroattn.generators.places import INDEX

_SETTINGS: Final = {
    "scheduler": "scheduler_config.json",
    "tokenizer": "tokenizer_config.json",
    "tokenizer_2": "tokenizer_config.json",
    "tokenizer_3": "tokenizer_config.json",
}


@dataclass(frozen=True)
class Folder:
    """A model's folder.

    Parameters
    ----------
    variant : of the files of weights, as ``fp16``; None takes the plain ones.
    dtype : precision of the networks that are not read with another.
    """

    path: Path
    device: torch.device
    dtype: torch.dtype = torch.float32
    variant: str | None = None

    @cached_property
    def index(self) -> dict[str, Any]:
        """What ``model_index.json`` says."""
        file = self.path / INDEX
        if not file.is_file():
            raise missing(file)
        found: dict[str, Any] = read_json_input(file)
        return found

    def has(self, part: str) -> bool:
        """Whether the model has this part, by its index."""
        entry = self.index.get(part)
        return isinstance(entry, list) and len(entry) == 2 and all(entry)

    def needs(self, part: str) -> Path:
        """The folder of a part.

        Raises
        ------
        MissingDataError : the model lacks it, or its configuration.
        """
        if not self.has(part):
            raise missing(self.path / part)
        file = self.path / part / _SETTINGS.get(part, "config.json")
        if not file.is_file():
            raise missing(file)
        return file.parent

    def config(self, part: str) -> dict[str, Any]:
        """Configuration of a part, without reading its weights."""
        found: dict[str, Any] = read_json_input(self.needs(part) / "config.json")
        return found

    def read(self, part: str, dtype: torch.dtype | None = None) -> Any:
        """A part of the class that the index names; networks on the CPU.

        Raises
        ------
        MissingDataError : it is not there.
        DataError : its class is not known, its files cannot be read, or they lack weights.
        """
        path = self.needs(part)
        library, name = self.index[part]
        kind = self._class(str(library), str(name), part)
        if part in _SETTINGS:
            return read_part(kind, path)
        given: dict[str, Any] = {"variant": self.variant}
        given["dtype" if library == "transformers" else "torch_dtype"] = dtype or self.dtype
        return read_network(kind, path, **given)

    def network(self, part: str, dtype: torch.dtype | None = None) -> Any:
        """A network, frozen, on its device."""
        return self.read(part, dtype).to(self.device).eval().requires_grad_(False)

    def _class(self, library: str, name: str, part: str) -> Any:
        modules = {"diffusers": diffusers, "transformers": transformers}
        found = getattr(modules[library](), name, None) if library in modules else None
        if found is None:
            raise DataError(
                f"the part {part} of the model is of a class that is not known",
                file=self.path / INDEX,
                expected="a class of diffusers or transformers",
                found=f"{library}.{name}",
                fix="take a model whose parts are classes of these libraries",
            )
        return found


def tiny_decoder(path: Path, device: torch.device) -> Any:
    """An ``AutoencoderTiny`` of its own folder, frozen, in single precision.

    Raises
    ------
    MissingDataError : there is none.
    DataError : its files cannot be read.
    """
    if not (path / "config.json").is_file():
        raise missing(path / "config.json")
    tiny = read_network(diffusers().AutoencoderTiny, path, torch_dtype=torch.float32)
    return tiny.to(device).eval().requires_grad_(False)


def missing(file: Path) -> MissingDataError:
    """A file that a whole model has."""
    return MissingDataError(
        "the model's folder is incomplete",
        file=file,
        expected=f"{INDEX}, and a folder for each part that it names",
        found="no such file",
        fix="copy the whole folder, or save it again with save_pretrained",
    )
