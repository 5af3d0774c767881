"""One tiny random pipeline a family, built from its configuration and saved as diffusers does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

WORDS = ["a", "photo", "of", "cat", "dog", "!"]
SIDE = 8  # rows and columns of a latent
NOISING = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "steps_offset": 1,
}  # fmt: skip


def _seeded(kind: Callable[..., Any], *given: Any, **named: Any) -> Any:
    torch.manual_seed(0)
    return kind(*given, **named)


def vae(channels: int = 4, **more: Any) -> Any:
    return _seeded(
        diffusers.AutoencoderKL, block_out_channels=(8, 8), latent_channels=channels,
        norm_num_groups=4, sample_size=2 * SIDE, down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, **more,
    )  # fmt: skip


def unet(wide: int, **more: Any) -> Any:
    named = {
        "sample_size": SIDE, "block_out_channels": (8, 16), "layers_per_block": 1,
        "cross_attention_dim": wide, "attention_head_dim": 2, "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }  # fmt: skip
    return _seeded(diffusers.UNet2DConditionModel, **(named | more))


def clip(wide: int = 16, *, projected: bool = False) -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=300, hidden_size=wide, intermediate_size=wide, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=12, projection_dim=wide, eos_token_id=2,
    )  # fmt: skip
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return _seeded(kind, config)


def tokeniser(folder: Path) -> Any:
    """CLIP's own class over letters and a few words."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(n) for n in range(33, 127)]
    entries = [
        "<|startoftext|>",
        "x</w>",
        "<|endoftext|>",
        *letters,
        *(f"{c}</w>" for c in letters),
    ]
    vocabulary = {word: n for n, word in enumerate(dict.fromkeys(entries))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=12)


def t5(wide: int = 24) -> Any:
    config = transformers.T5Config(
        vocab_size=64, d_model=wide, d_kv=4, d_ff=8, num_layers=1, num_heads=2
    )
    return _seeded(transformers.T5EncoderModel, config)


def word_tokeniser() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: n for n, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def save(folder: Path, kind: str, parts: dict[str, Any], **index: Any) -> Path:
    """The folder of a pipeline: its index, and each part by the library's own means."""
    rows = {}
    for name, part in parts.items():
        rows[name] = [type(part).__module__.split(".")[0], type(part).__name__]
        part.save_pretrained(folder / name)
    head = {"_class_name": kind, "_diffusers_version": diffusers.__version__}
    (folder / "model_index.json").write_text(json.dumps(head | index | rows))
    return folder


def stable_diffusion(folder: Path, **more: Any) -> Path:
    """Version 1 or 2; further settings are those of the scheduler."""
    return save(folder, "StableDiffusionPipeline", {
        "unet": unet(16), "vae": vae(), "text_encoder": clip(),
        "tokenizer": tokeniser(folder / "tokenizer"),
        "scheduler": diffusers.DDIMScheduler(**(NOISING | {"clip_sample": False} | more)),
    })  # fmt: skip


def turbo(folder: Path) -> Path:
    scheduler = diffusers.EulerDiscreteScheduler(**NOISING, timestep_spacing="trailing")
    stable_diffusion(folder)
    scheduler.save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "EulerDiscreteScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def consistency(folder: Path) -> Path:
    return save(folder, "LatentConsistencyModelPipeline", {
        "unet": unet(16, time_cond_proj_dim=6), "vae": vae(), "text_encoder": clip(),
        "tokenizer": tokeniser(folder / "tokenizer"),
        "scheduler": diffusers.LCMScheduler(**NOISING),
    })  # fmt: skip


def xl(folder: Path) -> Path:
    wide = unet(
        40, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=24 + 6 * 4, transformer_layers_per_block=1,
    )  # fmt: skip
    return save(folder, "StableDiffusionXLPipeline", {
        "unet": wide, "vae": vae(), "text_encoder": clip(16),
        "text_encoder_2": clip(24, projected=True),
        "tokenizer": tokeniser(folder / "tokenizer"),
        "tokenizer_2": tokeniser(folder / "tokenizer_2"),
        "scheduler": diffusers.EulerDiscreteScheduler(**NOISING),
    }, force_zeros_for_empty_prompt=True)  # fmt: skip


def three(folder: Path) -> Path:
    network = _seeded(
        diffusers.SD3Transformer2DModel, sample_size=SIDE, patch_size=2, in_channels=4,
        out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=48, caption_projection_dim=16, pooled_projection_dim=40,
        pos_embed_max_size=SIDE,
    )  # fmt: skip
    return save(folder, "StableDiffusion3Pipeline", {
        "transformer": network, "vae": vae(scaling_factor=1.5305, shift_factor=0.0609),
        "text_encoder": clip(16, projected=True), "text_encoder_2": clip(24, projected=True),
        "text_encoder_3": t5(48),
        "tokenizer": tokeniser(folder / "tokenizer"),
        "tokenizer_2": tokeniser(folder / "tokenizer_2"), "tokenizer_3": word_tokeniser(),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    })  # fmt: skip


def variation(folder: Path) -> Path:
    return save(folder, "StableDiffusionImageVariationPipeline", {
        "unet": unet(16), "vae": vae(), "scheduler": diffusers.PNDMScheduler(**NOISING),
    })  # fmt: skip


def embedded(folder: Path) -> Path:
    tiny = _seeded(
        diffusers.AutoencoderTiny, encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1),
        latent_channels=4,
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(
        **NOISING, clip_sample=False, prediction_type="v_prediction"
    )
    parts = {"unet": unet(16), "vae": vae(), "tiny": tiny, "scheduler": scheduler}
    return save(folder, "DiffusionPipeline", parts)


BUILDERS = {
    "embedded": embedded, "stable_diffusion": stable_diffusion, "turbo": turbo,
    "lcm": consistency, "sdxl": xl, "sd3": three, "image_variation": variation,
}  # fmt: skip
