"""Choices of the decoder group and the stage ``decode``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroattn.core.errors import ConfigError, MissingDataError
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.resources import user_path
from neuroattn.core.stage import Stage
from neuroattn.decoding.ablation_schemas import FURTHER_STAGES
from neuroattn.decoding.blur_levels import ORIGINAL, Levels, check_levels
from neuroattn.decoding.decoder_schemas import (
    DecoderConfig,
    Negatives,
    RidgeDecoderConfig,
    TrainedDecoderConfig,
)
from neuroattn.decoding.eeg_schemas import EegProjectConfig, TsconvConfig
from neuroattn.decoding.network_schemas import (
    ParcelTransformerConfig,
    RidgeMlpConfig,
    SequenceGptConfig,
)
from neuroattn.decoding.prior_schemas import BEFOREHAND, FIXED, PRIORS

__all__ = [  # keys stand in files of their own
    "PRIORS",
    "DecoderConfig",
    "ParcelTransformerConfig",
    "RidgeDecoderConfig",
    "RidgeMlpConfig",
    "SequenceGptConfig",
    "TrainedDecoderConfig",
]

DECODERS = Registry(
    "decoder",
    {
        "ridge": Entry(RidgeDecoderConfig, "neuroattn.decoding.ridge:RidgeDecoder"),
        "ridge_mlp": Entry(RidgeMlpConfig, "neuroattn.decoding.ridge_mlp:RidgeMlpDecoder"),
        "parcel_transformer": Entry(
            ParcelTransformerConfig,
            "neuroattn.decoding.parcel_transformer:ParcelTransformerDecoder",
        ),
        "eeg_project": Entry(EegProjectConfig, "neuroattn.decoding.eeg:EegProjectDecoder"),
        "tsconv": Entry(TsconvConfig, "neuroattn.decoding.eeg:TsconvDecoder"),
        "sequence_gpt": Entry(
            SequenceGptConfig,
            "neuroattn.decoding.sequence_gpt:SequenceGptDecoder",
            leaves="neuroattn.decoding.registry:foundation_leaves",
        ),
    },
)


def leaves(config: Any) -> Mapping[str, Path]:
    """Input files of ``decode`` by stable name: of the split, of the input, of the choices."""
    from neuroattn.data.dataset import split_leaves  # brings numpy, which help need not wait for

    return {
        **split_leaves(config),
        **atlas_leaves(config.decoder),
        **DECODERS.leaves(config.decoder),
        **PRIORS.leaves(config.prior),
    }


def atlas_leaves(config: DecoderConfig) -> Mapping[str, Path]:
    """The atlas of the input, where one is given."""
    atlas = getattr(getattr(config, "input", None), "atlas", None)
    if atlas is None:
        return {}
    path = user_path(atlas)
    if not path.is_file():
        raise MissingDataError(
            "the atlas is not there",
            file=path,
            expected="a .tsv (target, parcel) or a .npy (targets,)",
            found="nothing",
            fix="correct decoder.input.atlas; docs/decoding.md says how to write one",
        )
    return {f"atlas{path.suffix}": path}


def foundation_leaves(config: SequenceGptConfig) -> Mapping[str, Path]:
    """The files of a pre-trained encoder, where one is given."""
    if config.foundation is None:
        return {}
    folder = user_path(config.foundation)
    wanted = ("config.json", "model.safetensors")
    absent = [name for name in wanted if not (folder / name).is_file()]
    if absent:
        raise MissingDataError(
            "the pre-trained encoder is not there",
            file=folder,
            expected=" and ".join(wanted),
            found="no " + " and no ".join(absent),
            fix="put its files there, or leave decoder.foundation out to start from random weights",
        )
    return {f"foundation/{name}": folder / name for name in wanted}


def further_targets(config: Any) -> Mapping[str, tuple[str, str]]:
    """Features artefacts whose embeddings are targets beside those of ``backbone``."""
    target = getattr(config.decoder, "target", None)
    also = [] if target is None else target.also
    return {f"target-{index}": ("features", reference) for index, reference in enumerate(also)}


def _label(config: Any) -> str:
    prior = config.prior.name
    return str(config.decoder.name) + ("" if prior in ("", "none") else f"-{prior}")


def check_prior(config: Any) -> None:
    """Refuse a prior that this decoder and its loss cannot be trained with.

    Raises
    ------
    ConfigError : the two do not go together.
    """
    prior, decoder = config.prior.name, config.decoder
    if isinstance(decoder, TrainedDecoderConfig):
        _check_loss(prior, decoder)
    elif prior not in BEFOREHAND:
        raise ConfigError(
            f"decoder={decoder.name} has a closed form, so it cannot be asked for other"
            " embeddings from epoch to epoch",
            expected=f"prior={', '.join(BEFOREHAND)}",
            found=f"prior={prior}",
            fix="choose one of these, or a trained decoder, as decoder=ridge_mlp",
        )


def _check_loss(prior: str, decoder: TrainedDecoderConfig) -> None:
    loss, epochs = decoder.loss, decoder.training.epochs
    if loss.negatives is Negatives.bank and prior not in FIXED:
        raise ConfigError(
            f"prior={prior} has no one blur in which all training images can be negatives",
            expected=f"prior={', '.join(FIXED)} beside decoder.loss.negatives=bank",
            found=f"prior={prior}",
            fix="choose one of these, or set decoder.loss.negatives=batch",
        )
    if prior == "ubp" and loss.mixco_share == 1 and round(loss.mixing * epochs) == epochs:
        raise ConfigError(
            "prior=ubp learns from trials that are not mixed, and there are none",
            expected="decoder.loss.mixco_share below 1, or epochs without mixing",
            found=f"mixco_share=1 in all {epochs} epochs",
            fix="lower decoder.loss.mixco_share, or choose another prior",
        )


def _cites(config: Any) -> Mapping[str, tuple[str, str]]:
    """The further targets of a config that can be run; asked for before anything is built."""
    check_prior(config)
    if "features" not in config.use:  # those named there may have other levels
        blur = config.backbone.blur
        check_levels(config.prior, Levels(blur.kind.value, (ORIGINAL, *map(float, blur.levels))))
    return further_targets(config)


STAGES = (
    Stage(
        name="decode",
        version=2,
        about="fit a decoder from responses to image embeddings, and retrieve the test images",
        reads=(
            "decoder",
            "prior",
            "dataset.split",
            "dataset.responses",
            "dataset.normalise",
            "seed",
        ),
        parents=lambda _: ("prepare", "features"),
        cites=_cites,
        leaves="neuroattn.decoding.registry:leaves",
        run="neuroattn.decoding.stage:run",
        label=_label,
    ),
    *FURTHER_STAGES,
)
