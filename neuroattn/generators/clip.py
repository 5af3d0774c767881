"""A real CLIP, from a folder, in the place of the embedded image-text space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuroattn.data.files import read_json_input
from neuroattn.features.backbones import fit_pixels
from neuroattn.features.hooks import Normalise
from neuroattn.features.pretrained import read_network, read_part
from neuroattn.features.registry import Interpolation, Resize
from neuroattn.generators.library import transformers

_PIXELS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


class ClipSpace:
    """Transformers' ``CLIPModel`` and its tokeniser behind the contract of `space.ImageText`."""

    def __init__(self, model: Any, tokeniser: Any, normalise: Normalise) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokeniser, self.normalise = tokeniser, normalise
        self.dim = int(model.config.projection_dim)
        self.side = int(model.config.vision_config.image_size)
        self.logit_scale = float(model.logit_scale.exp())

    def encode_image(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dim"]:
        """Unit-length embeddings of pixels in [0, 1], differentiable; the centre square is seen."""
        return functional.normalize(self.embed_image(pixels), dim=-1)

    def embed_image(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dim"]:
        """The same embeddings with a length of their own (about 10 for CLIP ViT-B/32).

        ClipCap's captioners were trained on these (Mokady et al. 2021, ``parse_coco.py``).
        """
        seen = fit_pixels(
            pixels.to(self.model.device), self.side, Resize.crop, Interpolation.bicubic
        )
        pooled = self.model.vision_model(pixel_values=self.normalise(seen)).pooler_output
        out: Tensor = self.model.visual_projection(pooled)
        return out

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "captions dim"]:
        """Unit-length embeddings of sentences."""
        tokens = self.tokeniser(
            list(captions), padding=True, truncation=True, return_tensors="pt",
            max_length=self.model.config.text_config.max_position_embeddings,
        ).to(self.model.device)  # fmt: skip
        pooled = self.model.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        return functional.normalize(self.model.text_projection(pooled), dim=-1)


def read_clip(folder: Path, device: torch.device) -> ClipSpace:
    """A CLIP that ``save_pretrained`` wrote; nothing is fetched.

    Raises
    ------
    DataError : the folder lacks its tokeniser or some of its weights, or holds another model.
    """
    library = transformers()
    model = read_network(library.CLIPModel, folder)
    tokeniser = read_part(library.AutoTokenizer, folder)
    return ClipSpace(model.to(device), tokeniser, Normalise(_pixels(folder)).to(device))


def _pixels(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation from the folder's own file, where it has one."""
    file = folder / "preprocessor_config.json"
    stated = read_json_input(file) if file.is_file() else {}
    mean, deviation = stated.get("image_mean"), stated.get("image_std")
    return (tuple(mean), tuple(deviation)) if mean and deviation else _PIXELS
