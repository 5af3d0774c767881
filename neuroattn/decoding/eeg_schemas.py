"""Keys of decoders that read epochs: channels by times, laid out channel by channel."""

from __future__ import annotations

from dataclasses import dataclass

from neuroattn.core.config import science, section
from neuroattn.decoding.decoder_schemas import TrainedDecoderConfig, training
from neuroattn.training.registry import TrainingConfig


@dataclass(kw_only=True)
class EegProjectConfig(TrainedDecoderConfig):
    """One linear layer of the whole epoch, a residual layer and a norm, for all subjects."""

    name: str = science("eeg_project", "The choice's name in its registry.")
    dropout: float = science(
        0.3, "Share dropped in the residual layer.", check=lambda s: 0 <= s < 1,
        must="be 0 or more and below 1",
    )  # fmt: skip
    training: TrainingConfig = section(
        lambda: training(1e-4, 50, 1024, decay=1e-4), "How it is trained."
    )


@dataclass(kw_only=True)
class TsconvConfig(EegProjectConfig):
    """Convolution over time, then over channels, then as eeg_project (Song et al. 2024)."""

    name: str = science("tsconv", "The choice's name in its registry.")
    filters: int = science(
        40, "Filters of each convolution.", check=lambda n: n >= 1, must="be 1 or more"
    )
    kernel: int = science(
        25, "Samples of the first filters.", check=lambda n: n >= 1, must="be 1 or more"
    )
    pool: int = science(
        51, "Samples that are averaged after them.", check=lambda n: n >= 1, must="be 1 or more"
    )
    stride: int = science(
        5, "Samples from one average to the next.", check=lambda n: n >= 1, must="be 1 or more"
    )
    conv_dropout: float = science(
        0.5, "Share dropped after the convolutions.", check=lambda s: 0 <= s < 1,
        must="be 0 or more and below 1",
    )  # fmt: skip
