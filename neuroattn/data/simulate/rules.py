"""The rules: from what is in a scene to the noiseless response of every planted target.

They are stated in terms of the scene, never of a network, so no encoder is true by
construction. *Early* targets weigh luminance, colour and contrast under a Gaussian receptive
field. *Category* targets get half their variance from whether a thing of their category is
anywhere in the scene, and half from attributes of that thing with weights of their own: what
attention can bind and the mean over a picture cannot. *Network* targets share one such signal
per network, so that leaving a network out takes away all of it, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate.cortex import Cortex
from neuroattn.data.simulate.retinotopy import FIELD_DEGREES
from neuroattn.data.simulate.rois import Kind, load_rois
from neuroattn.data.simulate.scene import ATTRIBUTES, CATEGORIES, PLACE_ATTRIBUTES, Scene

Floats = NDArray[np.float64]

PLACE: Final = "place"
BUILT: Final = ("city", "room")  # the places whose presence drives place regions
EXPRESSION: Final = "expression"
CHANNELS: Final = ("luminance", "red_green", "blue_yellow", "contrast")
#: Which category a network carries. Default mode alone has its one; two networks share another.
NETWORK_SIGNAL: Final = {
    "default": "animal", "dorsal_attention": "vehicle", "control": "vehicle",
}  # fmt: skip
_CUTOFF: Final = 3.0  # standard deviations of a receptive field, beyond which it is 0
_CELL: Final = 2  # pixels of a picture averaged before the fields are applied
_FWHM: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, eq=False)
class Contents:
    """What the late rules read of each scene, by category.

    Parameters
    ----------
    presence : (scenes,) 0 or 1.
    attributes : (scenes, attributes), NaN where there is no such thing, or it is not known.
    names : of the attributes.
    """

    presence: Floats
    attributes: Floats
    names: tuple[str, ...]


def attribute_names(category: str) -> tuple[str, ...]:
    """Attributes of a category's things that its targets may weigh."""
    if category == PLACE:
        return PLACE_ATTRIBUTES
    return (*ATTRIBUTES, EXPRESSION) if category == "face" else ATTRIBUTES


def contents(scenes: Sequence[Scene]) -> dict[str, Contents]:
    """Presence and attributes of every category, and of the place, in ``scenes``.

    Position is not read: a thing that moves leaves all of this as it was.
    """
    found = {category: _of_category(scenes, category) for category in CATEGORIES}
    built = np.array([float(scene.background in BUILT) for scene in scenes])
    rows = [_row(scene.place_attributes, PLACE_ATTRIBUTES) for scene in scenes]
    values = np.array(rows).reshape(len(scenes), len(PLACE_ATTRIBUTES))
    return found | {PLACE: Contents(built, values, PLACE_ATTRIBUTES)}


def _of_category(scenes: Sequence[Scene], category: str) -> Contents:
    names = attribute_names(category)
    presence, rows = np.zeros(len(scenes)), np.full((len(scenes), len(names)), np.nan)
    for index, scene in enumerate(scenes):
        for thing in scene.things:
            if thing.category == category:
                presence[index], rows[index] = 1.0, _row(thing.attributes, names)
    return Contents(presence, rows, names)


def _row(attributes: Mapping[str, float], names: tuple[str, ...]) -> list[float]:
    return [float(attributes.get(name, np.nan)) for name in names]


def late_parts(content: Contents, base: int | None = None) -> tuple[Floats, Floats]:
    """The two halves of a late signal, over scenes.

    Presence (scenes,) has mean 0 and variance 1. Attributes (scenes, attributes) have mean 0
    and variance 1 over the scenes in which they are known, and are 0 in the others, which is
    why they do not correlate with presence. Means and variances are those of the first
    ``base`` scenes (of all without it), so that others can be put in their units.
    """
    known = np.isfinite(content.attributes)
    count = np.maximum(known[:base].sum(axis=0), 1)
    filled = np.where(known, content.attributes, 0.0)
    centred = np.where(known, filled - filled[:base].sum(axis=0) / count, 0.0)
    spread = np.sqrt((centred[:base] ** 2).sum(axis=0) / count)
    return standardise(content.presence, base), centred / np.where(spread > 0, spread, 1.0)


def late_signal(content: Contents, weights: Floats, base: int | None = None) -> Floats:
    """Half presence, half weighted attributes: (scenes, targets), mean 0 and variance 1.

    Parameters
    ----------
    weights : (attributes, targets).
    base : number of leading scenes whose means and variances are meant; None for all.
    """
    presence, attributes = late_parts(content, base)
    second = standardise(attributes @ weights, base)
    return standardise(np.sqrt(0.5) * presence[:, None] + np.sqrt(0.5) * second, base)


def fields(x: Floats, y: Floats, width: Floats, side: int) -> NDArray[np.float32]:
    """Receptive fields on a picture of ``side`` pixels: (fields, cells), each summing to 1.

    Parameters
    ----------
    x, y, width : (fields,) degrees right of and above fixation; full width at half maximum.
    """
    cells = side // _CELL
    grid = ((np.arange(cells) + 0.5) / cells - 0.5) * FIELD_DEGREES
    sigma = (width / _FWHM)[:, None, None]
    across = grid[None, None, :] - x[:, None, None]
    down = -grid[None, :, None] - y[:, None, None]
    squared = (across**2 + down**2) / sigma**2
    weight = np.where(squared <= _CUTOFF**2, np.exp(-squared / 2), 0.0).reshape(len(x), -1)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


def local_channels(pixels: NDArray[np.uint8], field: NDArray[np.float32]) -> NDArray[np.float32]:
    """`CHANNELS` under every field: (pictures, fields, 4).

    Means of luminance and of the two colour oppositions, and the standard deviation of
    luminance, all of sRGB values in 0 to 1, weighted by the field.

    Parameters
    ----------
    pixels : (pictures, side, side, 3).
    field : (fields, cells), see `fields`.
    """
    count, cells = len(pixels), pixels.shape[1] // _CELL
    red, green, blue = np.moveaxis(pixels.astype(np.float32) / 255.0, -1, 0)
    luminance = (red + green + blue) / 3
    maps = np.stack([luminance, red - green, blue - (red + green) / 2, luminance**2], axis=1)
    pooled = maps.reshape(count, 4, cells, _CELL, cells, _CELL).mean(axis=(3, 5))
    means = pooled.reshape(count * 4, -1) @ field.T
    means = means.reshape(count, 4, len(field)).transpose(0, 2, 1)
    contrast = np.sqrt(np.maximum(means[..., 3] - means[..., 0] ** 2, 0.0))
    return np.concatenate([means[..., :3], contrast[..., None]], axis=2)


def early_signal(channels: NDArray[np.float32], weights: Floats, base: int | None = None) -> Floats:
    """Weighted `CHANNELS`, each standardised over pictures first: (pictures, targets).

    Parameters
    ----------
    channels : (pictures, targets, 4).
    weights : (4, targets).
    base : number of leading pictures whose means and variances are meant; None for all.
    """
    parts = standardise(channels.astype(np.float64), base)
    return standardise(np.einsum("itc,ct->it", parts, weights), base)


@dataclass(frozen=True, eq=False)
class Weights:
    """What is planted beside the positions: weights of every target, all stored in the truth.

    Parameters
    ----------
    names : of the rows: `CHANNELS`, then every attribute, `EXPRESSION` last.
    values : (names, planted targets), 0 where a target does not weigh something.
    """

    names: tuple[str, ...]
    values: Floats

    def rows(self, names: Sequence[str], columns: NDArray[np.int64]) -> Floats:
        """Rows ``names`` of some columns."""
        rows = [self.names.index(name) for name in names]
        return np.asarray(self.values[rows][:, columns])


WEIGHT_NAMES: Final = (*CHANNELS, *ATTRIBUTES, EXPRESSION)


def plan_weights(cortex: Cortex, seed: int, subject: int) -> Weights:
    """Directions of length 1 for every planted target; one direction serves a network's category.

    The network directions depend on the seed alone: networks that share a category are
    redundant, and subjects agree on them.
    """
    planted = cortex.planted
    values = np.zeros((len(WEIGHT_NAMES), len(planted)))
    for index, roi in enumerate(load_rois()):
        columns = np.flatnonzero(cortex.roi[planted] == index)
        category = NETWORK_SIGNAL.get(roi.category, roi.category)
        names = CHANNELS if roi.kind is Kind.early else attribute_names(category)
        rows = np.array([WEIGHT_NAMES.index(name) for name in names])
        if roi.kind is Kind.network:
            shared = generator(seed, "network", category).normal(size=(len(names), 1))
            drawn = np.repeat(shared, len(columns), axis=1)
        else:
            random = generator(seed, "weights", subject, roi.name)
            drawn = random.normal(size=(len(names), len(columns)))
        values[np.ix_(rows, columns)] = drawn / np.linalg.norm(drawn, axis=0)
    return Weights(WEIGHT_NAMES, values)


def noiseless(
    cortex: Cortex,
    weights: Weights,
    channels: NDArray[np.float32],
    content: Mapping[str, Contents],
    base: int | None = None,
) -> NDArray[np.float32]:
    """Responses of the planted targets without noise: (images, planted), z-scored over images.

    Parameters
    ----------
    channels : (images, early targets, 4), early targets in ascending order.
    content : over the same images, by category.
    base : number of leading images over which they are z-scored, the others being put in
        their units; None for all.
    """
    roi_of = cortex.roi[cortex.planted]
    signal = np.zeros((len(channels), len(roi_of)), dtype=np.float32)
    early = early_columns(cortex)
    signal[:, early] = early_signal(channels, weights.rows(CHANNELS, early), base)
    for index, roi in enumerate(load_rois()):
        columns = np.flatnonzero(roi_of == index)
        if roi.kind is Kind.early or len(columns) == 0:
            continue
        part = content[NETWORK_SIGNAL.get(roi.category, roi.category)]
        signal[:, columns] = late_signal(part, weights.rows(part.names, columns), base)
    return signal


def early_columns(cortex: Cortex) -> NDArray[np.int64]:
    """Places of the early targets among the planted ones."""
    return np.flatnonzero(np.isfinite(cortex.width[cortex.planted]))


def standardise(values: Floats, base: int | None = None) -> Floats:
    """Mean 0 and variance 1 over axis 0, of its first ``base`` rows; what does not vary is 0."""
    centred = values - values[:base].mean(axis=0)
    spread = values[:base].std(axis=0)
    return np.asarray(centred / np.where(spread > 1e-12, spread, 1.0))
