"""Stage ``predict``: responses that a fitted encoder predicts to any folder of pictures.

Pictures go through the same decoding, the same 8-bit resize and the same network as those of
the dataset. The mean over the folds' models is predicted unless one fold is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.core.tables import IMAGES
from neuroattn.data.arrays_files import PICTURE_SUFFIXES
from neuroattn.data.pictures import decode
from neuroattn.encoding.encoder import Encoder, load_encoder
from neuroattn.encoding.registry import PredictConfig
from neuroattn.features.images import fit_picture

FILE = "predictions.h5"


def leaves(config: Any) -> Mapping[str, Path]:
    """The pictures by name, from the root config.

    Raises
    ------
    ConfigError : ``predict.images`` is not set.
    DataError : the folder holds no picture.
    """
    return {f"images/{path.name}": path for path in pictures_in(config.predict.images)}


def pictures_in(folder: str | None) -> list[Path]:
    """Pictures of a folder, by name; files of other kinds are passed over.

    Raises as `leaves`.
    """
    if not folder or not Path(folder).expanduser().is_dir():
        raise ConfigError(
            "which pictures to predict for is not set",
            expected="a folder of pictures",
            found=folder or "predict.images is not set",
            fix="set predict.images=FOLDER",
        )
    root = Path(folder).expanduser()
    found = sorted(
        path
        for path in root.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise DataError(
            "the folder holds no picture", file=root, expected=", ".join(sorted(PICTURE_SUFFIXES)),
            found="none of these", fix="correct predict.images=FOLDER",
        )  # fmt: skip
    return found


def run(context: StageContext) -> StageResult:
    """Write ``predictions.h5`` (/predicted (images, targets)), ``images.tsv``, ``targets.tsv``.

    Raises
    ------
    DataError : a picture cannot be decoded.
    ArtefactError, ConfigError : the encoder cannot be loaded.
    """
    options = context.section("predict", PredictConfig)
    runtime = context.section("runtime", RuntimeConfig)
    encode = context.parents["encode"]
    encoder = load_encoder(encode.folder, fold=options.fold, device=runtime.device.value)
    files = pictures_in(options.images)
    described = context.parents["prepare"].json("dataset.json")
    with (
        context.out.hdf5(FILE) as file,
        context.progress("predict, pictures", len(files)) as progress,
    ):
        shape = (len(files), len(encoder.targets))
        attributes = {"units": described["units"], "simulated": bool(described["simulated"])}
        table = add_dataset(file, "predicted", shape=shape, dtype=np.float32, attributes=attributes)
        group = encoder.backbone.group
        for start in range(0, len(files), group):
            part = files[start : start + group]
            table[start : start + len(part)] = predict(encoder, part)
            progress.advance(len(part))
    context.out.table("images.tsv", _image_table(files))
    context.out.table("targets.tsv", encoder.targets)
    return StageResult(
        metrics={"images": float(len(files)), "targets": float(len(encoder.targets))},
        methods=f"Responses to {len(files)} pictures were predicted by {encode.label}.",
    )


def predict(encoder: Encoder, files: list[Path]) -> NDArray[np.float32]:
    """Predicted responses (pictures, targets) to pictures as they stand in files."""
    config = encoder.backbone.config
    fitted = [
        fit_picture(
            decode(path),
            config.image_size,
            config.resize,
            config.interpolation,
            config.crop_fraction,
        )
        for path in files
    ]
    pixels = torch.from_numpy(np.stack(fitted)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        out: NDArray[np.float32] = encoder(pixels).cpu().numpy()
    return out


def _image_table(files: list[Path]) -> pd.DataFrame:
    rows = {
        "image": range(len(files)),
        "file": [path.name for path in files],
        "sha256": [file_digest(path) for path in files],
        "source": "",
    }
    return pd.DataFrame(rows)[list(IMAGES)]
