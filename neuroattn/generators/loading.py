"""Finding a model: an embedded one by its name, any by its folder; nothing is ever fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.files import read_json_input
from neuroattn.generators.cards import CARD, EMBEDDED, how_to_build, read_card
from neuroattn.generators.registry import MODELS

_DECISIVE = (".json", ".safetensors", ".txt", ".model")


def load(model: str | Path, device: str = "cpu") -> Any:
    """A model by name or folder, frozen, in evaluation mode.

    Parameters
    ----------
    model : ``referee``, ``space``, ``captioner``, ``autoencoder``, ``tiny_autoencoder`` or
        ``generator``; or a folder: one of ours, a CLIP of transformers, or the parts of a
        latent diffusion model of diffusers.

    Raises
    ------
    MissingDataError : it is not there; the message says how to build it.
    ArtefactError : a file has other bytes than its card says.
    DataError : nobody knows this kind of folder.
    """
    import torch

    place, folder = torch.device(device), find(model)
    if (not isinstance(model, Path) and model in MODELS) or (folder / CARD).is_file():
        card = read_card(folder)
        return MODELS.load(card["model"]).read(folder, place)
    if (folder / "model_index.json").is_file():
        from neuroattn.generators.sampling import read_parts

        return read_parts(folder, place)
    if _model_type(folder) == "clip":
        from neuroattn.generators.clip import read_clip

        return read_clip(folder, place)
    raise DataError(
        "this folder holds no model that is known here",
        file=folder,
        expected=f"{CARD}, model_index.json, or config.json with model_type clip",
        found=_model_type(folder) or "none of them",
        fix=f"name a folder of such a model, or one of {', '.join(MODELS)}",
    )


def find(model: str | Path) -> Path:
    """Folder of a model: that of an embedded one, or the one that is named."""
    if not isinstance(model, Path) and model in MODELS:
        return EMBEDDED / model
    return user_path(model)


def files_of(model: str | Path) -> dict[str, Path]:
    """Files that decide what a model computes, by their names inside its folder.

    The card is none of them: scores and seconds of training change no result.

    Raises
    ------
    MissingDataError : it is not there.
    """
    folder = find(model)
    files = sorted(
        path for path in folder.rglob("*") if path.suffix in _DECISIVE and path.name != CARD
    )
    if not files:
        raise MissingDataError(
            "there is no model here",
            file=folder,
            expected="configuration and safetensors",
            found="none of them" if folder.is_dir() else "no folder",
            fix=_remedy(folder),
        )
    return {path.relative_to(folder).as_posix(): path for path in files}


def _remedy(folder: Path) -> str:
    if folder.name in MODELS:
        return f"{how_to_build(folder)}, or name another folder"
    return "correct the folder, or name a model that ships (docs/models.md)"


def space_leaves(backbone: Any) -> dict[str, Path]:
    """Files of the space that is a backbone, by stable name; raises as `files_of`."""
    return {f"{backbone.name}/{name}": path for name, path in files_of(backbone.model).items()}


def _model_type(folder: Path) -> str:
    file = folder / "config.json"
    return str(read_json_input(file).get("model_type", "")) if file.is_file() else ""
