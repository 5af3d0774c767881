"""Weights as safetensors: written whole, read without executing, matched by name and shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from neuroattn.core.atomic import atomic_path, storage_errors
from neuroattn.core.errors import ArtefactError, StorageError

Weights = dict[str, Tensor]
_SHOWN = 4


def weights_of(model: nn.Module) -> Weights:
    """Copies of all parameters and persistent buffers, on the CPU.

    Tied parameters are copied once for each of their names, for safetensors refuses memory
    that is shared.
    """
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in model.state_dict().items()
    }


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what safetensors and torch raise on a full or closed disk into a `StorageError`."""
    try:
        with storage_errors(path):
            yield
    except (SafetensorError, RuntimeError) as error:
        raise StorageError(
            "cannot write the weights or the training state",
            file=path,
            found=str(error).splitlines()[0],
            fix="free some space, or set paths.root to another disk",
        ) from error


def write_weights(path: Path, weights: Weights) -> None:
    """Write ``weights`` to ``path`` atomically.

    Raises
    ------
    StorageError : the disk is full, read-only or closed to us.
    """
    with writing(path), atomic_path(path) as temporary:
        save_file(weights, temporary)


def read_weights(path: Path) -> Weights:
    """Weights that `write_weights` wrote, on the CPU.

    Raises
    ------
    ArtefactError : the file is missing, cut short, or no safetensors file.
    """
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ArtefactError(
            "the weights cannot be read",
            file=path,
            expected="a safetensors file",
            found=error,
            fix="delete the folder and run again",
        ) from error


def put_weights(model: nn.Module, weights: Weights, file: Path) -> None:
    """Copy ``weights`` into ``model``; ``file`` is where they came from.

    Raises
    ------
    ArtefactError : a name or a shape differs; the model is left as it was.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    differences = shape_differences(shapes, {n: tuple(w.shape) for n, w in weights.items()})
    if differences:
        more = len(differences) - _SHOWN
        raise ArtefactError(
            "the weights belong to another model",
            file=file,
            expected=f"the {len(shapes)} tensors of this {type(model).__name__}",
            found="; ".join(differences[:_SHOWN]) + (f"; and {more} more" if more > 0 else ""),
            fix="build the model with the configuration that stands beside the weights",
        )
    model.load_state_dict(weights)


def shape_differences(
    model: Mapping[str, tuple[int, ...]], file: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """One phrase for each tensor that is missing, unknown, or of another shape."""
    phrases = []
    for name in sorted(model.keys() | file.keys()):
        if name not in file:
            phrases.append(f"{name} is missing")
        elif name not in model:
            phrases.append(f"{name} is unknown to the model")
        elif model[name] != file[name]:
            phrases.append(f"{name} is {file[name]}, the model has {model[name]}")
    return phrases
