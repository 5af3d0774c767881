"""Fitted encoders as guides: pixels in, the value of an objective out, with a gradient.

Size, colours' mean and deviation, resampling: all of it is the encoder's own, because its
backbone does it (`neuroattn.features.backbones`). A guide gets plain pixels in [0, 1] and hands
back single precision, whatever the generator computes in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.artefact import Artefact
from neuroattn.core.config import restore
from neuroattn.core.errors import ArtefactError, ConfigError, DataError
from neuroattn.encoding.attention_readout import AttentionModel
from neuroattn.encoding.encoder import Encoder, SideBySide, Widened, load_encoder, selected
from neuroattn.encoding.queries import Free, Own
from neuroattn.encoding.readout import DESCRIPTION, read_model
from neuroattn.encoding.registry import ENCODERS, EncoderConfig
from neuroattn.encoding.ridge import RidgeModule
from neuroattn.synthesis.objectives import Facts, Objective

Pictures = UInt8[np.ndarray, "images height width 3"]
BATCH = 16  # pictures whose activations are computed at a time
_TRIED = 64  # pixels of the picture on which a guide is tried


@dataclass(frozen=True, eq=False)
class Source:
    """An encoder, the artefact that it is from, and what objectives are resolved on."""

    encoder: Encoder
    artefact: Artefact
    facts: Facts


class Guide:
    """The mean over encoders of an objective's value.

    Parameters
    ----------
    encoders, objectives : as many of each; an objective on each encoder's own targets.
    """

    def __init__(self, encoders: Sequence[Encoder], objectives: Sequence[Objective]) -> None:
        self.pairs = list(zip(encoders, objectives, strict=True))

    def __call__(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, " images"]:
        """Value for pixels in [0, 1] of any size."""
        pixels = pixels.float()
        values = [objective(encoder(pixels)) for encoder, objective in self.pairs]
        return torch.stack(values).mean(0)


def activations(pictures: NDArray[np.uint8], encoder: Encoder) -> NDArray[np.float32]:
    """Predicted responses (images, targets) to pictures (images, height, width, 3) of 8 bits.

    Raises
    ------
    DataError : these are no 8-bit colour pictures.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3:
        raise DataError(
            "an encoder scores 8-bit colour pictures, and normalises them itself",
            expected="(images, height, width, 3) of uint8",
            found=f"{pictures.shape} of {pictures.dtype}",
            fix="hand over pixels from 0 to 255",
        )
    parts = [np.empty((0, len(encoder.targets)), dtype=np.float32)]
    for start in range(0, len(pictures), BATCH):
        block = torch.from_numpy(np.ascontiguousarray(pictures[start : start + BATCH]))
        with torch.no_grad():
            parts.append(encoder(block.permute(0, 3, 1, 2).float() / 255).cpu().numpy())
    return np.concatenate(parts)


def read_source(
    artefact: Artefact, fold: int | None, device: str, directions: Mapping[str, Path]
) -> Source:
    """The encoder of an ``encode`` artefact, tried once.

    Raises
    ------
    ArtefactError, ConfigError : it cannot be loaded, is not whole, or has no gradient.
    """
    if not any(name.endswith(f"/{DESCRIPTION}") for name in artefact.files):
        raise ArtefactError(
            "this artefact keeps no fitted encoder", file=artefact.folder,
            expected=f"fold-<k>/{DESCRIPTION}", found="predictions alone",
            fix="guide by a single encoder, not by what was made of several",
        )  # fmt: skip
    encoder = load_encoder(artefact.folder, fold=fold, device=device)
    check_gradient(encoder, artefact.label)
    facts = Facts(
        targets=encoder.targets,
        fitted=encoder.fitted,
        predicted=lambda: test_predictions(artefact),
        profiles=lambda: profiles(encoder, artefact),
        parcels=lambda: parcels(artefact, encoder.targets, fold),
        directions=directions,
    )
    return Source(encoder, artefact, facts)


def check_gradient(encoder: Encoder, label: str) -> None:
    """Refuse an encoder that does not lead from pixels to responses and back.

    Raises
    ------
    ArtefactError : readout and backbone do not fit: another picture size, layers or tokens.
    ConfigError : no gradient comes back, or none that is finite.
    """
    pixels = torch.full((1, 3, _TRIED, _TRIED), 0.5, device=encoder.backbone.device)
    pixels = pixels + torch.linspace(-0.2, 0.2, _TRIED, device=pixels.device)
    pixels.requires_grad_()
    try:
        found: Tensor = encoder(pixels)
        (gradient,) = torch.autograd.grad(found.sum(), pixels, allow_unused=True)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"the encoder {label} does not fit the backbone that it is loaded with",
            expected="picture size, layers and pooling as it was fitted with",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="keep the features artefact beside it, or fit it again with this backbone",
        ) from error
    if gradient is None or not torch.isfinite(gradient).all():
        raise ConfigError(
            f"the encoder {label} has no gradient for pixels",
            expected="a backbone that reads pictures, differentiable",
            found="none" if gradient is None else "numbers that are not finite",
            fix="guide by an encoder on a network's features",
        )


def test_predictions(artefact: Artefact) -> NDArray[np.float32]:
    """Responses (images, targets) predicted to test pictures; NaN where a subject saw none."""
    with artefact.hdf5("predictions.h5") as file:
        found: NDArray[np.float32] = np.asarray(file["/test/predicted"][:], dtype=np.float32)
    return found


def profiles(encoder: Encoder, artefact: Artefact) -> NDArray[np.float32]:
    """By what targets are alike (targets, _): their weights where they are linear in the tokens.

    Of any other readout, their predicted responses to the test pictures, centred.
    """
    readout = encoder.readouts[0]
    each = readout.readouts if isinstance(readout, SideBySide) else [readout]  # of each subject
    found = [_weights(one) for one in each]
    weights = [one for one in found if one is not None]
    if len(weights) == len(found):
        return np.concatenate(weights)
    predicted = test_predictions(artefact)[:, encoder.fitted]
    centred = np.nan_to_num(predicted - np.nanmean(predicted, 0))
    return _spread(centred.T, encoder.fitted)


def _weights(readout: nn.Module) -> NDArray[np.float32] | None:
    """Weights (targets, _) of a readout that is linear in the tokens; None of any other."""
    if isinstance(readout, Widened):
        own = _weights(readout.readout)
        there = np.isin(np.arange(readout.targets), readout.get_buffer("columns").cpu().numpy())
        return None if own is None else _spread(own, there)
    if not isinstance(readout, RidgeModule):
        return None
    names = [f"weight{index}" for index in range(len(readout.layers))]
    table = np.concatenate([readout.get_buffer(name).cpu().numpy() for name in names]).T
    return table.astype(np.float32)


def _spread(rows: NDArray[np.floating], there: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rows of those targets that are there, among all; zeros for the others."""
    table = np.zeros((len(there), rows.shape[1]), dtype=np.float32)
    table[there] = rows
    return table


def parcels(
    artefact: Artefact, targets: pd.DataFrame, fold: int | None
) -> dict[str, NDArray[np.int64]]:
    """Attention query -> the targets that read it, of all subjects; empty for other readouts.

    Parameters
    ----------
    targets : the encoder's, whose rows are meant; a model knows those of its own subject.
    fold : whose models are asked; None is the first, as parcels of responses are each fold's own.
    """
    section = artefact.config["encoder"]
    config: EncoderConfig = restore(ENCODERS[section["name"]].schema, section)
    subjects = targets["subject"].astype(str).to_numpy()
    folders = [name.partition("/")[0] for name in artefact.files if name.endswith(DESCRIPTION)]
    parts = [folder.split("-", 2)[1:] for folder in folders]  # fold-0, or fold-0-subj01
    asked = min(int(part[0]) for part in parts) if fold is None else fold
    found: dict[str, NDArray[np.int64]] = {}
    for folder, (number, *subject) in zip(folders, parts, strict=True):
        if int(number) != asked:
            continue
        model = read_model(config, artefact, folder)
        if not isinstance(model, AttentionModel) or isinstance(model.asked, Free):
            return {}
        table = model.asked.shown if isinstance(model.asked, Own) else model.asked
        rows = np.flatnonzero(subjects == subject[0]) if subject else np.arange(len(targets))
        chosen = selected(artefact, folder)
        rows = rows if chosen is None else rows[chosen]
        for query in table.names:
            own = rows[table.targets_of(query)]
            found[query] = np.union1d(found.get(query, own), own)
    return found


def trained_on(artefact: Artefact, fold: int | None) -> set[int]:
    """Pictures that a fold's model was fitted on; any fold's, if none is named."""
    table = artefact.table("folds.tsv")
    own = (table["side"] == "train") & ((table["fold"] == fold) | (fold is None))
    return set(table.loc[own, "image"].astype(int))
