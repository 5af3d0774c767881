"""What every method works with: a generator, a guide, and an account of what was computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from neuroattn.core.seeding import generator
from neuroattn.generators.contract import Condition, Generator, Level
from neuroattn.synthesis.guidance_schemas import Decoder, Gradient, GuidanceConfig

Value = Callable[[Tensor], Tensor]
Estimate = Callable[[Tensor, Tensor, Level], Tensor]  # clean, latents, level -> what is decoded


@dataclass
class Account:
    """Passes that one chunk has cost, each counted once for the whole chunk."""

    network: int = 0
    network_gradient: int = 0
    decoder: int = 0
    decoder_gradient: int = 0
    guide: int = 0
    guide_gradient: int = 0


@dataclass
class Scene:
    """What a method draws with.

    Parameters
    ----------
    value : pixels in [0, 1] to a value for each picture.
    text, guidance : what the generator is told (one for all pictures, or one for each), and by how
        much that is exaggerated.
    """

    generator: Generator
    value: Value
    text: str | Sequence[str] | None = None
    guidance: float = 1.0
    account: Account = field(default_factory=Account)

    def condition(self, count: int) -> Condition:
        """The condition of so many pictures."""
        text = [self.text] if isinstance(self.text, str) else self.text
        return self.generator.condition(count, text=text)

    def predict(self, latents: Tensor, level: Level, condition: Condition) -> Tensor:
        """The network's word, with a gradient where ``latents`` ask for one."""
        self.account.network += condition.passes(self.guidance)
        return self.generator.predict(latents, level, condition, self.guidance)

    def decode(self, latents: Tensor, decoder: Decoder = Decoder.full) -> Tensor:
        """Pixels, in single precision or better."""
        self.account.decoder += 1
        pixels = self.generator.decode(latents, guidance_path=decoder is Decoder.cheap)
        return pixels.to(torch.promote_types(pixels.dtype, torch.float32))

    def measure(self, pixels: Tensor) -> Tensor:
        """Values of pixels."""
        self.account.guide += 1
        return self.value(pixels)

    def backward(self) -> None:
        """Note a pass back through guide, decoder and network."""
        self.account.guide_gradient += 1
        self.account.decoder_gradient += 1
        self.account.network_gradient += 1


@dataclass(frozen=True, eq=False)
class Drawn:
    """A chunk of pictures.

    Parameters
    ----------
    failed : pictures whose gradient or latents were no numbers.
    norms : (images, steps) norms of the gradients before scale and unit, 0 where unguided.
    """

    pixels: Float[Tensor, "images 3 height width"]
    failed: Bool[Tensor, " images"]
    norms: Float[Tensor, "images steps"]


class Method(Protocol):
    """A way of making pictures for an objective; constructed with its config section."""

    def __init__(self, config: GuidanceConfig) -> None: ...

    def draw(self, scene: Scene, seeds: Sequence[int]) -> Drawn:
        """One picture for each seed."""

    def unguided(self) -> Method:
        """The same without guidance: same noise, same steps."""


@dataclass(frozen=True)
class Look:
    """What the guide is shown: which estimate, through which decoder, shifted how far at most."""

    estimate: Estimate
    decoder: Decoder
    shift: float = 0.0


def push(
    scene: Scene, latents: Tensor, level: Level, condition: Condition, look: Look
) -> tuple[Tensor, Tensor]:
    """The prediction, and the gradient of the summed values by the latents, through the network.

    Values are summed over the chunk: each picture's gradient is its own, however many there are.
    """
    with torch.enable_grad():
        noisy = latents.detach().requires_grad_()
        said = scene.predict(noisy, level, condition)
        clean = scene.generator.x0(noisy, said, level)
        shown = look.estimate(clean, noisy, level)
        pixels = scene.decode(shown, look.decoder)
        values = scene.measure(shifted(pixels, look.shift, level.index))
        gradient = pulled_back(values, shown, noisy)
    scene.backward()
    return said.detach(), gradient


def pulled_back(values: Float[Tensor, " images"], shown: Tensor, by: Tensor) -> Tensor:
    """The gradient of the summed values by latents, through what was ``shown``.

    Responses in small units (1e-6) have gradients that half precision rounds to 0. So each
    picture's goes through the network at a size of about 1: a power of two, which is exact, and
    taken off again.
    """
    (gradient,) = torch.autograd.grad(values.sum(), shown)
    factor = _to_about_one(gradient).view(-1, *[1] * (gradient.ndim - 1))
    (gradient,) = torch.autograd.grad(shown, by, gradient * factor)
    return gradient / factor


def _to_about_one(tensor: Tensor) -> Float[Tensor, " images"]:
    """The power of two that brings the root mean square of each picture's part to 0.5 to 1.

    1 where it is 0 or no number.
    """
    size = norms_of(tensor) / tensor[0].numel() ** 0.5
    factor = torch.frexp(size).mantissa / size
    return torch.where(torch.isfinite(factor), factor, torch.ones_like(factor))


def shifted(
    pixels: Float[Tensor, "images 3 height width"], share: float, step: int
) -> Float[Tensor, "images 3 height width"]:
    """Pixels moved by at most a share of the side, borders repeated.

    The shift is that of the step, for every picture and in every run: a picture depends neither
    on its chunk nor on how often a run was resumed.
    """
    reach = round(share * min(pixels.shape[-2:]))
    if reach == 0:
        return pixels
    down, right = generator(0, "synthesis", "shift", step).integers(0, 2 * reach + 1, size=2)
    wide = pad(pixels, (reach,) * 4, mode="replicate")
    height, width = pixels.shape[-2:]
    return wide[..., down : down + height, right : right + width]


def norms_of(tensor: Tensor) -> Float[Tensor, " images"]:
    """Euclidean norm of each picture's part."""
    norms: Tensor = tensor.flatten(1).norm(dim=1)
    return norms


def sound(tensor: Tensor) -> Bool[Tensor, " images"]:
    """Which pictures' parts are finite throughout."""
    whole: Tensor = torch.isfinite(tensor).flatten(1).all(1)
    return whole


def only(tensor: Tensor, rows: Bool[Tensor, " images"]) -> Tensor:
    """The tensor with zeros in the other rows, whatever stands there."""
    return torch.where(rows.view(-1, *[1] * (tensor.ndim - 1)), tensor, torch.zeros_like(tensor))


def sized(gradient: Tensor, kind: Gradient) -> Tensor:
    """The gradient as it is, or with a root mean square of 1 for each picture."""
    if kind is Gradient.raw:
        return gradient
    size = norms_of(gradient) / gradient[0].numel() ** 0.5
    inverse = torch.where(size > 0, 1 / size, torch.zeros_like(size))
    return gradient * inverse.view(-1, *[1] * (gradient.ndim - 1))


def finished(scene: Scene, latents: Tensor, failed: Tensor, norms: Sequence[Tensor]) -> Drawn:
    """Decode what a method has come to, with the full decoder."""
    failed = failed | ~sound(latents)
    with torch.no_grad():
        pixels = scene.decode(only(latents, ~failed))
    failed = failed | ~sound(pixels)
    table = torch.stack(list(norms), 1) if norms else latents.new_zeros(len(latents), 0)
    return Drawn(only(pixels, ~failed), failed, table)
