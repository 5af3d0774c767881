"""Stage ``features``: a frozen network over every picture of a prepared dataset, stored as fp16.

Pictures go through the network in fixed groups, the last one padded, because the last bit of
a float depends on how many pictures share a call. Each group is computed by one thread, and
as many groups at once as there are threads: twice the speed of two threads on one group, and
the same bytes for any number of threads. A run that resumes computes whole groups again.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import DataError
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.dataset import Stimuli, open_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig
from neuroattn.data.stimuli import read_with_digest
from neuroattn.features.backbones import Backbone, choose_device, exact_kernels
from neuroattn.features.blur import Blur, levels
from neuroattn.features.blur_schemas import BlurConfig, BlurKind
from neuroattn.features.images import fit_picture
from neuroattn.features.parallel import ordered_map
from neuroattn.features.registry import BACKBONES, BackboneConfig, SourceConfig
from neuroattn.features.rows import store_files, to_half
from neuroattn.features.sources import run as run_source
from neuroattn.features.store import (
    IMAGES,
    LAYERS,
    LEVELS,
    FeatureStoreWriter,
    LayerShape,
    layer_table,
    level_table,
)

log = logging.getLogger("neuroattn.features")

MOST_AT_ONCE = 16  # groups; each holds about 120 MB of maps on a CPU
Tokens = Mapping[str, NDArray[np.float16]]


def run(context: StageContext) -> StageResult:
    """Write the tokens of every picture of the parent ``prepare``.

    Raises
    ------
    DataError : a picture changed since ``prepare``, cannot be decoded, or a feature overflows.
    MissingDataError : a picture or the network's weights are missing.
    """
    config = context.section("backbone", BackboneConfig)
    if isinstance(config, SourceConfig):
        return run_source(context, config)
    runtime = context.section("runtime", RuntimeConfig)
    dataset = open_dataset(context.section("dataset", DatasetConfig))
    pictures = Pictures(dataset.stimuli, Prepared(context.parents["prepare"]).images, config)
    device = choose_device(runtime.device.value)
    with one_thread_a_group() as threads, exact_kernels():
        backbone: Backbone = BACKBONES.load(config.name)(config, device)
        extractor = Extractor(backbone, pictures)
        workers = groups_at_once(runtime, device, threads)
        size = _store(context, extractor, workers)
    _describe(context.out, backbone, pictures)
    return StageResult(
        metrics={
            "images": float(len(pictures.ids)),
            "layers": float(len(backbone.layers)),
            "bytes": float(size),
            **({"levels": float(len(extractor.blur.levels))} if config.blur.levels else {}),
        },
        methods=methods(backbone),
    )


def groups_at_once(runtime: RuntimeConfig, device: torch.device, threads: int) -> int:
    """How many groups are worked on together.

    On a CPU one a thread, ``threads`` unless the config says otherwise. On a GPU the network
    takes one group at a time, and the others are being decoded.
    """
    wanted = (runtime.threads or threads) if device.type == "cpu" else runtime.workers
    return min(max(wanted, 1), MOST_AT_ONCE)


@contextmanager
def one_thread_a_group() -> Iterator[int]:
    """Let torch compute each call in one thread; yields how many it would have taken."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


class Pictures:
    """Pictures by row, as the network sees them; each is what ``prepare`` saw, or an error.

    Parameters
    ----------
    stimuli : the dataset's pictures; read from several threads.
    table : ``images.tsv`` of ``prepare``: image file sha256 source.
    config : picture size and resize.
    """

    def __init__(self, stimuli: Stimuli, table: pd.DataFrame, config: BackboneConfig) -> None:
        self.stimuli, self.config = stimuli, config
        self.ids: NDArray[np.int64] = table["image"].to_numpy(dtype=np.int64)
        self.digests: list[str] = table["sha256"].tolist()
        self.files: list[str] = table["file"].tolist()

    def read(self, row: int) -> NDArray[np.uint8]:
        """The picture of a row: (side, side, 3).

        Raises
        ------
        DataError : it is another picture than ``prepare`` saw.
        """
        image = int(self.ids[row])
        picture, found = read_with_digest(self.stimuli, image)
        if found != self.digests[row]:
            raise DataError(
                f"image {image} is another picture than when the dataset was prepared",
                file=self.files[row],
                expected=f"sha256 {self.digests[row]}",
                found=found,
                fix="restore the picture, or run the stage prepare again",
            )
        config = self.config
        return fit_picture(
            picture, config.image_size, config.resize, config.interpolation, config.crop_fraction
        )


@dataclass
class Extractor:
    """Turns one group of rows into fp16 tokens; called from several threads at once."""

    backbone: Backbone
    pictures: Pictures

    def __post_init__(self) -> None:
        # One group at a time on a GPU: its memory is small change there, its queue is not.
        busy: AbstractContextManager[object] = Lock()
        self._turn = nullcontext() if self.backbone.device.type == "cpu" else busy
        config = self.pictures.config
        self.blur = Blur(config.blur, config.image_size, self.backbone.device)

    @property
    def shapes(self) -> dict[str, LayerShape]:
        """What is stored: each layer at each blur level, with the shape of its tokens."""
        return {
            level.layer(layer): self.backbone.shape(layer)
            for level in self.blur.levels
            for layer in self.backbone.stored
        }

    def __call__(self, rows: range) -> Tokens:
        """Tokens (rows, tokens, dim) by layer and blur level.

        Costs one pass of the network a level (0.49 GFLOP a picture for Lite0 up to ``blocks.10``),
        and 2 x tokens x dim bytes a picture and layer: 22.7 kB with the default layers and pool.
        Measured with reading and writing, on two cores of a busy machine: 87 pictures/s.
        """
        side, group = self.pictures.config.image_size, self.backbone.group
        stack = np.zeros((group, side, side, 3), dtype=np.uint8)
        for place, row in enumerate(rows):
            stack[place] = self.pictures.read(row)
        with self._turn, torch.inference_mode():
            pixels = unit_pixels(stack, self.backbone.device)
            arrays = {
                level.layer(layer): maps[: len(rows)].cpu().numpy()
                for number, level in enumerate(self.blur.levels)
                for layer, maps in self._tokens(self.blur(pixels, number)).items()
            }
        ids = self.pictures.ids[rows.start : rows.stop].tolist()
        return {layer: to_half(values, layer, ids) for layer, values in arrays.items()}

    def _tokens(self, pixels: Tensor) -> dict[str, Tensor]:
        return self.backbone.tokens(pixels, self.backbone.stored)


def unit_pixels(
    pictures: NDArray[np.uint8], device: torch.device
) -> Float[Tensor, "images 3 height width"]:
    """Pixels in [0, 1] on ``device`` from (images, height, width, 3) uint8."""
    return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float().div_(255.0)


def _store(context: StageContext, extractor: Extractor, workers: int) -> int:
    """Compute what is missing and adopt the finished files; returns their bytes."""
    backbone, total = extractor.backbone, len(extractor.pictures.ids)
    shapes = extractor.shapes
    reclaim(context.out, tuple(shapes))
    with (
        FeatureStoreWriter(context.out.work, shapes, total) as store,
        context.progress("features", total) as progress,
    ):
        groups = fixed_groups(total, backbone.group)
        todo = [rows for rows in groups if not store.done[rows.start : rows.stop].all()]
        missing = sum(map(len, todo))
        progress.advance(total - missing)
        began = time.perf_counter()
        with closing(ordered_map(extractor, todo, workers)) as results:
            for rows, tokens in zip(todo, results, strict=True):
                store.write(rows.start, tokens)
                progress.advance(len(rows))
        elapsed = time.perf_counter() - began
        log.info("%d images, %.1f a second, %d kept", missing, missing / elapsed, total - missing)
        files = store.finish()
    size = sum(path.stat().st_size for path in files)
    for path in files:
        context.out.adopt(path, path.name)
    return size


def fixed_groups(total: int, group: int) -> list[range]:
    """Rows 0 to ``total`` in groups that depend on nothing else."""
    return [range(start, min(start + group, total)) for start in range(0, total, group)]


def reclaim(out: ArtefactWriter, layers: tuple[str, ...]) -> None:
    """Take back files that a run adopted before it was killed, so that they are not made anew."""
    for name in (name for layer in layers for name in store_files(layer)):
        adopted: Path = out.folder / name
        if adopted.is_file():
            os.replace(adopted, out.work / name)


def _describe(out: ArtefactWriter, backbone: Backbone, pictures: Pictures) -> None:
    shapes = {layer: backbone.shape(layer) for layer in backbone.stored}
    out.json(LAYERS, layer_table(shapes, backbone.beside))
    if backbone.config.blur.levels:
        out.json(LEVELS, level_table(levels(backbone.config.blur), backbone.config.blur))
    rows = np.arange(len(pictures.ids))
    out.table(
        IMAGES, pd.DataFrame({"row": rows, "image": pictures.ids, "sha256": pictures.digests})
    )


def methods(backbone: Backbone) -> str:
    """The sentence for the Methods text."""
    config = backbone.config
    kept = "" if config.crop_fraction == 1 else f" {config.crop_fraction:g} of their"
    cropped = f"cropped to{kept or ' their'} centre and scaled"
    fitted = {"squash": "squashed", "pad": "padded with the mean colour"}.get(
        config.resize.value, cropped
    )
    pooled = "" if config.pool is None else f", averaged to {config.pool} x {config.pool} cells"
    return (
        f"Features were the maps {', '.join(backbone.layers)} of {backbone.methods}, for pictures "
        f"{fitted} to {config.image_size} x {config.image_size} pixels "
        f"({config.interpolation.value}, antialiased){pooled} where larger, computed in "
        f"{config.precision.value} with PyTorch {torch.__version__} and stored in half precision."
        + blur_methods(config.blur)
    )


def blur_methods(config: BlurConfig) -> str:
    """What is said of blurred pictures; nothing where there are none."""
    if not config.levels:
        return ""
    told = ", ".join(f"{strength:g}" for strength in config.levels)
    unit = "cells of so many pixels" if config.kind is BlurKind.lowres else "pixels of 224"
    kind = {
        BlurKind.uniform: "a Gaussian blur",
        BlurKind.lowres: "a lower resolution",
        BlurKind.fovea: f"a foveated blur (share of the original at the centre "
        f"{config.centre.weight:g}, decay {config.decay:g}; Wu et al. 2025)",
    }[config.kind]
    return f" The same was computed under {kind} of strength {told} ({unit})."
