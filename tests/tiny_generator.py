"""A generator with random weights in diffusers' folder form: 32 x 32 pixels, fast."""

from __future__ import annotations

import os
from pathlib import Path

from neuroattn.core.atomic import write_json


def tiny_generator(folder: Path, *, prediction: str = "v_prediction") -> Path:
    """Write the generator to ``folder`` unless it is there, and return it."""
    if folder.exists():
        return folder
    import torch

    from neuroattn.generators import autoencoder, diffusion
    from neuroattn.generators.registry import AutoencoderConfig, GeneratorConfig, Prediction

    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    config = GeneratorConfig(
        widths=[8, 16], blocks=1, heads=2, norm_groups=4, prediction=Prediction(prediction)
    )
    pixels = AutoencoderConfig(widths=[8, 8, 8, 8], latent_channels=4, norm_groups=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = diffusion.unet(config, channels=4, side=4, dim=16)
        vae = autoencoder.network(pixels).vae
    unet.save_pretrained(draft / diffusion.UNET)
    vae.save_pretrained(draft / diffusion.VAE)
    diffusion.noising(config).save_pretrained(draft / diffusion.SCHEDULER)
    parts = {
        diffusion.UNET: ["diffusers", "UNet2DConditionModel"],
        diffusion.VAE: ["diffusers", "AutoencoderKL"],
        diffusion.SCHEDULER: ["diffusers", "DDIMScheduler"],
    }
    write_json(draft / diffusion.INDEX, {"_class_name": "DiffusionPipeline", **parts})
    draft.rename(folder)
    return folder
