"""What all families of latent generators share: units, precision, levels, both decoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.generators.autoencoder import from_latents, to_latents
from neuroattn.generators.contract import Condition, Identity, Level, Schedule
from neuroattn.generators.parameters import clean_of, epsilon_of, of_scheduler, steered
from neuroattn.generators.sampling import to_pixels
from neuroattn.generators.solvers import own_sampler, schedule, seeded_noise

#: Texts to the network's tensors, (texts, …) each; encoders are loaded, used and dropped.
EncodeTexts = Callable[[Sequence[str]], dict[str, Tensor]]


@dataclass(frozen=True)
class Parts:
    """The networks of a latent generator, frozen, each on its device.

    Parameters
    ----------
    network : predicts; in the precision that was asked for.
    vae : in single precision, as half overflows in some families.
    tiny : the cheap decoder of the guidance path, where there is one.
    texts : None where the model takes no text.
    size : rows and columns of a latent; None takes the network's own.
    checkpointing : recompute the decoder in the backward pass: the same gradients, less memory.
    """

    network: Any
    vae: Any
    scheduler: Any
    identity: Identity
    tiny: Any = None
    texts: EncodeTexts | None = None
    size: tuple[int, int] | None = None
    checkpointing: bool = False


class LatentGenerator:
    """`contract.Generator` over diffusers' parts; a family says how its network is called."""

    caches_null = True

    def __init__(self, parts: Parts) -> None:
        self.parts, self.identity = parts, parts.identity
        self.prediction = self._prediction()
        self._told: dict[str, dict[str, Tensor]] = {}
        if parts.checkpointing:
            parts.vae.enable_gradient_checkpointing()
        if parts.texts is not None and self.caches_null:
            self._text([""])  # the null prompt, kept; the text encoders are gone again

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a latent."""
        config = self.parts.network.config
        rows, columns = self.parts.size or _pair(config.sample_size)
        return int(config.in_channels), rows, columns

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.parts.network.device
        return device

    @property
    def dim(self) -> int | None:
        """Numbers of an embedding that can drive it; None where none can."""
        return None

    def latents(self, seeds: Sequence[int]) -> Float[Tensor, "images channels rows columns"]:
        """Unit noise, each picture's from its own seed, drawn on the CPU in single precision."""
        drawn = torch.stack([seeded_noise(seed, self.shape) for seed in seeds])
        double = self.parts.network.dtype == torch.float64
        return drawn.to(self.device, torch.float64 if double else torch.float32)

    def schedule(
        self, steps: int, sampler: str | None = None, *, seeds: Sequence[int] | None = None
    ) -> Schedule:
        """A fresh schedule; see `contract.Generator.schedule`."""
        noising = self.parts.scheduler
        return schedule(
            noising, self.prediction, sampler or own_sampler(noising), steps, self.shape,
            device=self.device, seeds=seeds,
        )  # fmt: skip

    def condition(
        self,
        count: int,
        *,
        text: Sequence[str] | None = None,
        embeddings: Float[Tensor, "images dim"] | None = None,
    ) -> Condition:
        """The condition of ``count`` pictures; nothing given is the cached null prompt."""
        if text is not None and embeddings is not None:
            raise ConfigError(
                "a picture has one condition", expected="text or embeddings", found="both",
                fix="leave one of them out",
            )  # fmt: skip
        nothing = self._null(count)
        null = nothing if self.identity.true_null else None
        if text is not None:
            return Condition(count, self._texts_of(text, count), null)
        if embeddings is not None:
            self._check_embeddings(embeddings, count)
            told = self._embedded(embeddings.to(self.device, self.parts.network.dtype))
            return Condition(count, told, null)
        return Condition(count, nothing)

    def predict(
        self, latents: Tensor, level: Level, condition: Condition, guidance: float = 1.0
    ) -> Tensor:
        """The network's word; see `contract.Generator.predict`."""
        seen = latents * level.scale
        if condition.passes(guidance) == 1:
            return self._say(seen, level.time, condition.tensors)
        both = self._say(torch.cat([seen, seen]), level.time, condition.both())
        without, with_it = both.chunk(2)
        return without + guidance * (with_it - without)

    def x0(self, latents: Tensor, prediction: Tensor, level: Level) -> Tensor:
        """The clean latents that a prediction implies."""
        return clean_of(self.prediction, prediction, latents, level)

    def epsilon(self, latents: Tensor, prediction: Tensor, level: Level) -> Tensor:
        """The noise that a prediction implies."""
        return epsilon_of(self.prediction, prediction, latents, level)

    def steered(self, prediction: Tensor, gradient: Tensor, level: Level) -> Tensor:
        """The prediction after ``gradient`` is added to the score."""
        return steered(self.prediction, prediction, gradient, level)

    def noised(self, clean: Tensor, epsilon: Tensor, level: Level) -> Tensor:
        """``signal * clean + noise * epsilon``."""
        return level.signal * clean + level.noise * epsilon

    def decode(
        self, latents: Float[Tensor, "images channels rows columns"], *, guidance_path: bool = False
    ) -> Float[Tensor, "images 3 height width"]:
        """Pixels in [0, 1]; the tiny decoder reads the network's own units."""
        tiny, vae = self.parts.tiny, self.parts.vae
        if guidance_path and tiny is not None:
            return to_pixels(tiny.decode(latents.to(tiny.dtype)).sample)
        return to_pixels(vae.decode(from_latents(vae, latents.to(vae.dtype))).sample)

    def encode(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images channels rows columns"]:
        """Clean latents of pixels in [0, 1], in the network's units."""
        vae = self.parts.vae
        seen = 2 * pixels.to(vae.device, vae.dtype) - 1
        return to_latents(vae, vae.encode(seen).latent_dist.mode())

    # What a family says.

    def _prediction(self) -> str:
        return of_scheduler(self.parts.scheduler)

    def _call(self, latents: Tensor, time: Tensor, told: Mapping[str, Tensor]) -> Tensor:
        """The network on latents in its own precision."""
        raise NotImplementedError

    def _embedded(self, embeddings: Tensor) -> dict[str, Tensor]:
        """Tensors of embeddings, where they can drive the network."""
        raise _no_condition(self.identity, f"embeddings of {embeddings.shape[-1]} numbers")

    def _null(self, count: int) -> dict[str, Tensor]:
        """The condition that says nothing; by default that of the empty text."""
        return {name: _repeated(value, count) for name, value in self._text([""]).items()}

    # What follows from it.

    def _say(self, latents: Tensor, time: Tensor, told: Mapping[str, Tensor]) -> Tensor:
        out = self._call(latents.to(self.parts.network.dtype), time, told)
        return out.to(latents.dtype)

    def _texts_of(self, text: Sequence[str], count: int) -> dict[str, Tensor]:
        if isinstance(text, str) or len(text) not in (1, count):
            raise ConfigError(
                "the texts do not fit the pictures",
                expected=f"one text, or {count}",
                found="a bare string" if isinstance(text, str) else f"{len(text)} texts",
                fix="give a list with one text for each picture",
            )
        told = self._text(text)
        return told if len(text) == count else {n: _repeated(v, count) for n, v in told.items()}

    def _text(self, text: Sequence[str]) -> dict[str, Tensor]:
        """Tensors of texts; each text is encoded once."""
        if self.parts.texts is None:
            raise _no_condition(self.identity, "text")
        new = [one for one in dict.fromkeys(text) if one not in self._told]
        if new:
            made = self.parts.texts(new)
            for row, one in enumerate(new):
                self._told[one] = {
                    name: value[row : row + 1].to(self.device, self.parts.network.dtype)
                    for name, value in made.items()
                }
        found = [self._told[one] for one in text]
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    def _check_embeddings(self, embeddings: Tensor, count: int) -> None:
        if self.dim is None:
            raise _no_condition(self.identity, "embeddings")
        if tuple(embeddings.shape) != (count, self.dim):
            raise ConfigError(
                "the embeddings do not fit the generator",
                expected=f"({count}, {self.dim}): one for each picture, of the generator's size",
                found=tuple(embeddings.shape),
                fix="encode with the image-text space that the generator was trained with",
            )


class UNetGenerator(LatentGenerator):
    """A generator whose network is ``UNet2DConditionModel``; its self-attention can be read."""

    def _call(self, latents: Tensor, time: Tensor, told: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = self.parts.network(
            latents,
            time,
            encoder_hidden_states=told["encoder_hidden_states"],
            timestep_cond=told.get("timestep_cond"),
            added_cond_kwargs=self._added(told) or None,
        ).sample
        return out

    def _added(self, told: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the network is told beside the tokens: a pooled vector, if there is one."""
        return {name: told[name] for name in ("text_embeds",) if name in told}

    def predict_attended(
        self, latents: Tensor, level: Level, condition: Condition
    ) -> tuple[Tensor, Float[Tensor, "images rows columns"]]:
        """The prediction, and how much each place of the middle block is attended to."""
        from neuroattn.generators.families.attention import attended

        with attended(self.parts.network) as heard:
            said = self.predict(latents, level, condition)
        return said, heard.weights()


def _pair(size: Any) -> tuple[int, int]:
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _repeated(tensor: Tensor, count: int) -> Tensor:
    return tensor.expand(count, *tensor.shape[1:])


def _no_condition(identity: Identity, kind: str) -> ConfigError:
    return ConfigError(
        f"the generator {identity.name} takes no {kind}",
        expected="a condition that its network reads",
        found=kind,
        fix="leave the condition out, or choose another generator",
    )
