"""A causal transformer over the TRs that follow a picture, read at a token after the last (WAVE).

Each TR's parcels become one token by a linear layer and a norm, with an embedding of the time
since the picture came on (bins of 0.2 s). The encoder is GPT-2; a learned token stands after the
last TR, and a linear layer with tanh reads it. Wang et al. 2024, arXiv 2411.07121; the encoder is
that of Thomas et al. 2022. Their code permutes the TRs of a trial in training, which hides time
from an encoder of time; here that is an option, and off.

Betas are no series: ``input.frames`` says how they enter, as one TR or repeated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.core.errors import ArtefactError, ConfigError
from neuroattn.core.resources import user_path
from neuroattn.decoding.decoder import DecodingSet
from neuroattn.decoding.decoder_schemas import Frames, Source
from neuroattn.decoding.network import DecoderNetwork, Encoder
from neuroattn.decoding.network_schemas import SequenceGptConfig
from neuroattn.decoding.trained import TrainedDecoder

BIN = 0.2  # seconds of a bin of time
BINS = 1500  # 300 s
LONGEST = 512  # positions of GPT-2


class SequenceGpt(Encoder):
    """Series to features.

    Parameters
    ----------
    inputs : numbers of one TR of each subject.
    trs, repeated : TRs that come in, and how often a single one is repeated.
    """

    def __init__(
        self, inputs: list[int], trs: int, repeated: int, config: SequenceGptConfig
    ) -> None:
        super().__init__()
        self.width, self.trs, self.repeated = config.dim, trs, repeated
        self.zeroed, self.permute = config.zeroed, config.permute
        self.subjects = nn.ModuleList(
            [nn.Sequential(nn.Linear(n, config.dim), nn.LayerNorm(config.dim)) for n in inputs]
        )
        frames = trs * repeated
        seconds = torch.arange(frames) * config.tr
        self.register_buffer("bin", (seconds / BIN).round().long().clamp(max=BINS - 1), False)
        self.bin: Tensor
        self.time = nn.Embedding(BINS, config.dim)
        nn.init.normal_(self.time.weight, std=0.02)
        self.query = nn.Parameter(torch.randn(config.dim) * 0.02)
        self.gpt = gpt(config)
        self.pooler = nn.Sequential(nn.Linear(config.dim, config.dim), nn.Tanh())

    def first(self, subject: int, inputs: Tensor) -> Tensor:
        """Tokens (rows, frames, dim) of one subject."""
        frames = inputs.view(len(inputs), self.trs, inputs.shape[1] // self.trs)
        if self.training:
            frames = self._augmented(frames)
        tokens: Tensor = self.subjects[subject](frames).repeat_interleave(self.repeated, 1)
        return torch.add(tokens, self.time(self.bin))

    def _augmented(self, frames: Float[Tensor, "rows trs width"]) -> Tensor:
        if self.zeroed:
            frames = frames * (torch.rand_like(frames) >= self.zeroed)
        if self.permute:
            order = torch.rand(frames.shape[:2], device=frames.device).argsort(1)
            frames = frames.gather(1, order[..., None].expand_as(frames))
        return frames

    def rest(self, hidden: Tensor) -> Tensor:
        """Features (rows, dim) at the learned token."""
        if not len(hidden):  # a batch may have no row of a subject, which transformers refuse
            return hidden[:, 0]
        tokens = torch.cat([hidden, self.query.expand(len(hidden), 1, -1)], dim=1)
        seen = self.gpt(inputs_embeds=tokens, use_cache=False).last_hidden_state
        out: Tensor = self.pooler(seen[:, -1])
        return out


def gpt(config: SequenceGptConfig) -> nn.Module:
    """GPT-2 without words."""
    from transformers import GPT2Config, GPT2Model

    drop = config.dropout
    shape = GPT2Config(
        vocab_size=1, n_positions=LONGEST, n_embd=config.dim, n_layer=config.depth,
        n_head=config.heads, resid_pdrop=drop, embd_pdrop=drop, attn_pdrop=drop,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model: nn.Module = GPT2Model(shape)
    model.wte = nn.Identity()  # tokens come as embeddings; a table of words would never learn
    return model


def load_foundation(model: nn.Module, folder: Path, config: SequenceGptConfig) -> None:
    """Put the weights of a pre-trained encoder into ``model``.

    Raises
    ------
    ConfigError : it is of another size.
    ArtefactError : it is no such encoder.
    """
    from safetensors.torch import load_file

    about: dict[str, Any] = json.loads((folder / "config.json").read_text())
    wanted = {"n_embd": config.dim, "n_layer": config.depth, "n_head": config.heads}
    found = {key: about.get(key) for key in wanted}
    if found != wanted:
        raise ConfigError(
            "the pre-trained encoder is of another size",
            file=folder / "config.json",
            expected=wanted,
            found=found,
            fix="set decoder.dim, decoder.depth and decoder.heads to its size",
        )
    stored = load_file(folder / "model.safetensors")
    state = {name.removeprefix("transformer."): value for name, value in stored.items()}
    own = model.state_dict()
    usable = {n: v for n, v in state.items() if n in own and (own[n].shape == v.shape)}
    absent = sorted(set(own) - set(usable) - {"wpe.weight"})
    if absent:
        raise ArtefactError(
            "the pre-trained encoder lacks weights of a GPT-2",
            file=folder / "model.safetensors",
            expected=f"h.0.attn.c_attn.weight and {len(own) - 1} others",
            found=f"no {', '.join(absent[:3])}" + (", …" if len(absent) > 3 else ""),
            fix="convert the checkpoint to the names of transformers' GPT2Model",
        )
    model.load_state_dict(usable, strict=False)


class SequenceGptDecoder(TrainedDecoder):
    """``decoder=sequence_gpt``."""

    config: SequenceGptConfig

    def encoder(self, train: DecodingSet) -> Encoder:
        """A linear layer for each subject before one GPT-2."""
        given = self.config.input
        series = given.source is Source.series
        repeated = given.trs if not series and given.frames is Frames.repeated else 1
        trs = given.trs if series else 1
        if trs * repeated >= LONGEST:
            raise ConfigError(
                "the series is too long",
                expected=f"fewer than {LONGEST} TRs",
                found=trs * repeated,
                fix="lower decoder.input.trs",
            )
        widths = [rows.table.shape[1] // trs for rows in train.subjects]
        return SequenceGpt(widths, trs, repeated, self.config)

    def begin(self, network: DecoderNetwork, train: DecodingSet) -> None:  # noqa: ARG002
        """Start from a pre-trained encoder where one is given."""
        encoder = network.encoder
        if self.config.foundation is not None and isinstance(encoder, SequenceGpt):
            load_foundation(encoder.gpt, user_path(self.config.foundation), self.config)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        start = ", started from a pre-trained one," if config.foundation else ""
        return (
            f"Image embeddings were predicted by a causal transformer (GPT-2, {config.depth}"
            f" layers, {config.dim} channels){start} over {config.input.trs} TRs (after Wang et"
            " al., 2024)"
        )
