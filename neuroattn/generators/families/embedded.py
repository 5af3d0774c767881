"""The embedded generator, and others driven by one embedding as their only token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neuroattn.core.errors import DataError
from neuroattn.generators.contract import Identity
from neuroattn.generators.families.common import Parts, UNetGenerator
from neuroattn.generators.folders import Folder
from neuroattn.generators.sampling import LatentDiffusion, conditions

TOKEN = "encoder_hidden_states"  # noqa: S105 - a network's argument


class EmbeddedGenerator(UNetGenerator):
    """Driven by unit-length embeddings of the image-text space; zeros say nothing.

    With a space, texts drive it as well: their embeddings do.
    """

    caches_null = False  # zeros need no text encoder

    @property
    def dim(self) -> int:
        """Numbers of an embedding."""
        return int(self.parts.network.config.cross_attention_dim)

    def _null(self, count: int) -> dict[str, Tensor]:
        network = self.parts.network
        return {TOKEN: torch.zeros(count, 1, self.dim, device=self.device, dtype=network.dtype)}

    def _embedded(self, embeddings: Tensor) -> dict[str, Tensor]:
        return {TOKEN: conditions(embeddings)}


class ImageVariation(EmbeddedGenerator):
    """Stable Diffusion fine-tuned on CLIP image embeddings, as long as CLIP's projection gives."""

    def _embedded(self, embeddings: Tensor) -> dict[str, Tensor]:
        return {TOKEN: embeddings[:, None]}


def by_space(folder: Folder, text: Sequence[str]) -> dict[str, Tensor]:
    """Tokens of texts from the image-text space beside the generator's folder.

    Raises
    ------
    MissingDataError : there is none.
    DataError : it is not the space that the generator was trained with.
    """
    from neuroattn.generators.loading import load

    space, dim = load(folder.path.parent / "space"), folder.config("unet")["cross_attention_dim"]
    if space.dim != dim:
        raise DataError(
            "the image-text space does not fit the generator",
            file=folder.path.parent / "space",
            expected=f"embeddings of {dim} numbers",
            found=space.dim,
            fix="put the space that the generator was trained with beside it",
        )
    return {TOKEN: conditions(space.encode_text(text)).to(folder.device)}


def from_diffusion(model: LatentDiffusion, identity: Identity | None = None) -> EmbeddedGenerator:
    """The contract over a `LatentDiffusion` that is already in memory."""
    known = identity or Identity("embedded", "embedded", "memory")
    return EmbeddedGenerator(Parts(model.unet, model.vae, model.scheduler, known, model.tiny))
