"""A fitted encoder from pixels to responses, differentiable all the way.

    encoder = neuroattn.load_encoder("outputs/encode/attention-1a2b3c4d")
    responses = encoder(pixels)                         # (images, targets), in measured units
    encoder.activation(pixels, "FFA-1").sum().backward()  # a gradient for every pixel

The same object predicts responses of new pictures, guides a generator, and serves anything else
that asks "what would this picture do to the brain".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.artefact import Artefact
from neuroattn.core.config import restore
from neuroattn.core.errors import ArtefactError, ConfigError
from neuroattn.core.tables import TARGETS, read_tsv, rois_of
from neuroattn.encoding.readout import DESCRIPTION, read_arrays, read_model
from neuroattn.encoding.registry import ENCODERS, EncoderConfig
from neuroattn.features.backbones import Backbone, choose_device
from neuroattn.features.joined import PARENT, further, layer_of
from neuroattn.features.registry import BACKBONES, BackboneConfig

Selection = str | Sequence[int] | Mapping[str, float]


class Encoder(nn.Module):
    """Pixels in, responses out.

    Parameters
    ----------
    backbone : the frozen network.
    readouts : one module per fold, tokens by layer to responses; their mean is returned.
    targets : one row per target (columns target, hemisphere, rois).
    also : further networks whose layers are read as ``name:layer``, by name.
    fitted : (targets,) whether every fold's model predicts a target, None for all; one that was
        left out when targets were selected (``dataset.ceiling.select``) answers 0.
    """

    def __init__(
        self,
        backbone: Backbone,
        readouts: Sequence[nn.Module],
        targets: pd.DataFrame,
        also: Mapping[str, Backbone] | None = None,
        fitted: NDArray[np.bool_] | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.targets, self.also = backbone, targets, dict(also or {})
        self.readouts = nn.ModuleList(readouts).to(backbone.device)
        self.fitted = np.ones(len(targets), dtype=bool) if fitted is None else fitted
        self.requires_grad_(False)
        self.eval()

    def forward(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses for pixels in [0, 1] of any size, in the units of the dataset.

        Resizing keeps its fractions here, so that it has a gradient; the stage ``features``
        rounds to 8 bits. Hand over pixels of the backbone's own size to see no difference.
        """
        return self.respond(self.tokens(lambda _backbone: pixels))

    def tokens(
        self, pixels: Callable[[Backbone], Float[Tensor, "images 3 _ _"]]
    ) -> dict[str, Float[Tensor, "images _ _"]]:
        """Tokens by layer; each backbone is asked for the pixels that it is to see."""
        tokens = dict(self.backbone.tokens(pixels(self.backbone)))
        for name, other in self.also.items():
            found = other.tokens(pixels(other))
            tokens |= {layer_of(name, layer): values for layer, values in found.items()}
        return tokens

    def respond(
        self, tokens: Mapping[str, Float[Tensor, "images _ _"]]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses for tokens by layer."""
        return torch.stack([readout(tokens) for readout in self.readouts]).mean(0)

    def activation(
        self, pixels: Float[Tensor, "images 3 height width"], targets: Selection
    ) -> Float[Tensor, " images"]:
        """Mean response over ``targets``, or a contrast between regions.

        Parameters
        ----------
        targets : a region (``"FFA-1"``, ``"lh.FFA-1"``), indices of targets, or weights of
            regions (``{"FFA-1": 1, "PPA": -1}``).
        """
        out: Tensor = self(pixels) @ self.weights(targets)
        return out

    def weights(self, targets: Selection) -> Float[Tensor, " targets"]:
        """Weight of each target in the mean or contrast that ``targets`` names.

        Raises
        ------
        ConfigError : a region or an index that does not exist.
        """
        if isinstance(targets, str):
            targets = {targets: 1.0}
        if isinstance(targets, Mapping):
            parts = [weight * self._region(name) for name, weight in targets.items()]
            total = np.sum(parts, axis=0)
        else:
            total = self._indices(list(targets))
        return torch.tensor(total, dtype=torch.float32, device=self.backbone.device)

    def _region(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        side, _, roi = name.partition(".") if name[:3] in ("lh.", "rh.") else ("", "", name)
        member = np.array([roi in rois_of(cell) for cell in self.targets["rois"]])
        if side:
            member &= (self.targets["hemisphere"] == side).to_numpy()
        member &= self.fitted
        if not member.any():
            cells = self.targets.loc[self.fitted, "rois"]
            known = sorted({roi for cell in cells for roi in rois_of(cell)})
            raise ConfigError(
                f"no fitted target is in the region {name}",
                expected=" | ".join(known) or "indices: this dataset names no regions",
                found=name,
                fix="name one of them, with lh. or rh. before it for one hemisphere",
            )
        share: np.ndarray[Any, np.dtype[np.float64]] = member / member.sum()
        return share

    def _indices(self, chosen: list[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
        count = len(self.targets)
        if not chosen or min(chosen) < 0 or max(chosen) >= count:
            raise ConfigError(
                "there are no such targets",
                expected=f"indices from 0 to {count - 1}",
                found=f"{chosen[:5]}",
                fix="take indices from the column target of targets.tsv",
            )
        if not self.fitted[chosen].all():
            raise ConfigError(
                "some of these targets were not fitted: dataset.ceiling.select left them out",
                expected="fitted targets",
                found=f"{int((~self.fitted[chosen]).sum())} that are not",
                fix="take others, or fit again with dataset.ceiling.select=null",
            )
        weights = np.zeros(count)
        weights[chosen] = 1 / len(chosen)
        return weights


def load_encoder(path: str | Path, *, fold: int | None = None, device: str = "auto") -> Encoder:
    """The fitted encoder of an ``encode`` artefact.

    Parameters
    ----------
    path : the artefact's folder.
    fold : one fold's model; None takes all and averages their responses.
    device : auto, cpu, cuda, …

    Raises
    ------
    ArtefactError : the folder holds no finished ``encode`` artefact, or no such fold.
    ConfigError : the readout cannot be differentiated as it was stored.
    """
    artefact = Artefact(Path(path).absolute())
    if artefact.stage != "encode":
        raise ArtefactError(
            "this artefact is no encoder", file=artefact.folder, expected="encode",
            found=artefact.stage, fix="give a folder that `neuroattn encode` printed",
        )  # fmt: skip
    targets = read_tsv(artefact.path("targets.tsv"), TARGETS)
    subjects = [str(name) for name in targets["subject"].unique()]
    folds = _folds(artefact, fold, subjects)
    section = artefact.config["encoder"]
    config: EncoderConfig = restore(ENCODERS[section["name"]].schema, section)
    each = [int((targets["subject"].astype(str) == name).sum()) for name in subjects]
    units = [list(zip(folders, _widths(folders, each), strict=True)) for folders in folds]
    readouts = [
        _side_by_side([_readout(config, artefact, *unit) for unit in fold]) for fold in units
    ]
    fitted = np.all([np.concatenate([_fitted(artefact, *u) for u in fold]) for fold in units], 0)
    also = {name: _backbone(artefact, device, PARENT + name) for name in further(artefact.inputs)}
    return Encoder(_backbone(artefact, device), readouts, targets, also, fitted)


def _widths(folders: list[str], each: list[int]) -> list[int]:
    """Targets of each model of a fold: of its subject, or of all where one model has them all."""
    return each if len(folders) == len(each) else [sum(each)]


def _readout(config: EncoderConfig, artefact: Artefact, folder: str, width: int) -> nn.Module:
    """A model that answers for all ``width`` targets of its unit, selected or not."""
    module: nn.Module = read_model(config, artefact, folder).module()
    columns = selected(artefact, folder)
    return module if columns is None else Widened(module, columns, width)


def selected(artefact: Artefact, folder: str) -> NDArray[np.int64] | None:
    """The targets of its unit that a model was fitted to; None where it has all of them."""
    name = f"{folder}/selection.safetensors"
    if name not in artefact.files:
        return None
    return np.asarray(read_arrays(artefact.path(name))["targets"], dtype=np.int64)


def _fitted(artefact: Artefact, folder: str, width: int) -> NDArray[np.bool_]:
    """Which targets of its unit (width,) a model was fitted to."""
    columns = selected(artefact, folder)
    return np.isin(np.arange(width), np.arange(width) if columns is None else columns)


class Widened(nn.Module):
    """A readout of selected targets among all; those that were left out answer 0."""

    def __init__(self, readout: nn.Module, columns: NDArray[np.int64], targets: int) -> None:
        super().__init__()
        self.readout, self.targets = readout, targets
        self.register_buffer("columns", torch.from_numpy(columns))

    def forward(
        self, tokens: Mapping[str, Float[Tensor, "images tokens _"]]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses of all targets."""
        found = self.readout(tokens)
        wide: Tensor = found.new_zeros(len(found), self.targets)
        return wide.index_copy(1, self.get_buffer("columns"), found)


class SideBySide(nn.Module):
    """Readouts of several subjects that were fitted one by one, their targets in a row."""

    def __init__(self, readouts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.readouts = nn.ModuleList(readouts)

    def forward(
        self, tokens: Mapping[str, Float[Tensor, "images tokens _"]]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses of all subjects."""
        return torch.cat([readout(tokens) for readout in self.readouts], dim=1)


def _side_by_side(readouts: list[nn.Module]) -> nn.Module:
    return readouts[0] if len(readouts) == 1 else SideBySide(readouts)


def _folds(artefact: Artefact, fold: int | None, subjects: list[str]) -> list[list[str]]:
    """Folders of the models of each fold: one, or one of each subject, in order."""
    known: dict[int, list[str]] = {}
    for name in artefact.files:
        folder = name.partition("/")[0]
        if name == f"{folder}/{DESCRIPTION}":
            known.setdefault(int(folder.split("-")[1]), []).append(folder)
    chosen = sorted(known) if fold is None else [fold] if fold in known else []
    if not chosen:
        raise ArtefactError(
            f"there is no fold {fold}", file=artefact.folder,
            expected=", ".join(f"fold-{number}" for number in sorted(known)),
            found=fold, fix="name one of them, or leave fold out to average all",
        )  # fmt: skip
    apart = [[f"fold-{number}-{subject}" for subject in subjects] for number in chosen]
    return [
        known[number] if len(known[number]) == 1 else folders
        for number, folders in zip(chosen, apart, strict=True)
    ]


def _backbone(artefact: Artefact, device: str, parent: str = "features") -> Backbone:
    """The backbone of features that the encoder was fitted on: the run's own, or a further one."""
    label = str(artefact.inputs[parent]["label"])
    features = artefact.folder.parent.parent / "features" / label
    if not features.is_dir() and parent != "features":
        raise ArtefactError(
            "the backbone of further features is not known", file=features,
            expected=f"the artefact {label}, which says what made them", found="nothing",
            fix="keep the features artefacts beside the encoder",
        )  # fmt: skip
    # An artefact that was copied alone still knows the backbone that its run named.
    source = Artefact(features).config if features.is_dir() else artefact.config
    section = source["backbone"]
    config: BackboneConfig = restore(BACKBONES[section["name"]].schema, section)
    backbone: Backbone = BACKBONES.load(section["name"])(config, choose_device(device))
    return backbone
