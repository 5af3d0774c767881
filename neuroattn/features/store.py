"""The feature store: tokens of every picture by layer and image id, on top of `rows`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import read_tsv
from neuroattn.features.blur_schemas import BlurConfig
from neuroattn.features.rows import RowStore, RowStoreWriter, store_files

if TYPE_CHECKING:
    from neuroattn.features.blur import Level  # brings torch

LAYERS = "layers.json"
LEVELS = "levels.json"
IMAGES = "images.tsv"


@dataclass(frozen=True)
class LayerShape:
    """Tokens of one layer: ``grid`` (rows, columns) of cells, each with ``dim`` values."""

    grid: tuple[int, int]
    dim: int

    @property
    def tokens(self) -> int:
        """Number of cells."""
        return self.grid[0] * self.grid[1]


class FeatureStore:
    """Tokens of a ``features`` artefact by layer and image id.

    The small files are verified whole. The large ones are not hashed on opening: each row is
    checked when it is read.

    Parameters
    ----------
    artefact : a finished artefact of the stage ``features``.
    """

    def __init__(self, artefact: Artefact) -> None:
        if artefact.stage not in ("features", "bank"):
            raise ConfigError(
                "this artefact is no feature store", file=artefact.folder, expected="features",
                found=artefact.stage, fix="give an artefact that `neuroattn features` wrote",
            )  # fmt: skip
        self.artefact = artefact
        self._open: dict[str, RowStore] = {}

    @cached_property
    def _table(self) -> dict[str, dict[str, Any]]:
        return dict(self.artefact.json(LAYERS))

    @cached_property
    def layers(self) -> list[str]:
        """Layers in the order of ``backbone.layers``."""
        ordered = sorted(self._table, key=lambda layer: int(self._table[layer]["order"]))
        return [layer for layer in ordered if layer not in self.beside]

    @cached_property
    def beside(self) -> list[str]:
        """Layers that are no features of an encoder, to be read by name alone."""
        return [layer for layer, entry in self._table.items() if entry.get("beside", False)]

    @cached_property
    def levels(self) -> dict[float, str]:
        """Strength -> key of each blur level, weakest first; 0 is the original, whose key is ''."""
        if not self.artefact.has(LEVELS):
            return {0.0: ""}
        table = self.artefact.json(LEVELS)["levels"]
        return {float(row["strength"]): str(row["key"]) for row in table}

    @cached_property
    def blur(self) -> dict[str, Any]:
        """Kind and parameters of the blur; empty where only originals are stored."""
        return dict(self.artefact.json(LEVELS)) if self.artefact.has(LEVELS) else {}

    @cached_property
    def images(self) -> NDArray[np.int64]:
        """Image ids in the order of rows."""
        frame = read_tsv(self.artefact.path(IMAGES), ("row", "image", "sha256"))
        return frame["image"].to_numpy(dtype=np.int64)

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {int(image): row for row, image in enumerate(self.images)}

    def grid(self, layer: str) -> tuple[int, int]:
        """Rows and columns of a layer's cells; token ``r * columns + c`` is cell (r, c)."""
        rows, columns = self._entry(layer)["grid"]
        return int(rows), int(columns)

    def shape(self, layer: str) -> tuple[int, int, int]:
        """(images, tokens, dim) of a layer."""
        entry = self._entry(layer)
        return len(self.images), int(entry["tokens"]), int(entry["dim"])

    def read(
        self, layer: str, images: ArrayLike | None = None, strength: float = 0.0
    ) -> NDArray[np.float16]:
        """Tokens (images, tokens, dim) of the image ids asked for, in that order.

        None is all of them, in the order of `images`; ask in blocks where that is too much.
        ``strength`` names the blur level (`levels`); 0 is the original.

        Raises
        ------
        ArtefactError : a row was damaged on disk.
        DataError : an image id that the store does not have.
        ConfigError : it has no such layer or blur level.
        """
        ids = self.images if images is None else np.asarray(images, dtype=np.int64).reshape(-1)
        return self._store(layer, strength).read(self._rows_of(ids))

    def _rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        absent = [image for image in ids.tolist() if image not in self._rows]
        if absent:
            more = "" if len(absent) <= 5 else f" and {len(absent) - 5} more"
            raise DataError(
                "images without features",
                file=self.artefact.folder / IMAGES,
                expected=f"some of its {len(self.images)} image ids",
                found=", ".join(map(str, absent[:5])) + more,
                fix="ask for images of the dataset that these features were made from",
            )
        return np.array([self._rows[image] for image in ids.tolist()], dtype=np.int64)

    def _store(self, layer: str, strength: float) -> RowStore:
        shape, name = self.shape(layer), self._stored(layer, strength)
        if name not in self._open:
            values, digests = store_files(name)
            folder = self.artefact.folder
            fix = f"delete {folder} and run the stage features again"
            self._open[name] = RowStore(folder / values, self.artefact.path(digests), shape, fix)
        return self._open[name]

    def _stored(self, layer: str, strength: float) -> str:
        if strength not in self.levels:
            raise ConfigError(
                f"the feature store has no blur level {strength:g}",
                file=self.artefact.folder,
                expected=", ".join(f"{known:g}" for known in self.levels),
                found=f"{strength:g}",
                fix=f"add {strength:g} to backbone.blur.levels, or ask for one of these",
            )
        return stored_name(layer, self.levels[strength])

    def _entry(self, layer: str) -> dict[str, Any]:
        if layer not in self._table:
            raise ConfigError(
                f"the feature store has no layer {layer}",
                file=self.artefact.folder / LAYERS,
                expected=", ".join(self.layers),
                found=layer,
                fix=f"add {layer} to backbone.layers, or ask for one of these",
            )
        return self._table[layer]


def layer_table(
    shapes: Mapping[str, LayerShape], beside: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Content of ``layers.json``; JSON objects have no order, so the order is written down.

    Parameters
    ----------
    beside : those of the layers that no encoder reads.
    """
    return {
        layer: {
            "order": order, "grid": list(shape.grid), "dim": shape.dim, "tokens": shape.tokens,
            **({"beside": True} if layer in beside else {}),
        }
        for order, (layer, shape) in enumerate(shapes.items())
    }  # fmt: skip


def stored_name(layer: str, key: str) -> str:
    """Name of a layer's files at the blur level ``key``; the original's is empty."""
    return f"{layer}@{key}" if key else layer


def level_table(levels: Sequence[Level], config: BlurConfig) -> dict[str, Any]:
    """Content of ``levels.json``, weakest level first."""
    rows = [{"strength": level.strength, "key": level.key} for level in levels]
    return {
        "kind": config.kind.value, "centre": config.centre.weight, "decay": config.decay,
        "levels": rows,
    }  # fmt: skip


class FeatureStoreWriter:
    """Writes all layers of a store in a folder; use it in a ``with`` block.

    Parameters
    ----------
    folder : where the files stand; those of a killed run are continued.
    shapes : layer -> shape of its tokens.
    n_images : rows of each layer.

    Attributes
    ----------
    done : (images,) whether a row is written in every layer.
    """

    def __init__(self, folder: Path, shapes: Mapping[str, LayerShape], n_images: int) -> None:
        self._layers = {
            layer: RowStoreWriter(folder, layer, n_images, shape.tokens, shape.dim)
            for layer, shape in shapes.items()
        }
        self.done: NDArray[np.bool_] = np.logical_and.reduce(
            [writer.done for writer in self._layers.values()]
        )

    def __enter__(self) -> FeatureStoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._layers.values():
            writer.close()

    def write(self, first: int, tokens: Mapping[str, NDArray[np.float16]]) -> None:
        """Write rows ``first`` onward of every layer: (rows, tokens, dim) each."""
        for layer, writer in self._layers.items():
            writer.write(first, tokens[layer])
            self.done[first : first + len(tokens[layer])] = True

    def finish(self) -> list[Path]:
        """Close the complete store; returns its files.

        Raises
        ------
        ArtefactError : rows are missing.
        """
        return [path for writer in self._layers.values() for path in writer.finish()]
