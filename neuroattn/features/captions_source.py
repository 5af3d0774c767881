"""Features from captions: hashed words and pairs of words, with nothing fitted and no download.

A caption is a bag of its words and pairs of neighbouring words; each goes, by a hash, to one of
``dim`` coordinates with a sign of its own (Weinberger et al. 2009, "Feature hashing for large
scale multitask learning", ICML), and the vector is brought to length 1. An image has the mean
over its captions. There are no document frequencies: they would be fitted, and what is fitted is
fitted on training images, inside ``encode`` (where ridge standardises each coordinate).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.prepared import Prepared
from neuroattn.features.registry import CaptionsSourceConfig
from neuroattn.features.sources import Source
from neuroattn.features.store import LayerShape

NAME = "captions"


class CaptionsSource(Source):
    """Embeddings of a dataset's captions.

    Parameters
    ----------
    config : number of coordinates, length of word groups.
    prepared : the dataset; every image must have a caption.
    """

    def __init__(self, config: CaptionsSourceConfig, prepared: Prepared) -> None:
        self._captions = prepared.captions
        self._config = config
        ids = prepared.image_ids.tolist()
        absent = [image for image in ids if not self._captions.get(str(image))]
        if absent:
            raise DataError(
                "images without captions",
                file=prepared.artefact.folder / "captions.json",
                expected=f"a caption for each of {len(ids)} images",
                found=f"none for {len(absent)}, as {absent[:3]}",
                fix="give the dataset captions, or choose another backbone",
            )
        self.shapes = {NAME: LayerShape((1, 1), config.dim)}
        self.methods = (
            f"Features were captions as bags of words and groups of up to {config.words} words,"
            f" hashed to {config.dim} coordinates (Weinberger et al., 2009) and averaged over an"
            " image's captions."
        )

    def read(self, images: list[int]) -> dict[str, NDArray[Any]]:
        """Embeddings (images, 1, dim)."""
        lists = [self._captions[str(image)] for image in images]
        vectors = embed([caption for captions in lists for caption in captions], self._config)
        ends = np.cumsum([len(captions) for captions in lists])
        means = [part.mean(0) for part in np.split(vectors, ends[:-1])]
        return {NAME: np.stack(means)[:, None]}


def embed(captions: list[str], config: CaptionsSourceConfig) -> NDArray[np.float64]:
    """Vectors (captions, dim) of length 1; a caption without a word is 0."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=config.dim,
        ngram_range=(1, config.words),
        token_pattern=r"\b\w+\b",  # noqa: S106 - of words, no secret
    )
    return np.asarray(vectorizer.transform(captions).toarray(), dtype=np.float64)
