"""Splits by meaning: images are clustered by the words about them, whole clusters held out.

The words are those of its captions, or the names of its categories where it has none. An image
is the bag of its words (TF-IDF, unit length), and clusters are found by
spherical k-means. Both are sparse and run in one thread, so a seed gives one result. Captions
rather than features decide, so that the split favours no backbone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import generator
from neuroattn.data.files import named

Ids = NDArray[np.int64]
Captions = Mapping[str, list[str]]
_PASSES = 100
_BLOCK = 1024


def words_about(captions: Captions, categories: Captions) -> dict[str, list[str]]:
    """Captions by image id as text; for images without, the names of their categories."""
    return {**categories, **{image: texts for image, texts in captions.items() if texts}}


def semantic_groups(
    groups: Sequence[Ids], captions: Captions, clusters: int, seed: int
) -> list[Ids]:
    """Clusters of image ids, each whole ``groups``; empty clusters are left out.

    Parameters
    ----------
    groups : images that must share a side, such as identical pictures.
    captions : captions by image id as text.

    Raises
    ------
    ConfigError : an image has no caption, or there are fewer groups than clusters.
    """
    if len(groups) < clusters:
        raise ConfigError(
            "there are fewer images than clusters",
            expected=f"{clusters} images or more",
            found=len(groups),
            fix="set dataset.split.clusters lower",
        )
    table = bags_of_words([_text(group, captions) for group in groups])
    labels = spherical_kmeans(table, clusters, seed)
    found = [np.flatnonzero(labels == label) for label in range(clusters)]
    return [np.concatenate([groups[int(row)] for row in rows]) for rows in found if rows.size]


def nearest_similarity(train: Ids, test: Ids, captions: Captions) -> NDArray[np.float64]:
    """Cosine similarity (test,) of each test image's words with its nearest training image's.

    1 is a training image with the same words: the overlap that clusters are to reduce.
    """
    images = np.concatenate([train, test])
    table = bags_of_words([_text(np.array([image]), captions) for image in images])
    known, asked = table[: len(train)].T.tocsc(), table[len(train) :]
    starts = range(0, len(test), _BLOCK)
    parts = [(asked[start : start + _BLOCK] @ known).max(axis=1).toarray() for start in starts]
    return np.concatenate(parts).ravel()


def bags_of_words(texts: Sequence[str]) -> Any:
    """TF-IDF rows of unit length (texts, words), sparse; English stop words left out."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return TfidfVectorizer(stop_words="english", sublinear_tf=True).fit_transform(texts)
    except ValueError as error:
        raise ConfigError(
            "the captions hold no words to cluster by",
            expected="captions in English",
            found=error,
            fix="set dataset.split.kind=kfold",
        ) from error


def spherical_kmeans(table: Any, clusters: int, seed: int) -> Ids:
    """Labels (rows,) of unit rows by cosine; begun at rows drawn far from one another.

    Dhillon & Modha 2001, Machine Learning 42:143, with the seeding of k-means++.
    """
    centres = table[_seeds(table, clusters, generator(seed, "split", "semantic"))].toarray()
    labels = np.full(table.shape[0], -1, dtype=np.int64)
    for _ in range(_PASSES):
        nearest = np.asarray(table @ centres.T).argmax(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        centres = _centres(table, labels, centres)
    return labels


def _seeds(table: Any, clusters: int, random: np.random.Generator) -> list[int]:
    chosen = [int(random.integers(table.shape[0]))]
    distance = np.full(table.shape[0], np.inf)
    for _ in range(clusters - 1):
        similarity = (table @ table[chosen[-1]].T).toarray().ravel()
        distance = np.minimum(distance, np.maximum(1.0 - similarity, 0.0))
        total = distance.sum()
        weights = distance / total if total > 0 else None
        chosen.append(int(random.choice(table.shape[0], p=weights)))
    return chosen


def _centres(table: Any, labels: Ids, before: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.sparse import csr_array

    rows = np.arange(len(labels))
    member = csr_array((np.ones(len(rows)), (labels, rows)), shape=(len(before), len(rows)))
    sums = (member @ table).toarray()
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(length > 0, sums / np.maximum(length, 1e-300), before)


def _text(images: Ids, captions: Captions) -> str:
    words = [caption for image in images.tolist() for caption in captions.get(str(image), [])]
    if not words:
        raise ConfigError(
            "semantic clusters need words about every image",
            expected="captions or categories of all images",
            found=f"none of image {named(images.tolist())}",
            fix="set dataset.split.kind=kfold, or add captions or categories to the dataset",
        )
    return " ".join(words)
