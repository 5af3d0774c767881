"""The image-text space: heads on a frozen image network and a small text encoder (InfoNCE).

It is not CLIP and is not called so, but answers to the same questions: `Space.encode_image`,
`Space.encode_text`, ``logit_scale``. A real CLIP from a folder takes its place (`clip.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.core.atomic import read_json, write_json
from neuroattn.features.backbones import Backbone
from neuroattn.generators.chunks import gathered
from neuroattn.generators.making import (
    Made,
    Maker,
    Workplace,
    half_weights,
    image_network,
    put_half_weights,
    seeded,
    trained,
)
from neuroattn.generators.registry import SpaceConfig
from neuroattn.generators.retrieval import retrieval, zero_shot
from neuroattn.generators.scenes import SceneSet, Side, in_words, scene_sets, to_unit
from neuroattn.generators.text import PAD, Vocabulary, trimmed
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import SelectionSet, TrainingData

CONFIG, WEIGHTS, WORDS = "config.json", "model.safetensors", "vocab.json"
_TEMPERATURE = 0.07  # at the start; it is learned
_GROUP = 32  # pictures in one call of the image network


class ImageText(Protocol):
    """What every image-text space can do: ours, or a real CLIP."""

    dim: int
    logit_scale: float

    def encode_image(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dim"]:
        """Unit-length embeddings of pixels in [0, 1], differentiable."""

    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "captions dim"]:
        """Unit-length embeddings of sentences."""


class TextEncoder(nn.Module):
    """A transformer over words; its mean over the words of a caption goes to the space."""

    def __init__(self, words: int, shape: Mapping[str, Any]) -> None:
        super().__init__()
        width = int(shape["text_width"])
        self.words = nn.Embedding(words, width, padding_idx=PAD)
        self.positions = nn.Parameter(0.02 * torch.randn(int(shape["length"]), width))
        layer = nn.TransformerEncoderLayer(
            width, int(shape["text_heads"]), 4 * width, float(shape["dropout"]), "gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(
            layer, int(shape["text_layers"]), enable_nested_tensor=False
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, int(shape["dim"]))

    def forward(self, tokens: Tensor) -> Tensor:
        """(captions, length) numbers to (captions, dim)."""
        padded = tokens == PAD
        hidden = self.words(tokens) + self.positions[: tokens.shape[1]]
        hidden = self.norm(self.layers(hidden, src_key_padding_mask=padded))
        kept = (~padded).unsqueeze(-1).float()
        mean = (hidden * kept).sum(dim=1) / kept.sum(dim=1)
        out: Tensor = self.out(mean)
        return out


class SpaceNetwork(nn.Module):
    """Both heads and the temperature.

    Parameters
    ----------
    features : numbers that the frozen image network gives of a picture.
    words : size of the vocabulary.
    shape : dim, hidden, text_width, text_layers, text_heads, length, dropout.
    """

    def __init__(self, features: int, words: int, shape: Mapping[str, Any]) -> None:
        super().__init__()
        self.image = nn.Sequential(
            nn.LayerNorm(features),
            nn.Linear(features, int(shape["hidden"])),
            nn.GELU(),
            nn.Dropout(float(shape["dropout"])),
            nn.Linear(int(shape["hidden"]), int(shape["dim"])),
        )
        self.text = TextEncoder(words, shape)
        self.logit_scale = nn.Parameter(torch.tensor(-np.log(_TEMPERATURE), dtype=torch.float32))

    def forward(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unit-length embeddings of both sides, and the factor on their cosine."""
        image = functional.normalize(self.image(features), dim=-1)
        text = functional.normalize(self.text(tokens), dim=-1)
        return image, text, self.logit_scale.exp().clamp(max=100)


def info_nce(
    image: Float[Tensor, "pairs dim"],
    text: Float[Tensor, "pairs dim"],
    scale: Tensor,
    same: Bool[Tensor, "pairs pairs"] | None = None,
) -> Tensor:
    """Symmetric cross-entropy of matching each picture to its caption and back (CLIP, figure 3).

    ``same`` marks captions that are equal word for word: a grammar repeats itself, and an equal
    caption of another picture is no negative, so it takes no part. Spreading the target over
    them would change nothing: with equal embeddings the sum over their rows is the same.
    """
    logits = scale * image @ text.T
    own = torch.arange(len(image), device=image.device)
    if same is not None:
        others = same & (own[:, None] != own)
        logits = logits.masked_fill(others, -torch.inf)
    forth = functional.cross_entropy(logits, own)
    return (forth + functional.cross_entropy(logits.T, own)) / 2


@dataclass(frozen=True)
class SpaceTask:
    """InfoNCE on cached image features and captions."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch of pairs."""
        tokens = batch["tokens"]
        same = (tokens[:, None] == tokens[None]).all(dim=-1)
        image, text, scale = model(batch["features"], tokens)
        return info_nce(image, text, scale, same)

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """Mean loss over the batches; in smaller batches it is smaller."""
        losses = [float(self.loss(model, batch)) for batch in loader]
        return {"loss": sum(losses) / len(losses)}


class PairSource:
    """Image features, each with one of its captions, drawn anew in each epoch.

    Parameters
    ----------
    features : (scenes, features).
    tokens : (scenes, captions, length).
    drawn : False always takes the first caption.
    """

    def __init__(self, features: NDArray[Any], tokens: Tensor, *, drawn: bool) -> None:
        self.features, self.tokens, self.drawn = features, tokens, drawn

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Pairs ``indices``."""
        rows = np.array(indices)
        number = rng.integers(self.tokens.shape[1], size=len(rows)) if self.drawn else 0 * rows
        at, which = torch.from_numpy(rows), torch.from_numpy(number)
        features = torch.from_numpy(self.features[rows]).float()
        return {"features": features, "tokens": trimmed(self.tokens[at, which])}


class Space:
    """A trained space."""

    def __init__(self, network: SpaceNetwork, backbone: Backbone, words: Vocabulary) -> None:
        self.network = network.eval().requires_grad_(False)
        self.backbone, self.words = backbone, words
        self.length = self.network.text.positions.shape[0]
        self.dim = int(self.network.text.out.out_features)
        self.logit_scale = float(self.network.logit_scale.exp())

    def encode_image(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dim"]:
        """Unit-length embeddings of pixels in [0, 1], differentiable."""
        return self.encode_features(self.backbone.pooled(pixels))

    def encode_features(self, features: Tensor) -> Tensor:
        """Embeddings of what the frozen image network gave."""
        return functional.normalize(self.network.image(features), dim=-1)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "captions dim"]:
        """Unit-length embeddings of sentences."""
        tokens = self.words.batch(captions, self.length).to(self.network.logit_scale.device)
        return functional.normalize(self.network.text(tokens), dim=-1)


def image_features(one: SceneSet, config: SpaceConfig, backbone: Backbone) -> NDArray[np.float16]:
    """What the frozen network gives of each scene, (scenes, features), computed once."""

    def make(rows: range) -> dict[str, NDArray[Any]]:
        parts = []
        for start in range(rows.start, rows.stop, _GROUP):
            pixels = to_unit(one.pixels[start : min(start + _GROUP, rows.stop)])
            with torch.no_grad():
                parts.append(backbone.pooled(pixels).cpu().half().numpy())
        return {"features": np.concatenate(parts)}

    folder = one.folder / f"{config.backbone}-{config.image_size}"
    return gathered(folder, len(one), make, chunk=config.scenes.chunk)["features"]


def train(config: SpaceConfig, place: Workplace) -> Made:
    """Train the space, or resume."""
    backbone = image_network(config.backbone, config.image_size, place.device)
    sides = {side: scene_sets(place.cache, side, config.scenes, config.seed) for side in Side}
    words = Vocabulary.of(
        caption for one in sides[Side.train] for caption in np.unique(one.captions).tolist()
    )
    features = {side: _features(sets, config, backbone) for side, sets in sides.items()}
    ids = {side: np.concatenate([one.ids for one in sets]) for side, sets in sides.items()}

    def source(side: Side) -> PairSource:
        tokens = torch.cat([_tokens(one, words, config.length) for one in sides[side]])
        return PairSource(features[side], tokens, drawn=side is Side.train)

    data = TrainingData(
        train=source(Side.train),
        train_images=ids[Side.train],
        selection=SelectionSet("held", ids[Side.held], source(Side.held)),
        test_images=ids[Side.unseen],
    )
    shape = _shape(config)
    network = seeded(config, lambda: SpaceNetwork(features[Side.train].shape[1], len(words), shape))
    outcome = trained(network, SpaceTask(), data, config, place)
    space = Space(_as_space(network), backbone, words)

    def save(folder: Path) -> None:
        facts = {"model_type": "neuroattn_space", "features": int(features[Side.train].shape[1])}
        write_json(folder / CONFIG, facts | shape)
        save_file(half_weights(network), folder / WEIGHTS)
        words.save(folder / WORDS)

    return Made(save, _scores(space, sides, config, backbone), outcome.steps)


def _as_space(network: nn.Module) -> SpaceNetwork:
    if not isinstance(network, SpaceNetwork):
        raise TypeError(type(network).__name__)
    return network


def _features(sets: list[SceneSet], config: SpaceConfig, backbone: Backbone) -> NDArray[Any]:
    return np.concatenate([image_features(one, config, backbone) for one in sets])


def _tokens(one: SceneSet, words: Vocabulary, length: int) -> Tensor:
    flat = words.batch(one.captions.ravel().tolist(), length)
    return flat.reshape(*one.captions.shape, length)


def _scores(
    space: Space, sides: Mapping[Side, list[SceneSet]], config: SpaceConfig, backbone: Backbone
) -> dict[str, float]:
    """Retrieval both ways and zero-shot accuracy on held-out scenes, beside chance."""
    found: dict[str, float] = {}
    for side in (Side.held, Side.unseen):
        for one in sides[side]:
            features = torch.from_numpy(np.array(image_features(one, config, backbone))).float()
            with torch.no_grad():
                image = space.encode_features(features.to(space.backbone.device)).cpu()
            text = space.encode_text(one.captions[:, 0].tolist()).cpu()
            prefix = f"{side.value}.{one.called}"
            got = retrieval(image, text) | zero_shot(space, image, one)
            found |= {f"{prefix}.{name}": value for name, value in got.items()}
    return found


def _shape(config: SpaceConfig) -> dict[str, Any]:
    names = ("backbone", "image_size", "dim", "hidden", "text_width", "text_layers",
             "text_heads", "length", "dropout")  # fmt: skip
    return {name: getattr(config, name) for name in names}


def read(folder: Path, device: torch.device) -> Space:
    """The space in a folder; its image network's weights come from their own package."""
    shape = read_json(folder / CONFIG)
    words = Vocabulary.read(folder / WORDS)
    network = SpaceNetwork(int(shape["features"]), len(words), shape)
    put_half_weights(network, folder / WEIGHTS)
    backbone = image_network(shape["backbone"], int(shape["image_size"]), device)
    return Space(network.to(device), backbone, words)


MAKER = Maker(
    about="Image-text space: heads on a frozen EfficientNet-Lite0 and a small text encoder.",
    limits="Trained on simulated scenes and a small grammar; it is not CLIP.",
    data=lambda config: f"{in_words(config.scenes)}; five captions each",
    train=train,
    read=read,
)
