"""The generator: a small latent diffusion model driven by embeddings of the image-text space.

Its condition is one token: an embedding of unit length times the root of its size, so that
captions, pictures and decoded brain responses all drive it. Zeros mean no condition. Half of
the training conditions are embeddings of captions, half of pictures; a tenth are zeros, for
classifier-free guidance (Ho and Salimans 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.core.atomic import write_json
from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.generators.autoencoder import read as read_autoencoder
from neuroattn.generators.autoencoder import remade
from neuroattn.generators.chunks import Arrays
from neuroattn.generators.embeddings import embeddings
from neuroattn.generators.exemplars import exemplar_scores, exemplars
from neuroattn.generators.latents import scene_latents
from neuroattn.generators.library import diffusers
from neuroattn.generators.making import Made, Maker, Workplace, seeded, trained
from neuroattn.generators.parameters import min_snr, target
from neuroattn.generators.registry import GeneratorConfig
from neuroattn.generators.sampling import LatentDiffusion, conditions
from neuroattn.generators.scenes import SceneSet, Side, drawn_sets, in_words, to_unit
from neuroattn.generators.tiny import read as read_tiny
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import SelectionSet, TrainingData

UNET, VAE, TINY, SCHEDULER, INDEX = "unet", "vae", "tiny", "scheduler", "model_index.json"
_JUDGED_AT_ONCE = 50


class Denoiser(nn.Module):
    """A network and the running mean of its weights, which is what samples.

    The mean is part of the module's state, so a resumed run has it. It takes the weights of
    the step before, with a decay that begins low (as in the exponential mean of diffusers).
    """

    def __init__(self, unet: nn.Module, mean: nn.Module, decay: float) -> None:
        super().__init__()
        self.unet, self.mean, self.decay = unet, mean.requires_grad_(False), decay
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.seen: Tensor

    def forward(self, latents: Tensor, steps: Tensor, given: Tensor) -> Tensor:
        """The network's prediction; in evaluation, that of the mean."""
        if self.training:
            self._follow()
        network: Any = self.unet if self.training else self.mean
        out: Tensor = network(latents, steps, encoder_hidden_states=given).sample
        return out

    @torch.no_grad()
    def _follow(self) -> None:
        count = int(self.seen)
        decay = min(self.decay, (1 + count) / (10 + count)) if count else 0.0
        for kept, now in zip(self.mean.parameters(), self.unet.parameters(), strict=True):
            kept.lerp_(now, 1 - decay)
        self.seen += 1


def unet(config: GeneratorConfig, channels: int, side: int, dim: int) -> Any:
    """An untrained denoising network.

    Attention to a condition of one token adds the same vector everywhere, so the condition also
    scales and shifts every normalisation (Dhariwal and Nichol 2021, section 3.1). Attention
    stands at the last stage alone: at the first it costs a third of a step.
    """
    plain = len(config.widths) - 1
    return diffusers().UNet2DConditionModel(
        sample_size=side, in_channels=channels, out_channels=channels,
        down_block_types=("DownBlock2D",) * plain + ("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * plain,
        block_out_channels=tuple(config.widths), layers_per_block=config.blocks,
        cross_attention_dim=dim, attention_head_dim=config.heads,
        addition_embed_type="text", addition_embed_type_num_heads=config.heads,
        resnet_time_scale_shift="scale_shift", norm_num_groups=config.norm_groups,
    )  # fmt: skip


def noising(config: GeneratorConfig) -> Any:
    """The noising process of training, and DDIM over it."""
    return diffusers().DDIMScheduler(
        num_train_timesteps=config.timesteps, beta_start=0.00085, beta_end=0.012,
        beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        timestep_spacing="trailing", prediction_type=config.prediction.value,
    )  # fmt: skip


@dataclass(frozen=True)
class DiffusionTask:
    """Squared error at a random step (DDPM, equation 14), weighted by `min_snr`."""

    config: GeneratorConfig
    scheduler: Any

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss at steps and noise from the run's own random stream."""
        latents = batch["mean"] + batch["sd"] * torch.randn_like(batch["mean"])
        kept = torch.rand(len(latents), device=latents.device) >= self.config.null_share
        steps = torch.randint(0, self.config.timesteps, (len(latents),), device=latents.device)
        given = conditions(batch["given"]) * kept[:, None, None]
        return self._error(model, latents, torch.randn_like(latents), steps, given)

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """The same error on held-out scenes, at steps and noise that never change."""
        stream, total, rows = torch.Generator().manual_seed(0), 0.0, 0
        for batch in loader:
            latents = batch["mean"]
            noise = torch.randn(latents.shape, generator=stream).to(latents.device)
            steps = torch.randint(0, self.config.timesteps, (len(latents),), generator=stream)
            error = self._error(
                model, latents, noise, steps.to(latents.device), conditions(batch["given"])
            )
            total, rows = total + float(error) * len(latents), rows + len(latents)
        return {"loss": total / rows}

    def _error(
        self, model: nn.Module, latents: Tensor, noise: Tensor, steps: Tensor, given: Tensor
    ) -> Tensor:
        noisy = self.scheduler.add_noise(latents, noise, steps)
        kept = self.scheduler.alphas_cumprod.to(latents.device)[steps].reshape(-1, 1, 1, 1)
        kind, levels = self.config.prediction.value, (kept.sqrt(), (1 - kept).sqrt())
        error = model(noisy, steps, given) - target(kind, latents, noise, *levels)
        loss: Tensor = (min_snr(kind, *levels, self.config.snr_cap) * error.square()).mean()
        return loss


class LatentSource:
    """Latents, each with an embedding of its picture or of one of its captions.

    Parameters
    ----------
    text_share : share of captions among the conditions; None always takes the first caption.
    """

    def __init__(self, latents: Arrays, vectors: Arrays, text_share: float | None) -> None:
        self.latents, self.vectors, self.text_share = latents, vectors, text_share

    def __len__(self) -> int:
        return len(self.latents["mean"])

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Scenes ``indices``."""
        rows = np.asarray(indices)
        number, told = 0 * rows, np.ones(len(rows), dtype=bool)
        if self.text_share is not None:
            number = rng.integers(self.vectors["text"].shape[1], size=len(rows))
            told = rng.random(len(rows)) < self.text_share
        text, image = self.vectors["text"][rows, number], self.vectors["image"][rows]
        return {
            "mean": torch.from_numpy(self.latents["mean"][rows]).float(),
            "sd": torch.from_numpy(self.latents["sd"][rows]).float(),
            "given": torch.from_numpy(np.where(told[:, None], text, image)).float(),
        }


def train(config: GeneratorConfig, place: Workplace) -> Made:
    """Train the generator, or resume; made from the space and both autoencoders."""
    space, vae = place.needed("space"), place.needed("autoencoder")
    sets = drawn_sets(place.cache, config.scenes, config.seed)
    chunk, sources = config.scenes.chunk, {}
    for side, one in sets.items():
        latents = scene_latents(one, vae, place.identity_of("autoencoder"), chunk)
        vectors = embeddings(one, space, place.identity_of("space"), chunk)
        share = config.text_share if side is Side.train else None
        sources[side] = LatentSource(latents, vectors, share)
    data = TrainingData(
        train=sources[Side.train],
        train_images=sets[Side.train].ids,
        selection=SelectionSet("held", sets[Side.held].ids, sources[Side.held]),
        test_images=sets[Side.unseen].ids,
    )
    shape = sources[Side.train].latents["mean"].shape
    model = seeded(config, lambda: _denoiser(config, shape[1], shape[2], space.dim))
    scheduler = noising(config)
    outcome = trained(model, DiffusionTask(config, scheduler), data, config, place)
    mean: Any = model.mean
    made = LatentDiffusion(unet=mean, vae=vae, scheduler=scheduler)
    scores = _scores(made, config, place)

    def save(folder: Path) -> None:
        _save(mean, scheduler, place, folder)

    best = {"held.loss": float(outcome.best.value or np.nan)}
    return Made(save, best | scores, outcome.steps)


def _denoiser(config: GeneratorConfig, channels: int, side: int, dim: int) -> Denoiser:
    first = unet(config, channels, side, dim)
    mean = unet(config, channels, side, dim)
    mean.load_state_dict(first.state_dict())
    return Denoiser(first, mean, config.ema)


def _scores(made: LatentDiffusion, config: GeneratorConfig, place: Workplace) -> dict[str, float]:
    """What the referee says of pictures generated from held-out captions, and of real ones.

    ``remade`` are the real ones through the autoencoder, which bounds what can be drawn.
    """
    referee, space = place.needed("referee"), place.needed("space")
    sets = drawn_sets(place.cache, config.scenes, config.seed)
    vectors = embeddings(sets[Side.train], space, place.identity_of("space"), config.scenes.chunk)
    known = exemplars(sets[Side.train], vectors["image"])
    found: dict[str, float] = {}
    for side in (Side.held, Side.unseen):
        one = sets[side]
        count = min(config.judged, len(one))
        if count == 0:
            continue
        given = space.encode_text(one.captions[:count, 0].tolist())
        pictures = torch.cat(
            [
                made.sample(
                    given[start : start + _JUDGED_AT_ONCE],
                    seeds=range(start, min(start + _JUDGED_AT_ONCE, count)),
                    steps=config.steps,
                    guidance=config.guidance,
                )
                for start in range(0, count, _JUDGED_AT_ONCE)
            ]
        )
        real = to_unit(one.pixels[:count]).to(pictures.device)
        again = torch.cat([remade(made.vae, part) for part in torch.split(real, _JUDGED_AT_ONCE)])
        for name, shown in (("generated", pictures), ("remade", again), ("real", real)):
            got = judged(referee.judge(shown)["presence"].cpu(), one.presence[:count])
            with torch.no_grad():
                seen = space.encode_image(shown).cpu().numpy()
            got |= exemplar_scores(seen, one.kinds[:count], known)
            found |= {f"{side.value}.{name}.{key}": value for key, value in got.items()}
        for key, value in nearest(pictures.cpu(), sets[Side.train]).items():
            found[f"{side.value}.{key}"] = value
    return found


def judged(presence: Tensor, truth: Any) -> dict[str, float]:
    """Share of wanted categories that the referee finds, of false ones, and balanced accuracy.

    ``foremost`` is the share of pictures whose most evident category was wanted, ``exact`` that of
    those without any wrong verdict.
    """
    there, wanted = presence.numpy() > 0.5, np.asarray(truth) > 0
    hit, false = float(there[wanted].mean()), float(there[~wanted].mean())
    exact = float((there == wanted).all(axis=1).mean())
    foremost = float(wanted[np.arange(len(wanted)), presence.numpy().argmax(axis=1)].mean())
    each = {
        f"found.{name}": float(there[wanted[:, n], n].mean())
        for n, name in enumerate(CATEGORIES)
        if wanted[:, n].any()
    }
    both = {"found": hit, "false": false, "accuracy": (hit + 1 - false) / 2}
    return both | {"exact": exact, "foremost": foremost} | each


def nearest(pictures: Float[Tensor, "images 3 side side"], scenes: SceneSet) -> dict[str, float]:
    """Root mean squared difference to the nearest training scene: 0 would be a copy."""
    flat = pictures.flatten(1)
    best = torch.full((len(flat),), torch.inf)
    for start in range(0, len(scenes), 2000):
        there = to_unit(scenes.pixels[start : start + 2000]).flatten(1)
        best = torch.minimum(best, torch.cdist(flat, there).amin(dim=1))
    rms = best / flat.shape[1] ** 0.5
    return {"nearest.median": float(rms.median()), "nearest.least": float(rms.min())}


def _save(mean: Any, scheduler: Any, place: Workplace, folder: Path) -> None:
    """The folder of a pipeline of diffusers, whose parts load one by one."""
    parts = {
        UNET: ("diffusers", "UNet2DConditionModel"),
        VAE: ("diffusers", "AutoencoderKL"),
        TINY: ("diffusers", "AutoencoderTiny"),
        SCHEDULER: ("diffusers", "DDIMScheduler"),
    }
    head = {"_class_name": "DiffusionPipeline", "_diffusers_version": diffusers().__version__}
    write_json(folder / INDEX, head | {name: list(of) for name, of in parts.items()})
    mean.half().save_pretrained(folder / UNET)
    for name, reader in ((VAE, read_autoencoder), (TINY, read_tiny)):
        source = place.root / ("autoencoder" if name == VAE else "tiny_autoencoder")
        part = reader(source, torch.device("cpu"))
        part.register_to_config(_name_or_path="")  # no path of the machine that made it
        part.half().save_pretrained(folder / name)
    scheduler.save_pretrained(folder / SCHEDULER)


def read(folder: Path, device: torch.device) -> LatentDiffusion:
    """The generator in a folder."""
    from neuroattn.generators.sampling import read_parts

    return read_parts(folder, device)


MAKER = Maker(
    about="Latent diffusion over simulated scenes of 64 pixels, driven by the image-text space.",
    limits="Simulated scenes alone: one thing, large and in the middle, wherever the text puts it."
    " Most animals and vehicles stay blurs, and which kind of a category is drawn is seldom right"
    " (scores found.*, exemplar.*).",
    data=lambda config: f"{in_words(config.scenes, drawn=True)}; as latents",
    train=train,
    read=read,
    score=lambda config, place: _scores(place.needed("generator"), config, place),
)
