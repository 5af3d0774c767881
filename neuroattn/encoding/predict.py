"""Stage ``predict``: responses that a fitted encoder predicts to any pictures.

Pictures go through the same decoding, the same 8-bit resize and the same network as those of
the dataset. The mean over the folds' models is predicted unless one fold is chosen. Pictures
that stand in folders by category make a localiser in silico (`neuroattn.encoding.localiser`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.hdf5 import add_dataset, open_hdf5
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.core.tables import IMAGES, ROI_SEPARATOR
from neuroattn.data.localisers import contrasts, localisers_of
from neuroattn.data.prepared import Prepared
from neuroattn.encoding.encoder import Encoder, load_encoder
from neuroattn.encoding.localiser import SELECTIVITY, TABLE, Localiser, groups, summary
from neuroattn.encoding.pictures import Shown, pictures_in, scenes, shown_in
from neuroattn.encoding.registry import PredictConfig
from neuroattn.features.images import fit_picture
from neuroattn.features.registry import BackboneConfig

FILE = "predictions.h5"
_BLOCK = 4096  # targets
_TOLD = (
    " Selectivity in silico is the difference between the mean predicted responses to pictures of"
    " a category and to all others, in standard deviations of the measured responses, and Welch's t"
    " of it; it was compared over targets with the t values of the localiser ({draws} bootstrap"
    " draws of the pictures)."
)


def leaves(config: Any) -> Mapping[str, Path]:
    """The pictures by name, from the root config; none where scenes are composed.

    Raises
    ------
    ConfigError : ``predict.images`` is not set.
    DataError : the folder holds no picture.
    """
    if config.predict.scenes:
        return {}
    return {f"images/{name}": path for name, path in pictures_in(config.predict.images).items()}


def run(context: StageContext) -> StageResult:
    """Write ``predictions.h5`` (/predicted (images, targets)), ``images.tsv``, ``targets.tsv``.

    By category also ``selectivity.tsv`` (by target) and ``localiser.tsv`` (by contrast).

    Raises
    ------
    DataError : a picture cannot be decoded.
    ArtefactError, ConfigError : the encoder cannot be loaded.
    """
    options = context.section("predict", PredictConfig)
    runtime = context.section("runtime", RuntimeConfig)
    encode = context.parents["encode"]
    encoder = load_encoder(encode.folder, fold=options.fold, device=runtime.device.value)
    shown = scenes(options.scenes) if options.scenes else shown_in(pictures_in(options.images))
    _write(context, encoder, shown)
    context.out.table("images.tsv", _image_table(shown))
    context.out.table("targets.tsv", encoder.targets)
    figures = {"images": float(len(shown)), "targets": float(len(encoder.targets))}
    told = f"Responses to {len(shown)} pictures were predicted by {encode.label}."
    located = _located(context, options, encoder, shown)
    if located:
        told += _TOLD.format(draws=options.bootstraps)
    return StageResult(figures | located, told)


def _write(context: StageContext, encoder: Encoder, shown: Sequence[Shown]) -> None:
    described = context.parents["prepare"].json("dataset.json")
    attributes = {"units": described["units"], "simulated": bool(described["simulated"])}
    shape, group = (len(shown), len(encoder.targets)), encoder.backbone.group
    with (
        context.out.hdf5(FILE) as file,
        context.progress("predict, pictures", len(shown)) as progress,
    ):
        table = add_dataset(file, "predicted", shape=shape, dtype=np.float32, attributes=attributes)
        for start in range(0, len(shown), group):
            part = shown[start : start + group]
            table[start : start + len(part)] = predict(encoder, part)
            progress.advance(len(part))


def predict(encoder: Encoder, shown: Sequence[Shown]) -> NDArray[np.float32]:
    """Predicted responses (pictures, targets); NaN for targets that were not fitted."""
    pictures = [picture.read() for picture in shown]
    with torch.no_grad():
        tokens = encoder.tokens(lambda backbone: _fitted(pictures, backbone.config))
        out: NDArray[np.float32] = encoder.respond(tokens).cpu().numpy()
    return np.where(encoder.fitted, out, np.float32(np.nan))


def _fitted(pictures: Sequence[NDArray[np.uint8]], config: BackboneConfig) -> torch.Tensor:
    """Pixels (pictures, 3, side, side) in [0, 1] as a backbone was shown them for its features."""
    fitted = [
        fit_picture(
            picture, config.image_size, config.resize, config.interpolation, config.crop_fraction
        )
        for picture in pictures
    ]
    return torch.from_numpy(np.stack(fitted)).permute(0, 3, 1, 2).float() / 255


def _located(
    context: StageContext,
    options: PredictConfig,
    encoder: Encoder,
    shown: Sequence[Shown],
) -> dict[str, float]:
    """Write a localiser in silico, where the pictures have categories to contrast; its metrics."""
    found = groups([picture.categories for picture in shown])
    if not found:
        return {}
    maps = localisers_of(Prepared(context.parents["prepare"]))
    localiser = Localiser(
        contrasts=found,
        measured={} if maps is None else contrasts(maps),
        rois=encoder.targets["rois"].tolist(),
        spread=_spread(context.parents["encode"]),
        draws=options.bootstraps,
        seed=context.seed,
    )
    with open_hdf5(context.out.folder / FILE) as file:
        by_target, by_contrast = localiser.run(file["predicted"][:])
    columns = encoder.targets[["target", "rois", "hemisphere"]].reset_index(drop=True)
    context.out.table(SELECTIVITY, pd.concat([columns, by_target], axis=1))
    context.out.table(TABLE, by_contrast)
    return summary(by_contrast)


def _spread(encode: Artefact) -> NDArray[np.float64]:
    """Standard deviation (targets,) of the measured responses to the test images."""
    with encode.hdf5("predictions.h5") as file:
        table = file["test/measured"]
        parts = [
            np.nanstd(np.asarray(table[:, start : start + _BLOCK], dtype=np.float64), axis=0)
            for start in range(0, table.shape[1], _BLOCK)
        ]
    return np.concatenate(parts)


def _image_table(shown: Sequence[Shown]) -> pd.DataFrame:
    rows = {
        "image": range(len(shown)),
        "file": [picture.name for picture in shown],
        "sha256": [picture.digest() for picture in shown],
        "source": "",
    }
    names = [ROI_SEPARATOR.join(sorted(picture.categories)) for picture in shown]
    return pd.DataFrame(rows)[list(IMAGES)].assign(category=names)
