"""The text side of an image-text space as features: captions where pictures lie too.

So a decoder that predicts embeddings of pictures can be held against texts (``imagery.gallery``),
or have captions among its targets (``decoder.target.also``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.resources import user_path
from neuroattn.data.prepared import Prepared
from neuroattn.features.registry import SpaceCaptionsConfig
from neuroattn.features.sources import Source
from neuroattn.features.store import LayerShape
from neuroattn.generators.loading import load, space_leaves

POOLED = "pooled"
Texts = dict[str, list[str]]


class SpaceCaptions(Source):
    """Embeddings of captions: the mean over those of an image, of unit length.

    Parameters
    ----------
    config : the space, and a file of captions.
    prepared : the dataset; every image must have a caption, in the file or in the dataset.
    """

    def __init__(self, config: SpaceCaptionsConfig, prepared: Prepared) -> None:
        self._texts = _texts(config, prepared)
        self._space = load(config.model)
        if not hasattr(self._space, "encode_text"):
            raise ConfigError(
                "this model is no image-text space", file=config.model,
                expected="the embedded `space`, or a CLIP of transformers",
                found=type(self._space).__name__, fix="set backbone.model to such a model",
            )  # fmt: skip
        self.shapes = {POOLED: LayerShape((1, 1), int(self._space.dim))}
        self.methods = (
            f"Features were captions in the image-text space {config.model} ({self._space.dim}"
            " numbers, unit length), averaged over an image's captions."
        )

    def read(self, images: list[int]) -> dict[str, NDArray[Any]]:
        """Embeddings (images, 1, dim)."""
        lists = [self._texts[str(image)] for image in images]
        vectors = self._space.encode_text([text for texts in lists for text in texts])
        ends = np.cumsum([len(texts) for texts in lists])
        parts = np.split(vectors.float().cpu().numpy(), ends[:-1])
        means = np.stack([part.mean(axis=0) for part in parts])
        length = np.linalg.norm(means, axis=1, keepdims=True)
        return {POOLED: (means / np.maximum(length, 1e-12))[:, None]}


def leaves(config: SpaceCaptionsConfig) -> Mapping[str, Path]:
    """Files of the space and of the captions, by stable name.

    Raises
    ------
    MissingDataError : the space is not there.
    """
    found = space_leaves(config)
    if config.captions is not None:
        found["captions.json"] = user_path(config.captions)
    return found


def _texts(config: SpaceCaptionsConfig, prepared: Prepared) -> Texts:
    """Captions by image id as text, those of the file before those of the dataset."""
    told = read_texts(user_path(config.captions)) if config.captions is not None else {}
    known = prepared.captions
    table = prepared.images
    found = {}
    for image, name in zip(table["image"].tolist(), table["file"].astype(str), strict=True):
        last = PurePosixPath(name).name
        texts = told.get(name) or told.get(last) or known.get(str(image))
        if texts:
            found[str(image)] = texts
    absent = [str(image) for image in table["image"].tolist() if str(image) not in found]
    if absent:
        raise DataError(
            "images without captions",
            file=config.captions or prepared.artefact.folder / "captions.json",
            expected=f"a caption for each of {len(table)} images",
            found=f"none for {len(absent)}, as {absent[:3]}",
            fix="set backbone.captions=FILE.json with the name of each picture and its captions",
        )  # fmt: skip
    return found


def read_texts(file: Path) -> Texts:
    """Captions by the name of the picture.

    Raises
    ------
    DataError : it is no JSON object of lists of texts.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        sound = all(
            isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)
            for texts in found.values()
        )
    except (OSError, ValueError, AttributeError):
        sound = False
    if not sound:
        raise DataError(
            "the captions cannot be read", file=file,
            expected='{"picture": ["caption", …], …}', found="something else",
            fix="correct backbone.captions",
        )  # fmt: skip
    return dict(found)
