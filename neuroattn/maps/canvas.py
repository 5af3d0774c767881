"""Where maps are drawn: on the fsaverage5 surface, or in slices of a volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.tables import TARGETS, read_tsv
from neuroattn.figures.cortex import (
    DIVERGING,
    SEQUENTIAL,
    Outlines,
    Panel,
    Sides,
    cortical_key,
    cortical_map,
    cortical_pair,
)
from neuroattn.figures.slices import slice_map
from neuroattn.figures.theme import Stamp
from neuroattn.maps.files import gifti_bytes, mgz_bytes, nifti_bytes
from neuroattn.maps.layers import Layer, Values
from neuroattn.maps.vertices import Vertices, vertices_of
from neuroattn.maps.voxels import GRID, Voxels, voxels_of
from neuroattn.surface.meshes import N_VERTICES

Writer = Callable[[Values, str, Layer, Stamp], bytes]  # the text is the hemisphere


class Canvas(Protocol):
    """A space in which targets stand."""

    @property
    def writers(self) -> Mapping[str, Writer]:
        """A function for each format."""

    @property
    def space(self) -> str:
        """Its name."""

    @property
    def methods(self) -> str:
        """How maps in it were drawn."""

    def spread(self, values: Values) -> Mapping[str, Values]:
        """Values of targets (targets,) on each part of the space, NaN elsewhere."""

    def draw(self, layer: Layer, stamp: Stamp, note: str) -> Figure:
        """The picture of one map."""


@dataclass(frozen=True, eq=False)
class SurfaceCanvas:
    """A mesh of the fsaverage family; a finer one is drawn on its leading vertices."""

    places: Vertices
    outlines: Outlines

    @property
    def writers(self) -> Mapping[str, Writer]:
        """A function for each format."""
        return {"gifti": self._gifti, "mgz": _mgz}

    @property
    def space(self) -> str:
        """Name of the mesh."""
        return self.places.space

    @property
    def methods(self) -> str:
        """How maps were drawn."""
        mean = f", averaged over {self.places.subjects} subjects" if self.places.shared else ""
        return f"Maps are on {self.space}{mean} and were drawn on fsaverage5."

    def spread(self, values: Values) -> Mapping[str, Values]:
        """Values on both hemispheres."""
        return self.places.spread(values)

    def draw(self, layer: Layer, stamp: Stamp, note: str) -> Figure:
        """Lateral, medial, ventral and flat; the ceiling, where there is one, beside the score."""
        colours = DIVERGING if layer.diverging else SEQUENTIAL
        if layer.key is not None and layer.drawn is not None:
            return cortical_key(
                self._nearest(layer.drawn), stamp, title=layer.title, key=layer.key, note=note,
                outlines=self.outlines,
            )  # fmt: skip
        if layer.beside is None:
            return cortical_map(
                self._drawn(layer.values), stamp, title=layer.title, unit=layer.unit, note=note,
                limits=layer.limits, outlines=self.outlines, colours=colours,
            )  # fmt: skip
        title, ceiling = layer.beside
        panels = (
            Panel(layer.title, self._drawn(layer.values)),
            Panel(title, self._drawn(ceiling)),
        )
        return cortical_pair(
            panels, stamp, title=f"{layer.title} and {title.lower()}", unit=layer.unit, note=note,
            limits=layer.limits, outlines=self.outlines, colours=colours,
        )  # fmt: skip

    def _nearest(self, codes: Values) -> Sides:
        """Numbers of colours; of several targets at one vertex the last one: they have no mean."""
        alone = np.zeros(len(codes), dtype=bool)
        place = np.char.add(self.places.hemisphere, self.places.vertex.astype(str))
        alone[len(codes) - 1 - np.unique(place[::-1], return_index=True)[1]] = True
        return self._drawn(np.where(alone, codes, np.nan))

    def _drawn(self, values: Values) -> Sides:
        return {side: part[:N_VERTICES] for side, part in self.spread(values).items()}

    def _gifti(self, values: Values, side: str, layer: Layer, stamp: Stamp) -> bytes:
        facts = {"Mesh": self.space, "Units": layer.units, "Source": stamp.source}
        return gifti_bytes(values, side, name=layer.stat, facts=facts)


@dataclass(frozen=True, eq=False)
class VolumeCanvas:
    """A volume."""

    places: Voxels

    @property
    def writers(self) -> Mapping[str, Writer]:
        """A function for each format."""
        return {"nifti": self._nifti, "mgz": self._mgz}

    @property
    def space(self) -> str:
        """Name of the volume."""
        return self.places.space

    @property
    def methods(self) -> str:
        """How maps were drawn."""
        return f"Maps are in {self.space} and were drawn as slices."

    def spread(self, values: Values) -> Mapping[str, Values]:
        """Values in the one volume (x, y, z)."""
        return {"": self.places.spread(values)}

    def draw(self, layer: Layer, stamp: Stamp, note: str) -> Figure:
        """Axial slices, from the lowest with data to the highest."""
        if layer.key is not None and layer.drawn is not None:
            volume = {"": self.places.spread(layer.drawn)}
            return slice_map(
                volume, self.places.affine, stamp, title=layer.title, unit=layer.unit, note=note,
                limits=(0, 1), colours=layer.key,
            )  # fmt: skip
        volumes = {"": self.places.spread(layer.values)}
        if layer.beside is not None:
            title, ceiling = layer.beside
            volumes = {layer.title: volumes[""], title: self.places.spread(ceiling)}
        return slice_map(
            volumes, self.places.affine, stamp, title=layer.title, unit=layer.unit, note=note,
            limits=layer.limits, colours=DIVERGING if layer.diverging else SEQUENTIAL,
        )  # fmt: skip

    def _nifti(self, values: Values, side: str, layer: Layer, stamp: Stamp) -> bytes:  # noqa: ARG002
        return nifti_bytes(values, self.places.affine, name=layer.stat, unit=layer.units)

    def _mgz(self, values: Values, side: str, layer: Layer, stamp: Stamp) -> bytes:  # noqa: ARG002
        return mgz_bytes(values, self.places.affine)


def _mgz(values: Values, side: str, layer: Layer, stamp: Stamp) -> bytes:  # noqa: ARG001
    return mgz_bytes(values)


def canvas_of(prepare: Artefact, named: pd.Series[str], outlined: list[str] | None) -> Canvas:
    """Where the targets ``named`` of a dataset stand.

    Raises
    ------
    ConfigError : they are of several subjects, who share vertices.
    DataError : they stand on no mesh and in no volume.
    """
    targets = read_tsv(prepare.path("targets.tsv"), TARGETS)
    targets = targets.set_index("target").loc[list(named)].reset_index()
    if targets["subject"].nunique() > 1:  # they stand on the same vertices
        raise ConfigError(
            "one map cannot show several subjects",
            expected="the targets of one subject",
            found=", ".join(map(str, targets["subject"].unique())),
            fix="map an encoder of each subject: dataset.subjects=[…] with one of them",
        )
    dataset = prepare.json("dataset.json")
    if prepare.has(GRID):
        return VolumeCanvas(voxels_of(targets, str(dataset.get("space")), prepare.json(GRID)))
    places = vertices_of(targets, dataset)
    return SurfaceCanvas(places, places.outlines(targets["rois"], outlined))
