"""Where the files of a pretrained model stand: a local folder, or the hub's cache.

Nothing is downloaded here. A model that is not on this machine is one error with the command
that fetches it, so a run never depends on a network. Digests of the files enter the
fingerprint, whatever the revision was called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.features.registry import HubConfig

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
OPEN_CLIP = "open_clip_config.json"
WEIGHTS = "*.safetensors"


def leaves(backbone: HubConfig) -> Mapping[str, Path]:
    """Files that decide what the model computes, by stable name.

    Raises
    ------
    MissingDataError : the model is not on this machine, or lacks a file.
    """
    folder = find_folder(backbone)
    files = [folder / CONFIG, *sorted(folder.glob(WEIGHTS))]
    if (folder / PREPROCESSOR).is_file():
        files.append(folder / PREPROCESSOR)
    return {f"{backbone.name}/{path.name}": path for path in files}


def open_clip_leaves(backbone: HubConfig) -> Mapping[str, Path]:
    """Files that decide what a model of open_clip computes, by stable name.

    Raises
    ------
    MissingDataError : the model is not on this machine, or lacks a file.
    """
    folder = find_folder(backbone, OPEN_CLIP)
    files = (folder / OPEN_CLIP, weights_file(folder, "open_clip_model.safetensors"))
    return {f"{backbone.name}/{path.name}": path for path in files}


def weights_file(folder: Path, usual: str = "model.safetensors") -> Path:
    """The one file of weights in a model's folder: the usual one, or the only one.

    Raises
    ------
    DataError : there are several, and none is the usual one.
    """
    found = sorted(folder.glob(WEIGHTS))
    if (folder / usual) in found or len(found) == 1:
        return folder / usual if (folder / usual) in found else found[0]
    raise DataError(
        "it is not clear which file holds the weights",
        file=folder,
        expected=usual,
        found=", ".join(path.name for path in found) or "none",
        fix="leave one file of safetensors in the folder",
    )


def find_folder(backbone: HubConfig, config: str = CONFIG) -> Path:
    """The folder with the model's configuration and weights.

    Parameters
    ----------
    config : name of the file that describes the network.

    Raises
    ------
    MissingDataError : it is not on this machine.
    DataError : it holds no safetensors; other formats could hold code.
    """
    named = user_path(backbone.model)
    folder = named if named.is_dir() else cached(backbone.model, backbone.revision, "backbone")
    if not (folder / config).is_file():
        raise MissingDataError(
            "this folder holds no pretrained model",
            file=folder,
            expected=config,
            fix=f"set backbone.model to a hub id, or to a folder with {config} and safetensors",
        )
    if not any(folder.glob(WEIGHTS)):
        raise DataError(
            "the model has no safetensors",
            file=folder,
            expected=WEIGHTS,
            found=", ".join(sorted(path.name for path in folder.iterdir())) or "nothing",
            fix="save it again with save_pretrained; pickled weights are not read",
        )
    return folder


def cached(model: str, revision: str | None, group: str, key: str = "model") -> Path:
    """The folder of a hub id in this machine's cache.

    Parameters
    ----------
    group, key : where the id was set, for the error: ``backbone.model``.

    Raises
    ------
    MissingDataError : it is not there.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        named = f" --revision {revision}" if revision else ""
        fetch = f"run: hf download {model}{named}   (or set {group}.{key}=FOLDER)"
        is_path = isinstance(error, HFValidationError) or model.startswith(("/", ".", "~"))
        raise MissingDataError(
            f"the model {model} is not on this machine",
            expected="a local folder, or a model in the hub's cache",
            found="neither",
            fix=f"correct {group}.{key}=FOLDER" if is_path else fetch,
        ) from error
