"""Where the files of a pretrained model stand: a local folder, or the hub's cache.

Nothing is downloaded here. A model that is not on this machine is one error with the command
that fetches it, so a run never depends on a network. Digests of the files enter the
fingerprint, whatever the revision was called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.features.registry import HubConfig

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
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


def find_folder(backbone: HubConfig) -> Path:
    """The folder with the model's configuration and weights.

    Raises
    ------
    MissingDataError : it is not on this machine.
    DataError : it holds no safetensors; other formats could hold code.
    """
    named = Path(backbone.model).expanduser()
    folder = named if named.is_dir() else _cached(backbone)
    if not (folder / CONFIG).is_file():
        raise MissingDataError(
            "this folder holds no pretrained model",
            file=folder,
            expected=CONFIG,
            fix="set backbone.model to a folder that save_pretrained wrote, or to a hub id",
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


def _cached(backbone: HubConfig) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(backbone.model, revision=backbone.revision, local_files_only=True)
        )
    except (LocalEntryNotFoundError, HFValidationError) as error:
        revision = f" --revision {backbone.revision}" if backbone.revision else ""
        raise MissingDataError(
            f"the model {backbone.model} is not on this machine",
            expected="a local folder, or a model in the hub's cache",
            found="neither",
            fix=f"run: hf download {backbone.model}{revision}   (or set backbone.model=FOLDER)",
        ) from error
