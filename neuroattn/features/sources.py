"""Features that come from no pictures: arrays from a file, embeddings of captions.

They are stored like those of a network, so every readout reads them; nothing leads back to
pixels, and whoever asks for that is told so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import load
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.prepared import Prepared
from neuroattn.features.registry import SourceConfig
from neuroattn.features.rows import to_half
from neuroattn.features.store import IMAGES, LAYERS, FeatureStoreWriter, LayerShape, layer_table

GROUP = 64  # images that are read and written at a time


class Source(ABC):
    """Features of images by id.

    Attributes
    ----------
    shapes : layer -> shape of its tokens.
    methods : the sentence for the report's Methods text.
    """

    shapes: Mapping[str, LayerShape]
    methods: str

    @abstractmethod
    def read(self, images: list[int]) -> dict[str, NDArray[Any]]:
        """Tokens (images, tokens, dim) of each layer for these ids, in this order."""


def run(context: StageContext, config: SourceConfig) -> StageResult:
    """Write the features of every image of the parent ``prepare``; no picture is opened.

    Raises
    ------
    DataError : features of an image are missing, not finite, or too large for half precision.
    """
    table = Prepared(context.parents["prepare"]).images
    ids = table["image"].to_numpy(dtype=np.int64)
    source: Source = load(config.source)(config, Prepared(context.parents["prepare"]))
    size = _store(context, source, ids)
    context.out.json(LAYERS, layer_table(source.shapes))
    rows = {"row": np.arange(len(ids)), "image": ids, "sha256": table["sha256"]}
    context.out.table(IMAGES, pd.DataFrame(rows))
    return StageResult(
        metrics={
            "images": float(len(ids)),
            "layers": float(len(source.shapes)),
            "bytes": float(size),
        },
        methods=source.methods,
    )


def _store(context: StageContext, source: Source, ids: NDArray[np.int64]) -> int:
    from neuroattn.features.stage import fixed_groups, reclaim

    reclaim(context.out, tuple(source.shapes))
    with (
        FeatureStoreWriter(context.out.work, source.shapes, len(ids)) as store,
        context.progress("features", len(ids)) as progress,
    ):
        for rows in fixed_groups(len(ids), GROUP):
            part = ids[rows.start : rows.stop].tolist()
            if not store.done[rows.start : rows.stop].all():
                found = source.read(part)
                store.write(rows.start, {k: to_half(v, k, part) for k, v in found.items()})
            progress.advance(len(part))
        files = store.finish()
    size = sum(path.stat().st_size for path in files)
    for path in files:
        context.out.adopt(path, path.name)
    return size


def build(config: SourceConfig, device: torch.device) -> NoReturn:  # noqa: ARG001
    """Refuse: there is no network between pictures and these features.

    Raises
    ------
    ConfigError : always.
    """
    raise ConfigError(
        f"backbone={config.name} makes features of no picture",
        expected="features of a network, for new pictures and for gradients",
        found=f"backbone={config.name}",
        fix="fit the encoder with another backbone, such as backbone=efficientnet_lite0",
    )
