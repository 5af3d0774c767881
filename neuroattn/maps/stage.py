"""Stage ``map``: scores of an encoder on the cortex, as files and as pictures.

It knows the tables that ``encode`` and ``prepare`` write and no method, so it can be run
anywhere, on artefacts copied from a cluster. Pictures of surfaces are drawn on fsaverage5,
whose vertices are the leading ones of the finer meshes of its family; of volumes, as slices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.figures.export import to_png
from neuroattn.figures.theme import Stamp
from neuroattn.maps.canvas import Canvas, canvas_of
from neuroattn.maps.captions import caption_layers
from neuroattn.maps.decoders import decoder_layers
from neuroattn.maps.files import file_name
from neuroattn.maps.layers import (
    CEILING,
    Layer,
    Values,
    check_same_targets,
    layers,
    scores_of,
    significant,
)
from neuroattn.maps.registry import MINUS, MapsConfig

INDEX = "maps.tsv"
_SUFFIX = {"gifti": ".func.gii", "mgz": ".mgz", "nifti": ".nii.gz"}


def run(context: StageContext) -> StageResult:
    """Write the maps of every score that is asked for.

    Raises
    ------
    ConfigError : a score that ``scores.tsv`` does not have, or other targets to subtract.
    DataError : the targets stand on no mesh and in no volume.
    """
    options = context.section("maps", MapsConfig)
    encode, other = context.parents["encode"], context.parents.get(MINUS)
    tables = [scores_of(encode), *([] if other is None else [_matched(encode, other)])]
    names = (encode.label, other.label if other else "")
    wanted = layers(options, tables[0], tables[1] if other else None, names)
    if options.captions:
        wanted += caption_layers(context.parents["caption"], tables[0]["target"])
    if options.decoder:
        wanted += decoder_layers(context.parents["decode"], tables[0]["target"])
    canvas = canvas_of(context.parents["prepare"], tables[0]["target"], options.outlined)
    level = options.significant
    mapper = _Mapper(
        context=context,
        canvas=canvas,
        formats=_formats(options, canvas),
        stamp=_stamp(context, names[0]),
        less=_stamp(context, f"{names[0]}, less encode/{names[1]}"),
        level=level,
        kept=None if level is None else significant(level, tables),
    )
    rows = [row for layer in wanted for row in mapper.map(layer)] + mapper.mask()
    context.out.table(INDEX, pd.DataFrame(rows))
    return StageResult(
        metrics={"maps": float(len(wanted)), "vertices": float(len(tables[0]))},
        methods=mapper.methods(),
    )


def _matched(encode: Artefact, other: Artefact) -> pd.DataFrame:
    """Scores of ``other``, row by row those of the targets of ``encode``."""
    check_same_targets(encode, other)
    order = scores_of(encode)["target"]
    return scores_of(other).set_index("target").loc[order].reset_index()


def _stamp(context: StageContext, source: str) -> Stamp:
    dataset = context.parents["prepare"].json("dataset.json")
    return Stamp(f"encode/{source}", bool(dataset.get("simulated")))


def _formats(options: MapsConfig, canvas: Canvas) -> list[str]:
    """Formats that this space has, of those asked for."""
    known = [kind for kind in options.formats if kind in canvas.writers]
    if not known:
        raise ConfigError(
            f"maps in {canvas.space} cannot be written in this format",
            expected=" or ".join(canvas.writers),
            found=", ".join(options.formats),
            fix=f"set maps.formats=[{next(iter(canvas.writers))}]",
        )
    return known


@dataclass(frozen=True, eq=False, kw_only=True)
class _Mapper:
    """Writes maps, each as files and as a picture.

    Parameters
    ----------
    stamp, less : where scores come from, and where differences do.
    level : largest q of a target that is drawn; None draws all.
    kept : (targets,) whether a target is drawn; None draws all.
    """

    context: StageContext
    canvas: Canvas
    formats: list[str]
    stamp: Stamp
    less: Stamp
    level: float | None
    kept: NDArray[np.bool_] | None

    def map(self, layer: Layer) -> list[dict[str, Any]]:
        """Write one map; a row of the index for each file."""
        stats = self.context.section("maps", MapsConfig).stats
        if layer.stat == CEILING and CEILING not in stats and "r" in stats:
            return self._files(layer, "figures/r.png")  # it stands beside the score
        figure = f"figures/{layer.stat}.png"
        shown = layer
        if self.kept is not None and not layer.source:
            shown = replace(layer, values=np.where(self.kept, layer.values, np.nan))
        with self.context.out.file(figure) as path:
            note = layer.note if layer.source else self._note
            path.write_bytes(to_png(self.canvas.draw(shown, self._source(layer), note)))
        return self._files(layer, figure)

    def mask(self) -> list[dict[str, Any]]:
        """Write which targets are above chance, as 0 and 1, where that was asked for."""
        if self.kept is None:
            return []
        units = f"1 where q is at most {self.level:g}"
        values = self.kept.astype(np.float64)
        return self._files(Layer("significant", "Above chance", units, values, (0.0, 1.0)), "")

    def methods(self) -> str:
        """The sentence for the Methods text."""
        if self.level is None:
            return self.canvas.methods
        return f"{self.canvas.methods} Only targets with q at most {self.level:g} are drawn."

    def _source(self, layer: Layer) -> Stamp:
        if layer.source:
            return Stamp(layer.source, self.stamp.simulated)
        return self.less if layer.diverging else self.stamp

    @property
    def _note(self) -> str:
        if self.kept is None:
            return ""
        return f"of {len(self.kept):,} targets those with q \u2264 {self.level:g}"

    def _files(self, layer: Layer, figure: str) -> list[dict[str, Any]]:
        written = layer.files or {layer.stat: layer.values}
        return [
            row
            for stat, values in written.items()
            for row in self._file(layer, stat, values, figure)
        ]

    def _file(self, layer: Layer, stat: str, of: Values, figure: str) -> list[dict[str, Any]]:
        rows = []
        for side, values in self.canvas.spread(of).items():
            for kind in self.formats:
                name = f"maps/{file_name(stat, side, self.canvas.space, _SUFFIX[kind])}"
                with self.context.out.file(name) as path:
                    content = self.canvas.writers[kind](values, side, layer, self._source(layer))
                    path.write_bytes(content)
                rows.append(
                    {
                        "file": name, "stat": stat, "title": layer.title,
                        "unit": layer.units, "hemisphere": side, "space": self.canvas.space,
                        "vertices": int(np.isfinite(values).sum()), "figure": figure,
                    }
                )  # fmt: skip
        return rows
