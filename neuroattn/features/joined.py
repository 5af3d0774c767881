"""Features of several backbones as one: what one picture is to all of them.

The layers of the run's own backbone keep their names; those of a further one are ``name:layer``.
Nothing is copied: each store is read where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import read_tsv
from neuroattn.features.store import IMAGES, FeatureStore

T = TypeVar("T")
PARENT = "features/"  # of a stage that reads further features, before the name it gives them


def layer_of(name: str, layer: str) -> str:
    """What a layer of the further backbone ``name`` is called."""
    return f"{name}:{layer}"


def further(parents: Mapping[str, T]) -> dict[str, T]:
    """Those of a stage's parents that are further features, by the name it gives them."""
    return {
        alias.removeprefix(PARENT): parent
        for alias, parent in parents.items()
        if alias.startswith(PARENT)
    }


class JoinedStore:
    """Several feature stores of the same pictures, read as one.

    Parameters
    ----------
    own : features of the run's backbone, whose images are asked for.
    others : further ones by name.

    Raises
    ------
    DataError : a further store lacks an image, or has another picture under its id.
    """

    def __init__(self, own: FeatureStore, others: Mapping[str, FeatureStore]) -> None:
        self._own, self._others = own, dict(others)
        pictures = _pictures(own.artefact)
        for name, store in others.items():
            _check_same(name, store.artefact, pictures)

    @cached_property
    def _places(self) -> dict[str, tuple[FeatureStore, str]]:
        places = {layer: (self._own, layer) for layer in self._own.layers}
        for name, store in self._others.items():
            places |= {layer_of(name, layer): (store, layer) for layer in store.layers}
        return places

    @property
    def layers(self) -> list[str]:
        """Layers of the run's backbone, then ``name:layer`` of the others."""
        return list(self._places)

    @property
    def images(self) -> NDArray[np.int64]:
        """Image ids of the run's own features, in their order."""
        return self._own.images

    def grid(self, layer: str) -> tuple[int, int]:
        """Rows and columns of a layer's cells."""
        store, name = self._at(layer)
        return store.grid(name)

    def shape(self, layer: str) -> tuple[int, int, int]:
        """(images, tokens, dim) of a layer."""
        store, name = self._at(layer)
        return (len(self.images), *store.shape(name)[1:])

    def read(self, layer: str, images: ArrayLike | None = None) -> NDArray[np.float16]:
        """Tokens (images, tokens, dim) of these image ids, in this order; None is all."""
        store, name = self._at(layer)
        return store.read(name, self.images if images is None else images)

    def _at(self, layer: str) -> tuple[FeatureStore, str]:
        if layer not in self._places:
            raise ConfigError(
                f"no backbone stored a layer {layer}",
                expected=", ".join(self.layers),
                found=layer,
                fix="ask for one of these",
            )
        return self._places[layer]


def open_features(own: Artefact, others: Mapping[str, Artefact]) -> FeatureStore | JoinedStore:
    """The store of a backbone, or of several as one.

    Raises
    ------
    DataError : the stores are of different pictures.
    """
    store = FeatureStore(own)
    if not others:
        return store
    return JoinedStore(store, {name: FeatureStore(other) for name, other in others.items()})


def _pictures(artefact: Artefact) -> dict[int, str]:
    table = read_tsv(artefact.path(IMAGES), ("row", "image", "sha256"))
    return dict(zip(table["image"].astype(int), table["sha256"].astype(str), strict=True))


def _check_same(name: str, other: Artefact, pictures: Mapping[int, str]) -> None:
    known = _pictures(other)
    absent = [image for image in pictures if image not in known]
    unlike = [image for image in pictures if known.get(image, pictures[image]) != pictures[image]]
    if absent or unlike:
        raise DataError(
            f"the features {name} are of other images",
            file=other.folder / IMAGES,
            expected=f"the {len(pictures)} pictures of the run's own features",
            found=f"{len(absent)} missing, {len(unlike)} others under the same id,"
            f" as image {(absent or unlike)[0]}",
            fix=f"make encoder.also.{name} from the same dataset",
        )
