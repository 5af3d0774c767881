"""Synthesis: multiplications of the published recipe and of ours, for Stable Diffusion 2.1-base.

Passes are counted by running the methods themselves on a tiny generator; what a pass costs is
counted on meta tensors at full size (512 pixels, guide ViT-B/16 at 224). The floor of guidance
is one pass of the network for each step and one guided step. Multiplications are not seconds.

For seconds at equal effect, draw pictures with both methods on the same seeds, each at a scale
chosen on others, and name the two artefacts::

    NEUROATTN_SYNTHESIS=BASELINE,CANDIDATE python -m benchmarks synthesis_cost

Equal: the lower end of the paired interval of the judge's difference is above minus 5 % of the
baseline's gain over its unguided pictures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Table
from neuroattn.core.artefact import Artefact
from neuroattn.generators.families.embedded import from_diffusion
from neuroattn.generators.library import diffusers
from neuroattn.generators.sampling import LatentDiffusion
from neuroattn.stats.pictures import mean_and_interval
from neuroattn.synthesis.drawing import Scene
from neuroattn.synthesis.guidance_schemas import (
    BrainDiveConfig,
    Decoder,
    SteeredConfig,
    WindowedConfig,
    X0Config,
)
from neuroattn.synthesis.registry import GUIDANCE

GIGA = 1e9
RUNS = "NEUROATTN_SYNTHESIS"


def run(tiny: bool) -> Table:
    """Count, and compare artefacts if two are named."""
    units = _units(tiny)
    plans = _plans(tiny)
    table = {name: _total(_passes(config), units, config) for name, config in plans.items()}
    published = next(iter(table.values()))
    rows = [
        (name, f"{plans[name].steps}", f"{value / 1e3:,.1f} T", f"{published / value:.1f} x")
        for name, value in table.items()
    ]
    told = ", ".join(f"{name} {unit[0]:,.0f}/{unit[1]:,.0f}" for name, unit in units.items())
    note = f"G multiplications of a pass forward / forward and back to its input: {told}."
    return Table(
        title="Synthesis: multiplications for a guided picture, Stable Diffusion 2.1-base, 512 px",
        columns=("method", "steps", "multiplications", "cheaper"),
        rows=[*rows, *_measured()],
        notes=(note,),
    )


def _plans(tiny: bool) -> dict[str, SteeredConfig]:
    steps = (4, 2, 2) if tiny else (50, 20, 25)
    cheap = Decoder.cheap
    return {
        "published (BrainDiVE)": BrainDiveConfig(steps=steps[0]),
        "x0: one pass gives both": X0Config(steps=steps[0], sampler="dpm"),
        "x0, tiny decoder": X0Config(steps=steps[0], sampler="dpm", decoder=cheap),
        "x0, tiny decoder, fewer steps": X0Config(steps=steps[1], sampler="dpm", decoder=cheap),
        "windowed, full decoder: the last 60 %": WindowedConfig(
            steps=steps[1], sampler="dpm", decoder=Decoder.full
        ),
        "windowed, tiny decoder: the last 60 %": WindowedConfig(
            steps=steps[1], sampler="dpm", decoder=cheap
        ),
        "windowed, tiny decoder: every second step": WindowedConfig(
            steps=steps[2], sampler="dpm", decoder=cheap, start=0.0, every=2
        ),
    }


def _passes(config: SteeredConfig) -> Mapping[str, int]:
    """Passes of a method for one picture, counted while it runs."""
    library = diffusers()
    torch.manual_seed(0)
    unet = library.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=8,
        attention_head_dim=2, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = library.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
    scheduler = library.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False)
    frozen = [part.eval().requires_grad_(False) for part in (unet, vae)]
    scene = Scene(
        from_diffusion(LatentDiffusion(*frozen, scheduler)), lambda pixels: pixels.mean((1, 2, 3))
    )
    GUIDANCE.load(config.name)(config).draw(scene, [0])
    return asdict(scene.account)


def _total(
    passes: Mapping[str, int], units: Mapping[str, tuple[float, float]], config: SteeredConfig
) -> float:
    """G multiplications for a picture; the last decoding takes the full decoder."""
    guided = "tiny decoder" if config.decoder is Decoder.cheap else "decoder"
    network, guide = units["network"], units["guide"]
    back = {name: both - forward for name, (forward, both) in units.items()}
    return (
        passes["network"] * network[0]
        + passes["network_gradient"] * back["network"]
        + (passes["decoder"] - 1) * units[guided][0]
        + passes["decoder_gradient"] * back[guided]
        + units["decoder"][0]
        + passes["guide"] * guide[0]
        + passes["guide_gradient"] * back["guide"]
    )


def _units(tiny: bool) -> dict[str, tuple[float, float]]:
    """G multiplications forward, and forward and back to the input, of each part."""
    import transformers

    library, side = diffusers(), 16 if tiny else 64
    with torch.device("meta"):
        unet = library.UNet2DConditionModel(
            sample_size=64, cross_attention_dim=1024, attention_head_dim=[5, 10, 20, 20],
            use_linear_projection=True,
        )  # fmt: skip
        vae = library.AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        small = library.AutoencoderTiny()
        vit = transformers.CLIPVisionModel(
            transformers.CLIPVisionConfig(
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                patch_size=16,
            )
        )
        for part in (unet, vae, small, vit):
            part.eval().requires_grad_(False)
        latents, told = torch.zeros(1, 4, side, side), torch.zeros(1, 77, 1024)
        pixels = torch.zeros(1, 3, 224, 224)
        calls: dict[str, tuple[Callable[[Any], Any], torch.Tensor]] = {
            "network": (
                lambda x: unet(x, torch.zeros(1), encoder_hidden_states=told).sample, latents,
            ),
            "decoder": (lambda x: vae.decode(x).sample, latents),
            "tiny decoder": (lambda x: small.decode(x).sample, latents),
            "guide": (lambda x: vit(x).pooler_output, pixels),
        }  # fmt: skip
        return {
            name: (_multiplications(call, given, False), _multiplications(call, given, True))
            for name, (call, given) in calls.items()
        }


def _multiplications(call: Callable[[Any], Any], given: torch.Tensor, back: bool) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    leaf = given.clone().requires_grad_(back)
    counter = FlopCounterMode(display=False)
    with counter, torch.set_grad_enabled(back):
        out = call(leaf)
        if back:
            out.sum().backward()
    return counter.get_total_flops() / 2 / GIGA


def _measured() -> list[tuple[str, ...]]:
    """Two artefacts of ``synthesize`` side by side, if they are named."""
    named = os.environ.get(RUNS, "")
    if not named:
        return []
    pair = [Artefact(Path(one)) for one in named.split(",")]
    seconds = [one.provenance["wall_seconds"] / one.metrics["images"] for one in pair]
    tables = [one.table("images.tsv") for one in pair]
    gain, difference = fair(*tables)
    verdict = "equal" if difference[1] > -0.05 * gain else "not shown to be equal"
    rows = [
        (one.label, "", f"{spent:.2f} s a picture", f"{seconds[0] / spent:.1f} x")
        for one, spent in zip(pair, seconds, strict=True)
    ]
    told = (
        f"judge: candidate less baseline {difference[0]:+.3f} ({difference[1]:+.3f} to"
        f" {difference[2]:+.3f}), gain of the baseline {gain:.3f}"
    )
    return [*rows, (told, "", "", verdict)]


def fair(baseline: Any, candidate: Any) -> tuple[float, tuple[float, float, float]]:
    """The baseline's mean gain by the judge, and candidate less baseline with its interval."""
    key = ["objective", "seed"]

    def judged(table: Any, *, guided: bool) -> Any:
        rows = table[(table["method"] != "none") == guided]
        return rows.set_index(key)["judge_activation"].astype(float)

    base, other = judged(baseline, guided=True), judged(candidate, guided=True)
    both = base.index.intersection(other.index)
    none = judged(baseline, guided=False)
    gain = float((base - none.reindex(base.index)).mean())
    change = np.asarray(other.loc[both] - base.loc[both], dtype=np.float64)
    return gain, mean_and_interval(change, 2000)
