"""Where the files of a generator stand: inside the package, in a folder, in the hub's cache.

Light enough for a plan: nothing is loaded, and nothing is ever downloaded. Digests of the files
enter the fingerprint, whatever the revision was called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.files import read_json_input
from neuroattn.features.hub_files import cached
from neuroattn.generators.cards import how_to_build
from neuroattn.generators.loading import files_of, find
from neuroattn.generators.registry import MODELS, GeneratorChoice

INDEX = "model_index.json"
#: Pipelines that embeddings of images drive and no text does, by the class that an index names.
IMAGE_DRIVEN = ("StableDiffusionImageVariationPipeline",)
BY_SPACE, SPACE = "DiffusionPipeline", "space"  # told by the space in the folder beside it
_READ = (".json", ".txt", ".model")  # configurations and vocabularies
#: Parts that an adapter reads; a checker or an extractor changes no picture here.
_PARTS = ("unet", "transformer", "vae", "tiny", "scheduler", "tokenizer", "text_encoder")


def leaves(config: GeneratorChoice) -> Mapping[str, Path]:
    """Files that decide what the generator draws, by stable name.

    Raises
    ------
    MissingDataError : the model is not on this machine, or lacks a part.
    """
    folder = find_folder(config)
    found = {f"{config.name}/{name}": path for name, path in _files(folder, config.variant)}
    if config.tiny:
        tiny = find_tiny(config)
        found |= {f"{config.name}/tiny/{name}": path for name, path in _part(tiny, None)}
    return found


def text_leaves(config: GeneratorChoice) -> Mapping[str, Path]:
    """Files outside the generator that decide what it is told by a text, by stable name.

    Raises
    ------
    ConfigError : no text drives it.
    MissingDataError : it is told by an image-text space, and that is not beside it.
    """
    folder = find_folder(config)
    kind = read_json_input(folder / INDEX).get("_class_name", "")
    if kind in IMAGE_DRIVEN:
        raise ConfigError(
            "this generator takes no text, so no caption can be drawn with it",
            file=folder,
            expected="a generator that texts drive, as embedded or sd15",
            found=f"{config.name} ({kind})",
            fix="set generator=embedded, or another one that takes text",
        )
    if kind != BY_SPACE:
        return {}
    files = files_of(folder.parent / SPACE)
    return {f"{config.name}/{SPACE}/{name}": path for name, path in files.items()}


def find_folder(config: GeneratorChoice) -> Path:
    """The model's folder.

    Raises
    ------
    ConfigError : none is named.
    MissingDataError : it is not on this machine, or no model of diffusers.
    """
    if not config.model:
        raise ConfigError(
            "no generator is named",
            expected="generator.model=FOLDER, or a hub id",
            found="nothing",
            fix="set generator.model, or take generator=embedded",
        )
    if config.model in MODELS:
        folder = find(config.model)
    else:
        named = user_path(config.model)
        folder = named if named.is_dir() else cached(config.model, config.revision, "generator")
    if not (folder / INDEX).is_file():
        embedded = config.model in MODELS
        raise MissingDataError(
            "this folder holds no generator",
            file=folder,
            expected=INDEX,
            found="a folder without it" if folder.is_dir() else "no folder",
            fix=how_to_build(folder)
            if embedded
            else f"set generator.model to a hub id, or to a folder with {INDEX}",
        )
    return folder


def find_tiny(config: GeneratorChoice) -> Path:
    """The folder of the cheap decoder that was named.

    Raises
    ------
    MissingDataError : it is not on this machine.
    """
    named = user_path(config.tiny)
    return named if named.is_dir() else cached(config.tiny, None, "generator", "tiny")


def _files(folder: Path, variant: str | None) -> Iterator[tuple[str, Path]]:
    yield INDEX, folder / INDEX
    index = read_json_input(folder / INDEX)
    for part, entry in sorted(index.items()):
        used = part.startswith(_PARTS) and isinstance(entry, list) and all(entry)
        if used and (folder / part).is_dir():
            for name, path in _part(folder / part, variant):
                yield f"{part}/{name}", path


def _part(folder: Path, variant: str | None) -> Iterator[tuple[str, Path]]:
    """Configurations, and the weights of the variant (with their index where they are cut)."""
    for path in sorted(folder.iterdir()):
        if path.suffix in _READ and ".index." not in path.name:
            yield path.name, path
    weights = [path for path in sorted(folder.glob("*.safetensors")) if _variant(path) == variant]
    networks = (folder / "config.json").is_file()
    if networks and not weights:
        raise DataError(
            "a part of the generator has no safetensors",
            file=folder,
            expected=f"*.{variant}.safetensors" if variant else "*.safetensors",
            found=", ".join(sorted(path.name for path in folder.iterdir())),
            fix="save it again with save_pretrained, or set generator.variant to what is there",
        )
    yield from ((path.name, path) for path in weights)


def _variant(path: Path) -> str | None:
    """``fp16`` of ``model.fp16.safetensors`` and of ``model.fp16-00001-of-00002.safetensors``."""
    parts = path.name.removesuffix(".safetensors").split(".")
    return parts[1].split("-")[0] if len(parts) > 1 else None
