"""Keys of the decoders of fMRI that are trained by gradients. No heavy import."""

from __future__ import annotations

from dataclasses import dataclass

from neuroattn.core.config import Section, execution, science, section
from neuroattn.core.errors import ConfigError
from neuroattn.decoding.decoder_schemas import TrainedDecoderConfig, training
from neuroattn.training.registry import TrainingConfig


@dataclass(kw_only=True)
class RidgeMlpConfig(TrainedDecoderConfig):
    """A linear layer for each subject, then a residual network that all share (MindEye)."""

    name: str = science("ridge_mlp", "The choice's name in its registry.")
    hidden: int = science(
        1024, "Width of the shared network.", check=lambda n: n >= 1, must="be 1 or more"
    )
    blocks: int = science(
        1,
        "Residual blocks; 0 leaves a linear decoder.",
        check=lambda n: n >= 0,
        must="be 0 or more",
    )
    dropout: float = science(
        0.5,
        "Share of activations dropped in each block.",
        check=lambda share: 0 <= share < 1,
        must="be 0 or more and below 1",
    )
    training: TrainingConfig = section(
        lambda: training(3e-4, 15, 256, decay=0.3), "How it is trained."
    )


@dataclass(kw_only=True)
class PretrainingConfig(Section):
    """Masked pre-training on responses, without their images."""

    epochs: int = science(
        0,
        "Passes over the responses; 0 leaves it out.",
        check=lambda n: n >= 0,
        must="be 0 or more",
    )
    mask: float = science(
        0.5, "Share of the parcels hidden.", check=lambda s: 0 < s < 1, must="lie between 0 and 1"
    )
    lr: float = science(1e-3, "Learning rate.", check=lambda lr: lr > 0, must="be above 0")
    batch_size: int = science(256, "Trials of a step.", check=lambda n: n >= 1, must="be 1 or more")


@dataclass(kw_only=True)
class ParcelTransformerConfig(TrainedDecoderConfig):
    """A transformer over parcels, each a token by a linear layer of its own."""

    name: str = science("parcel_transformer", "The choice's name in its registry.")
    dim: int = science(256, "Channels of a token.", check=lambda n: n >= 1, must="be 1 or more")
    depth: int = science(4, "Transformer layers.", check=lambda n: n >= 1, must="be 1 or more")
    heads: int = science(
        8, "Attention heads; they divide dim.", check=lambda n: n >= 1, must="be 1 or more"
    )
    dropout: float = science(
        0.1, "Share dropped.", check=lambda s: 0 <= s < 1, must="be 0 or more and below 1"
    )
    pretraining: PretrainingConfig = section(PretrainingConfig, "Masked pre-training.")
    training: TrainingConfig = section(lambda: training(5e-4, 30, 256), "How it is trained.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.dim, self.heads)


@dataclass(kw_only=True)
class SequenceGptConfig(TrainedDecoderConfig):
    """A causal transformer over TRs, read at a learned token after the last (WAVE)."""

    name: str = science("sequence_gpt", "The choice's name in its registry.")
    dim: int = science(768, "Channels of a TR.", check=lambda n: n >= 1, must="be 1 or more")
    depth: int = science(4, "Transformer layers.", check=lambda n: n >= 1, must="be 1 or more")
    heads: int = science(
        12, "Attention heads; they divide dim.", check=lambda n: n >= 1, must="be 1 or more"
    )
    dropout: float = science(
        0.1, "Share dropped.", check=lambda s: 0 <= s < 1, must="be 0 or more and below 1"
    )
    tr: float = science(2.0, "Seconds of a TR.", check=lambda t: t > 0, must="be above 0")
    zeroed: float = science(
        0.2,
        "Share of the inputs set to 0 (their mean) in training.",
        check=lambda s: 0 <= s < 1,
        must="be 0 or more and below 1",
    )
    permute: bool = science(
        False, "Permute the TRs of a trial in training, as the public code does; it hides time."
    )
    foundation: str | None = execution(
        None,
        "Folder of a pre-trained GPT-2 encoder (config.json, model.safetensors) to start from; its"
        " digests enter the fingerprint.",
    )
    training: TrainingConfig = section(lambda: training(1e-4, 30, 64), "How it is trained.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.dim, self.heads)


def check_heads(dim: int, heads: int) -> None:
    """Refuse heads that do not divide the channels.

    Raises
    ------
    ConfigError : they do not.
    """
    if dim % heads:
        raise ConfigError(
            "the heads do not divide the channels",
            expected=f"decoder.heads that divides {dim}",
            found=heads,
            fix="change decoder.heads or decoder.dim",
        )
