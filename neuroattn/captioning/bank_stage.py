"""The stage ``bank``: what the encoder's backbone sees of pictures that no subject was shown.

Rows are written as `features` writes them, so a killed run goes on where it was. A picture that
cannot be read is left out and counted: an embedding of black in its place would be a picture that
nobody took, and could win.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.bank_files import open_pictures
from neuroattn.captioning.registry import CaptionConfig
from neuroattn.core.atomic import read_json, write_json
from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.stimuli import read_with_digest
from neuroattn.features.backbones import Backbone, choose_device, exact_kernels
from neuroattn.features.images import fit_picture
from neuroattn.features.registry import BACKBONES, BackboneConfig
from neuroattn.features.rows import to_half
from neuroattn.features.stage import fixed_groups, one_thread_a_group, reclaim, unit_pixels
from neuroattn.features.store import IMAGES, LAYERS, FeatureStoreWriter, layer_table

log = logging.getLogger("neuroattn.captioning")


def run(context: StageContext) -> StageResult:
    """Write the tokens of every readable picture of the bank, and the table of pictures.

    Payload: a feature store; ``images.tsv`` (row image file sha256 used), where ``used`` is False
    for a picture that could not be read: its row holds zeros that nobody may read.

    Raises
    ------
    DataError : fewer than two pictures can be read.
    """
    config = context.section("backbone", BackboneConfig)
    stimuli, names = open_pictures(context.section("caption", CaptionConfig).bank)
    device = choose_device(context.section("runtime", RuntimeConfig).device.value)
    with one_thread_a_group(), exact_kernels():
        backbone: Backbone = BACKBONES.load(config.name)(config, device)
        shapes = {layer: backbone.shape(layer) for layer in backbone.stored}
        digests = _store(context, _Reader(backbone, stimuli), shapes, len(names))
    used = [name != "" for name in digests]
    _check(used, names)
    context.out.json(LAYERS, layer_table(shapes, backbone.beside))
    rows = np.arange(len(names))
    table = {"row": rows, "image": rows, "file": names, "sha256": digests, "used": used}
    context.out.table(IMAGES, pd.DataFrame(table))
    excluded = len(used) - sum(used)
    if excluded:
        log.warning("%d of %d pictures of the bank cannot be read", excluded, len(used))
    return StageResult(
        metrics={"images": float(sum(used)), "excluded": float(excluded)},
        methods=f"The bank held {sum(used)} natural pictures ({excluded} could not be read).",
    )


@dataclass
class _Reader:
    """One group of pictures at a time."""

    backbone: Backbone
    stimuli: Any

    def __call__(self, rows: range) -> tuple[dict[str, NDArray[np.float16]], list[str]]:
        """Tokens by layer and the digest of each picture, empty where it cannot be read."""
        config = self.backbone.config
        stack = np.zeros((self.backbone.group, config.image_size, config.image_size, 3), np.uint8)
        digests = []
        for place, row in enumerate(rows):
            try:
                picture, digest = read_with_digest(self.stimuli, row)
            except (DataError, MissingDataError) as error:
                log.info("picture %d is left out: %s", row, error.problem)
                digests.append("")
                continue
            stack[place] = fit_picture(
                picture, config.image_size, config.resize, config.interpolation,
                config.crop_fraction,
            )  # fmt: skip
            digests.append(digest)
        tokens = self._tokens(stack, len(rows))
        for place, digest in enumerate(digests):
            if not digest:
                for values in tokens.values():
                    values[place] = 0
        return tokens, digests

    def _tokens(self, stack: NDArray[np.uint8], count: int) -> dict[str, NDArray[np.float16]]:
        import torch

        with torch.inference_mode():
            pixels = unit_pixels(stack, self.backbone.device)
            found = self.backbone.tokens(pixels, self.backbone.stored)
        rows = list(range(count))
        return {
            layer: to_half(maps[:count].cpu().numpy(), layer, rows).copy()
            for layer, maps in found.items()
        }


def _store(context: StageContext, read: _Reader, shapes: Any, total: int) -> list[str]:
    """Compute what is missing; returns the digest of each picture.

    A group's digests are put down before its rows, so a row that is there has its digest.
    """
    reclaim(context.out, tuple(shapes))
    noted = context.out.work / "digests"
    noted.mkdir(exist_ok=True)
    digests = [""] * total
    with (
        FeatureStoreWriter(context.out.work, shapes, total) as store,
        context.progress("bank", total) as progress,
    ):
        for rows in fixed_groups(total, read.backbone.group):
            note = noted / f"{rows.start:08d}.json"
            if not (store.done[rows.start : rows.stop].all() and note.is_file()):
                tokens, found = read(rows)
                write_json(note, found)
                store.write(rows.start, tokens)
            digests[rows.start : rows.stop] = read_json(note)
            progress.advance(len(rows))
        files = store.finish()
    for path in files:
        context.out.adopt(path, path.name)
    return digests


def _check(used: list[bool], names: list[str]) -> None:
    if sum(used) < 2:
        raise DataError(
            "the bank of natural pictures is too small",
            expected="two pictures or more that can be read",
            found=f"{sum(used)} of {len(names)}",
            fix="give a larger bank with caption.bank.path",
        )
