"""Text encoders of the families: loaded for a call, used, and gone again.

With guidance the prompt is nearly always empty, and its encoding a few kilobytes; the encoders
take up to 10 GB. So nothing keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from neuroattn.generators.folders import Folder

_T5_TOKENS = 256


def plain(folder: Folder, text: Sequence[str]) -> dict[str, Tensor]:
    """Stable Diffusion 1 and 2: the last state of one CLIP."""
    ids = _tokens(folder, "tokenizer", text)
    encoder = _encoder(folder, "text_encoder")
    return {"encoder_hidden_states": encoder(ids.to(folder.device))[0]}


def double(folder: Folder, text: Sequence[str]) -> dict[str, Tensor]:
    """SDXL: the last state but one of two CLIPs side by side, and the second's pooled vector."""
    states, pooled = _clips(folder, text)
    if folder.index.get("force_zeros_for_empty_prompt", True):
        told = torch.tensor([float(bool(one)) for one in text], device=states[0].device)
        states = [state * told[:, None, None] for state in states]
        pooled = [vector * told[:, None] for vector in pooled]
    return {"encoder_hidden_states": torch.cat(states, dim=-1), "text_embeds": pooled[-1]}


def triple(folder: Folder, text: Sequence[str]) -> dict[str, Tensor]:
    """Stable Diffusion 3: two CLIPs side by side, T5 behind them; zeros where T5 was left out."""
    states, pooled = _clips(folder, text)
    clip = torch.cat(states, dim=-1)
    width = int(folder.config("transformer")["joint_attention_dim"])
    if folder.has("text_encoder_3"):
        ids = _tokens(folder, "tokenizer_3", text, _T5_TOKENS)
        t5 = _encoder(folder, "text_encoder_3")(ids.to(folder.device))[0]
    else:
        t5 = clip.new_zeros(len(text), _T5_TOKENS, width)
    wide = functional.pad(clip, (0, width - clip.shape[-1]))
    return {
        "encoder_hidden_states": torch.cat([wide, t5.to(wide)], dim=1),
        "pooled_projections": torch.cat(pooled, dim=-1),
    }


def _clips(folder: Folder, text: Sequence[str]) -> tuple[list[Tensor], list[Tensor]]:
    """Last states but one of both CLIPs, and pooled vectors of those that project them."""
    states, pooled = [], []
    for end in ("", "_2"):
        ids = _tokens(folder, f"tokenizer{end}", text)
        out = _encoder(folder, f"text_encoder{end}")(
            ids.to(folder.device), output_hidden_states=True
        )
        states.append(out.hidden_states[-2])
        if out[0].ndim == 2:  # SDXL's first CLIP has no projection, and its pooled vector no use
            pooled.append(out[0])
    return states, pooled


def _tokens(folder: Folder, name: str, text: Sequence[str], length: int | None = None) -> Tensor:
    tokeniser = folder.read(name)
    told = tokeniser(
        list(text), padding="max_length", truncation=True, return_tensors="pt",
        max_length=length or tokeniser.model_max_length,
    )  # fmt: skip
    ids: Tensor = told["input_ids"]
    return ids


def _encoder(folder: Folder, name: str) -> Any:
    """An encoder, frozen; it lives as long as the caller's expression."""
    return _Quiet(folder.read(name).to(folder.device).eval().requires_grad_(False))


class _Quiet:
    """A network called without a graph."""

    def __init__(self, network: Any) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.network(*given, **named)
