"""The referee: an independent detector of things, attributes and places, from pixels alone.

It judges generated pictures and captions, so it shares no weights, scenes, exemplars or network
with anything that guides them: it learns from drawings, words and photographs set apart.
Each category has a map of evidence; presence is its soft maximum, and attributes are read where
the evidence is, so that those of two things do not mix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.core.atomic import read_json, write_json
from neuroattn.data.simulate.scene import CATEGORIES, PLACES
from neuroattn.generators.autoencoder import remade
from neuroattn.generators.making import (
    Made,
    Maker,
    Workplace,
    half_weights,
    put_half_weights,
    seeded,
    trained,
)
from neuroattn.generators.registry import RefereeConfig
from neuroattn.generators.scenes import (
    JUDGED,
    SceneSet,
    SceneSource,
    Side,
    drawn_layout,
    fitted,
    in_words,
    scene_sets,
)
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import SelectionSet, TrainingData

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_SHARPNESS = 4.0  # of the soft maximum: large is the maximum, small the mean
_CELLS = 8  # to a side, of the field that bends pictures: as coarse as latents usually are
#: Sizes at which it judges, as shares of `side`: it learned from both layouts at one size.
LOOKS: Final = (1.0, 1.2)


class Block(nn.Module):
    """Two convolutions beside a shortcut, halving the size."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.short = nn.Conv2d(before, after, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(after) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        """Maps of half the size."""
        inner = functional.relu(self.norms[0](self.first(x)))
        short = functional.avg_pool2d(self.short(x), 2, ceil_mode=True)
        return functional.relu(self.norms[1](self.second(inner)) + short)


class RefereeNetwork(nn.Module):
    """Pixels at the referee's size to logits and attributes.

    Parameters
    ----------
    widths : channels of the stages, each of half the size of the one before.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(Block(before, after) for before, after in zip([3, *widths], widths, strict=False))
        )
        last, kinds = widths[-1], len(CATEGORIES)
        self.evidence = nn.Conv2d(last, kinds, 1)
        self.attributes = nn.Conv2d(last, kinds * len(JUDGED), 1)
        self.place = nn.Linear(last, len(PLACES))

    def forward(self, pixels: Float[Tensor, "images 3 side side"]) -> dict[str, Tensor]:
        """``presence`` (images, categories) and ``place`` logits; ``attributes``."""
        maps = self.body(2 * pixels - 1)
        evidence = self.evidence(maps).flatten(2)
        found = self.attributes(maps).flatten(2).unflatten(1, (len(CATEGORIES), len(JUDGED)))
        where = torch.softmax(_SHARPNESS * evidence, dim=-1)
        return {
            "presence": (where * evidence).sum(dim=-1),
            "attributes": torch.einsum("bcp,bcap->bca", where, found),
            "place": self.place(maps.mean(dim=(2, 3))),
        }


@dataclass(frozen=True)
class RefereeTask:
    """Presence by cross-entropy, attributes of present things by squared error, place."""

    config: RefereeConfig

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of pictures made worse at random, as generated ones are."""
        return self._loss(model(self.worsened(batch["pixels"])), batch)

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """Scores of `scores`, and the loss on clean pictures."""
        said, truth, losses = [], [], []
        for batch in loader:
            out = model(batch["pixels"])
            losses.append(float(self._loss(out, batch)) * len(batch["pixels"]))
            said.append({name: value.cpu() for name, value in out.items()})
            truth.append({name: value.cpu() for name, value in batch.items() if name != "pixels"})
        return {
            "loss": sum(losses) / sum(len(one["place"]) for one in truth),
            **scores(_together(said), _together(truth)),
        }

    def worsened(self, pixels: Tensor) -> Tensor:
        """Pictures at random resolutions, a quarter of a batch alike, and with random noise.

        Every other one is bent and stained as well: what is drawn from a few latents has edges,
        but they are not where they should be.
        """
        side = pixels.shape[-1]
        shown = pixels.clone()
        shown[::2] = stained(bent(shown[::2], self.config.warp), self.config.stain)
        shares = torch.empty(4).uniform_(self.config.coarsest, 1).tolist()
        parts = zip(shown.chunk(4), shares, strict=False)
        rough = torch.cat(
            [fitted(fitted(part, max(8, round(share * side))), side) for part, share in parts]
        )
        noise = self.config.noise * torch.rand(len(pixels), 1, 1, 1, device=pixels.device)
        return (rough + noise * torch.randn_like(rough)).clamp(0, 1)

    def _loss(self, out: dict[str, Tensor], batch: Batch) -> Tensor:
        presence = batch["presence"]
        there = functional.binary_cross_entropy_with_logits(out["presence"], presence)
        error = (out["attributes"] - batch["attributes"]).square().mean(dim=-1)
        shown = (error * presence).sum() / presence.sum().clamp(min=1)
        place = functional.cross_entropy(out["place"], batch["place"])
        return there + self.config.attribute_weight * shown + 0.5 * place


def scores(said: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> dict[str, float]:
    """Balanced accuracy of each category, their mean, r of each attribute, accuracy of the place.

    ``truth`` has presence, attributes and place; ``said`` what the network gives.
    """
    there, presence = said["presence"] > 0, truth["presence"] > 0
    found: dict[str, float] = {}
    for number, category in enumerate(CATEGORIES):
        sides = [presence[:, number], ~presence[:, number]]
        right = there[:, number] == presence[:, number]
        parts = [float(right[side].float().mean()) for side in sides if bool(side.any())]
        found[f"accuracy.{category}"] = sum(parts) / len(parts)
    found["accuracy"] = sum(found.values()) / len(CATEGORIES)
    found["exact"] = float((there == presence).all(dim=1).float().mean())
    for number, name in enumerate(JUDGED):
        pair = torch.stack([x["attributes"][..., number][presence] for x in (said, truth)])
        r = float(torch.corrcoef(pair)[0, 1]) if pair.shape[1] > 2 else 0.0
        found[f"r.{name}"] = r if np.isfinite(r) else 0.0
    found["place"] = float((said["place"].argmax(dim=1) == truth["place"]).float().mean())
    return found


def _together(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def bent(pixels: Float[Tensor, "images 3 side side"], amount: float) -> Tensor:
    """Pictures pulled about by a smooth random field of `_CELLS` x `_CELLS` displacements.

    Parameters
    ----------
    amount : largest deviation of a displacement, of the side; each picture draws its own.
    """
    deviation = 2 * amount * torch.rand(len(pixels), 1, 1, 1)  # the grid below is 2 wide
    field = _smooth(deviation * torch.randn(len(pixels), 2, _CELLS, _CELLS), pixels)
    still = torch.eye(2, 3).expand(len(pixels), 2, 3)
    grid = functional.affine_grid(still, list(pixels.shape), align_corners=False).to(pixels)
    moved = grid + field.permute(0, 2, 3, 1)
    return functional.grid_sample(pixels, moved, padding_mode="border", align_corners=False)


def stained(pixels: Float[Tensor, "images 3 side side"], amount: float) -> Tensor:
    """Pictures with smooth random colour of half the size of `bent`'s cells.

    Parameters
    ----------
    amount : largest deviation, of pixels in [0, 1]; each picture draws its own.
    """
    deviation = amount * torch.rand(len(pixels), 1, 1, 1)
    blots = deviation * torch.randn(len(pixels), 3, 2 * _CELLS, 2 * _CELLS)
    return (pixels + _smooth(blots, pixels)).clamp(0, 1)


def _smooth(field: Tensor, pixels: Tensor) -> Tensor:
    """A coarse field at the size of the pictures."""
    size = pixels.shape[-2:]
    return functional.interpolate(field, size=size, mode="bicubic").to(pixels)


def even_odds(network: RefereeNetwork, shares: NDArray[Any]) -> None:
    """Move evidence so that a category counts as likely to be there as not, before any look.

    Without it a network expects what was rare in training to be rare, and when in doubt misses
    it: a quarter of the training pictures show a given category.

    Parameters
    ----------
    shares : (categories,) of the training pictures that show each.

    Source: Menon et al. 2021, section 4.1: post-hoc adjustment of the logits.
    """
    prior = torch.from_numpy(np.clip(shares, 1e-3, 1 - 1e-3))
    with torch.no_grad():
        assert network.evidence.bias is not None
        network.evidence.bias -= torch.logit(prior).to(network.evidence.bias)


class Looks(nn.Module):
    """A network's mean answer to pictures of any size over `LOOKS`.

    Things are small in large pictures and large in small ones; each is seen best at another size.
    """

    def __init__(self, network: RefereeNetwork, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side

    def forward(self, pixels: Float[Tensor, "images 3 height width"]) -> dict[str, Tensor]:
        """As `RefereeNetwork` gives it."""
        outs = [self.network(fitted(pixels, round(look * self.side))) for look in LOOKS]
        return {name: torch.stack([out[name] for out in outs]).mean(dim=0) for name in outs[0]}


class Referee:
    """A trained referee for pictures of any size."""

    def __init__(self, network: RefereeNetwork, side: int) -> None:
        self.network = Looks(network, side).eval().requires_grad_(False)

    @torch.no_grad()
    def judge(self, pixels: Float[Tensor, "images 3 height width"]) -> dict[str, Tensor]:
        """Probability of each category and place, and the attributes, for pixels in [0, 1].

        Categories are judged at even odds (`even_odds`).
        """
        out = self.network(pixels)
        return {
            "presence": torch.sigmoid(out["presence"]),
            "attributes": out["attributes"],
            "place": torch.softmax(out["place"], dim=1),
        }


class Remade(SceneSource):
    """Scenes as an autoencoder gives them back: generated pictures whose content is known."""

    def __init__(self, sets: Sequence[SceneSet], side: int, vae: Any) -> None:
        super().__init__(sets, side)
        self.vae = vae

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Scenes ``indices``, made again."""
        given = super().batch(indices, rng)
        return {**given, "pixels": remade(self.vae, given["pixels"]).cpu()}


def evaluated(referee: Referee, config: RefereeConfig, place: Workplace) -> dict[str, float]:
    """Scores on held-out scenes by layout, of its own sources and of those that others learned.

    ``remade`` are those of the layout that a generator draws, through the autoencoder.
    """
    found: dict[str, float] = {}
    task, vae = RefereeTask(config), place.needed("autoencoder")
    for side in (Side.held, Side.unseen):
        for one in scene_sets(place.cache, side, config.scenes, config.seed):
            pixels = one.pixels.shape[1]
            sources = {one.called: SceneSource([one], pixels)}
            if one.layout == drawn_layout(config.scenes.near):
                sources["remade"] = Remade([one], pixels, vae)
            for called, source in sources.items():
                loader = EvaluationLoader(source, config.training.batch_size, place.device)
                with torch.no_grad():
                    got = task.evaluate(referee.network, loader)
                found |= {f"{side.value}.{called}.{name}": value for name, value in got.items()}
    return found


def train(config: RefereeConfig, place: Workplace) -> Made:
    """Train the referee, or resume."""
    seen = SceneSource(scene_sets(place.cache, Side.train, config.scenes, config.seed), config.side)
    held = SceneSource(scene_sets(place.cache, Side.held, config.scenes, config.seed), config.side)
    unseen = scene_sets(place.cache, Side.unseen, config.scenes, config.seed)
    data = TrainingData(
        train=seen,
        train_images=seen.ids,
        selection=SelectionSet("held", held.ids, held),
        test_images=np.concatenate([one.ids for one in unseen]),
    )
    network: Any = seeded(config, lambda: RefereeNetwork(config.widths))
    outcome = trained(network, RefereeTask(config), data, config, place)
    even_odds(network, np.concatenate([one.presence for one in seen.sets]).mean(axis=0))

    def save(folder: Path) -> None:
        write_json(folder / CONFIG, {"model_type": "neuroattn_referee", **_shape(config)})
        save_file(half_weights(network), folder / WEIGHTS)

    made = Referee(network, config.side)
    return Made(save, evaluated(made, config, place), outcome.steps)


def _shape(config: RefereeConfig) -> dict[str, Any]:
    return {
        "side": config.side,
        "widths": list(config.widths),
        "categories": list(CATEGORIES),
        "places": list(PLACES),
        "attributes": list(JUDGED),
    }


def read(folder: Path, device: torch.device) -> Referee:
    """The referee in a folder."""
    shape = read_json(folder / CONFIG)
    network = RefereeNetwork(shape["widths"])
    put_half_weights(network, folder / WEIGHTS)
    return Referee(network.to(device), int(shape["side"]))


MAKER = Maker(
    about="Detector of things, their attributes and the place in simulated scenes.",
    limits="Knows six categories, six places and the simulator's drawings; of photographs twenty"
    " faces and hardly anything else. Of pictures that one thing fills, faces and animals it does"
    " not know are missed most.",
    data=lambda config: f"{in_words(config.scenes)}; with their truth",
    train=train,
    read=read,
    score=lambda config, place: evaluated(place.needed("referee"), config, place),
)
