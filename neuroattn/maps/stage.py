"""Stage ``map``: scores of an encoder on the cortex, as files and as pictures.

It knows the tables that ``encode`` and ``prepare`` write and no method, so it can be run
anywhere, on artefacts copied from a cluster. Pictures are drawn on fsaverage5, whose vertices
are the leading ones of the finer meshes of its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.core.tables import SCORES, TARGETS, read_tsv
from neuroattn.figures.cortex import Outlines, cortical_map
from neuroattn.figures.export import to_png
from neuroattn.figures.theme import Stamp
from neuroattn.maps.files import file_name, gifti_bytes, mgz_bytes
from neuroattn.maps.registry import MapsConfig
from neuroattn.maps.vertices import Values, Vertices, vertices_of
from neuroattn.surface.meshes import N_VERTICES

INDEX = "maps.tsv"
_TITLES = {
    "r": ("Prediction accuracy", "Pearson r, mean over folds"),
    "r_squared": ("Explained variance", "r², mean over folds"),
    "r2": ("Coefficient of determination", "R²"),
    "nc": ("Noise ceiling", "explainable share of the variance"),
    "p": ("Chance level", "p, permutation of images"),
    "q": ("Chance level, corrected", "q, false discovery rate"),
}
_SUFFIX = {"gifti": ".func.gii", "mgz": ".mgz"}
_ALONGSIDE = ("nc",)  # mapped whenever the scores have it: no score without its ceiling


def run(context: StageContext) -> StageResult:
    """Write the maps of every score that is asked for.

    Raises
    ------
    ConfigError : a score that ``scores.tsv`` does not have.
    DataError : the targets stand on no mesh.
    """
    options = context.section("maps", MapsConfig)
    encode, prepare = context.parents["encode"], context.parents["prepare"]
    scores = read_tsv(encode.path("scores.tsv"), SCORES)
    targets = read_tsv(prepare.path("targets.tsv"), TARGETS)
    targets = targets.set_index("target").loc[scores["target"]].reset_index()
    dataset = prepare.json("dataset.json")
    places = vertices_of(targets, dataset)
    mapper = _Mapper(
        context=context,
        options=options,
        places=places,
        stamp=Stamp(f"encode/{encode.label}", bool(dataset.get("simulated"))),
        outlines=places.outlines(targets["rois"], options.outlined),
    )
    stats = _stats(options, scores, encode)
    rows = [row for stat in stats for row in mapper.map(stat, scores[stat])]
    context.out.table(INDEX, pd.DataFrame(rows))
    return StageResult(
        metrics={"maps": float(len(stats)), "vertices": float(len(targets))},
        methods=f"Maps are on {places.space} and were drawn on fsaverage5.",
    )


def _stats(options: MapsConfig, scores: pd.DataFrame, encode: Artefact) -> list[str]:
    absent = [stat for stat in options.stats if stat not in scores.columns]
    if absent:
        numeric = [name for name in scores.columns if name not in ("target", "rois", "hemisphere")]
        raise ConfigError(
            f"the scores have no column {', '.join(absent)}",
            file=encode.folder / "scores.tsv",
            expected=" | ".join(numeric),
            found=", ".join(absent),
            fix="choose maps.stats among them",
        )
    beside = [stat for stat in _ALONGSIDE if stat in scores.columns and scores[stat].notna().any()]
    return list(dict.fromkeys([*options.stats, *beside]))


@dataclass(frozen=True)
class _Mapper:
    context: StageContext
    options: MapsConfig
    places: Vertices
    stamp: Stamp
    outlines: Outlines

    def map(self, stat: str, column: pd.Series[Any]) -> list[dict[str, Any]]:
        """Write the files and the picture of one score; a row of the index for each file."""
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        sides = self.places.spread(values)
        self._draw(stat, sides)
        return [row for side in sides for row in self._write(stat, side, sides[side])]

    def _write(self, stat: str, side: str, values: Values) -> list[dict[str, Any]]:
        (title, unit), space = _TITLES.get(stat, (stat, stat)), self.places.space
        facts = {"Mesh": space, "Units": unit, "Source": self.stamp.source}
        content = {
            ".func.gii": lambda: gifti_bytes(values, side, name=stat, facts=facts),
            ".mgz": lambda: mgz_bytes(values),
        }
        rows = []
        for kind in self.options.formats:
            suffix = _SUFFIX[kind]
            name = f"maps/{file_name(stat, side, space, suffix)}"
            with self.context.out.file(name) as path:
                path.write_bytes(content[suffix]())
            rows.append(
                {
                    "file": name, "stat": stat, "title": title, "unit": unit, "hemisphere": side,
                    "space": space, "vertices": int(np.isfinite(values).sum()),
                }
            )  # fmt: skip
        return rows

    def _draw(self, stat: str, sides: Mapping[str, Values]) -> None:
        title, unit = _TITLES.get(stat, (stat, stat))
        figure = cortical_map(
            {side: values[:N_VERTICES] for side, values in sides.items()},
            self.stamp,
            title=title,
            unit=unit,
            limits=(0.0, self.options.top if stat == "r" else 1.0),
            outlines=self.outlines,
        )
        with self.context.out.file(f"figures/{stat}.png") as path:
            path.write_bytes(to_png(figure))
