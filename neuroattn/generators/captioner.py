"""The captioner: a causal language model behind a prefix made from an image embedding.

The form is ClipCap's (Mokady, Hertz and Bermano 2021, section 3): a small network turns the
embedding into a few tokens, and the language model goes on from them. The language model is a
small GPT-2 of the transformers library, trained from nothing on the simulator's captions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.core.atomic import read_json, write_json
from neuroattn.features.pretrained import read_network
from neuroattn.generators.caption_scores import caption_scores
from neuroattn.generators.decoding import Ends, search
from neuroattn.generators.embeddings import embeddings
from neuroattn.generators.library import transformers
from neuroattn.generators.making import (
    Made,
    Maker,
    Workplace,
    half_weights,
    put_half_weights,
    seeded,
    trained,
)
from neuroattn.generators.registry import CaptionerConfig
from neuroattn.generators.scenes import SceneSet, Side, in_words, scene_sets
from neuroattn.generators.text import END, PAD, START, Vocabulary, trimmed
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import SelectionSet, TrainingData
from neuroattn.training.task import mean_loss

CONFIG, PREFIX, WORDS, LANGUAGE = "config.json", "prefix.safetensors", "vocab.json", "language"
LENGTH = 48  # tokens of a caption, with its two ends


class CaptionNetwork(nn.Module):
    """Embedding and words so far to logits of the next word.

    Parameters
    ----------
    dim : numbers of an embedding.
    prefix : tokens made from it.
    language : a causal language model of the transformers library.
    """

    def __init__(self, dim: int, prefix: int, language: Any) -> None:
        super().__init__()
        width = int(language.config.hidden_size)
        self.tokens = prefix
        self.prefix = nn.Sequential(
            nn.Linear(dim, prefix * width), nn.Tanh(), nn.Linear(prefix * width, prefix * width)
        )
        self.language: nn.Module = language

    def forward(
        self, embeddings: Float[Tensor, "captions dim"], words: Tensor
    ) -> Float[Tensor, "captions length words"]:
        """Logits of the word after each of ``words`` (captions, length)."""
        language: Any = self.language
        known = language.get_input_embeddings()(words)
        given = torch.cat([self.before(embeddings), known], dim=1)
        logits = language(inputs_embeds=given, use_cache=False).logits
        out: Tensor = logits[:, self.tokens :]
        return out

    def before(
        self, embeddings: Float[Tensor, "captions dim"]
    ) -> Float[Tensor, "captions tokens width"]:
        """What stands before the first word."""
        out: Tensor = self.prefix(embeddings).unflatten(1, (self.tokens, -1))
        return out


def language_model(words: int, config: CaptionerConfig) -> Any:
    """A small GPT-2 with room for the prefix and a caption."""
    library = transformers()
    shape = library.GPT2Config(
        vocab_size=words, n_positions=config.prefix + LENGTH, n_embd=config.width,
        n_layer=config.layers, n_head=config.heads, resid_pdrop=config.dropout,
        embd_pdrop=config.dropout, attn_pdrop=config.dropout,
        bos_token_id=START, eos_token_id=END, pad_token_id=PAD,
    )  # fmt: skip
    return library.GPT2LMHeadModel(shape)


@dataclass(frozen=True)
class CaptionTask:
    """Cross-entropy of the next word; in training the embedding is made noisy."""

    noise: float

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean over all words of the batch, padding apart."""
        given, tokens = batch["embeddings"], batch["tokens"]
        if model.training:
            noise = self.noise * torch.randn_like(given) / given.shape[1] ** 0.5
            given = functional.normalize(given + noise, dim=-1)
        logits = model(given, tokens[:, :-1])
        return functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD
        )

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """The loss on held-out captions."""
        return mean_loss(self, model, loader)


class CaptionSource:
    """Embeddings, each with one of its captions, drawn anew in each epoch."""

    def __init__(self, vectors: NDArray[Any], tokens: Tensor, *, drawn: bool) -> None:
        self.vectors, self.tokens, self.drawn = vectors, tokens, drawn

    def __len__(self) -> int:
        return len(self.vectors)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Scenes ``indices``."""
        rows = np.array(indices)
        number = rng.integers(self.tokens.shape[1], size=len(rows)) if self.drawn else 0 * rows
        tokens = self.tokens[torch.from_numpy(rows), torch.from_numpy(number)]
        given = torch.from_numpy(self.vectors[rows]).float()
        return {"embeddings": given, "tokens": trimmed(tokens)}


class Captioner:
    """A trained captioner."""

    def __init__(self, network: CaptionNetwork, words: Vocabulary) -> None:
        self.network, self.words = network.eval().requires_grad_(False), words

    @torch.no_grad()
    def caption(self, embeddings: Float[Tensor, "images dim"], beams: int = 1) -> list[str]:
        """A sentence for each unit-length embedding: the likeliest words, or of ``beams`` paths."""
        ends = Ends(START, END, LENGTH, banned=(PAD, START))
        found = search(self.network.language, self.network.before(embeddings), ends, beams)
        return [self.words.decode(one.tokens) for one in found]


def train(config: CaptionerConfig, place: Workplace) -> Made:
    """Train the captioner, or resume; it needs the space."""
    space = place.needed("space")
    sides = {side: scene_sets(place.cache, side, config.scenes, config.seed) for side in Side}
    words = Vocabulary.of(
        caption for one in sides[Side.train] for caption in np.unique(one.captions).tolist()
    )
    name = place.identity_of("space")
    vectors = {
        side: [embeddings(one, space, name, config.scenes.chunk)["image"] for one in sets]
        for side, sets in sides.items()
    }
    ids = {side: np.concatenate([one.ids for one in sets]) for side, sets in sides.items()}

    def source(side: Side) -> CaptionSource:
        tokens = torch.cat([_tokens(one, words) for one in sides[side]])
        return CaptionSource(np.concatenate(vectors[side]), tokens, drawn=side is Side.train)

    data = TrainingData(
        train=source(Side.train),
        train_images=ids[Side.train],
        selection=SelectionSet("held", ids[Side.held], source(Side.held)),
        test_images=ids[Side.unseen],
    )
    network = seeded(
        config, lambda: CaptionNetwork(space.dim, config.prefix, language_model(len(words), config))
    )
    outcome = trained(network, CaptionTask(config.noise), data, config, place)
    captioner = Captioner(_as_captions(network), words)

    def save(folder: Path) -> None:
        _save(captioner, space.dim, folder)

    return Made(save, _scores(captioner, sides, vectors), outcome.steps)


def _as_captions(network: nn.Module) -> CaptionNetwork:
    if not isinstance(network, CaptionNetwork):
        raise TypeError(type(network).__name__)
    return network


def _tokens(one: SceneSet, words: Vocabulary) -> Tensor:
    flat = words.batch(one.captions.ravel().tolist(), LENGTH)
    return flat.reshape(*one.captions.shape, LENGTH)


def _scores(
    captioner: Captioner,
    sides: Mapping[Side, Sequence[SceneSet]],
    vectors: Mapping[Side, Sequence[NDArray[Any]]],
) -> dict[str, float]:
    found: dict[str, float] = {}
    device = next(captioner.network.parameters()).device
    for side in (Side.held, Side.unseen):
        for one, given in zip(sides[side], vectors[side], strict=True):
            told = captioner.caption(torch.from_numpy(np.array(given)).float().to(device))
            prefix = f"{side.value}.{one.called}"
            got = caption_scores(told, one.kinds.tolist())
            found |= {f"{prefix}.{name}": value for name, value in got.items()}
    return found


def _save(captioner: Captioner, dim: int, folder: Path) -> None:
    network = captioner.network
    facts = {"model_type": "neuroattn_captioner", "dim": dim, "prefix": network.tokens}
    write_json(folder / CONFIG, facts)
    save_file(half_weights(network.prefix), folder / PREFIX)
    captioner.words.save(folder / WORDS)
    language: Any = network.language
    _half_copy(language).save_pretrained(folder / LANGUAGE)
    captioner.words.tokeniser().save_pretrained(folder / LANGUAGE)


def _half_copy(language: Any) -> Any:
    """The same model in half precision; the one in use stays as it is."""
    other = type(language)(language.config)
    other.load_state_dict(language.state_dict())
    return other.half()


def read(folder: Path, device: torch.device) -> Captioner:
    """The captioner in a folder."""
    shape = read_json(folder / CONFIG)
    kind = transformers().GPT2LMHeadModel
    language = read_network(kind, folder / LANGUAGE, dtype=torch.float32)
    network = CaptionNetwork(int(shape["dim"]), int(shape["prefix"]), language)
    put_half_weights(network.prefix, folder / PREFIX)
    return Captioner(network.to(device), Vocabulary.read(folder / WORDS))


MAKER = Maker(
    about="Captioner of simulated scenes from embeddings of the image-text space.",
    limits="Speaks the simulator's small grammar alone; places and sizes are guesses.",
    data=lambda config: f"{in_words(config.scenes)}; as embeddings, with five captions each",
    train=train,
    read=read,
)
