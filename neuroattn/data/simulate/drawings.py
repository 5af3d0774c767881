"""A simulated dataset as pictures: its scenes, what they are made of, and where things are planted.

For a person who wants to see faces, words, animals and places, and where each region lies,
before trusting a figure made from them. Nothing is read from the dataset but its parameters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neuroattn.core.atomic import ensure_folder
from neuroattn.core.errors import DataError
from neuroattn.data.nsd.layout import SYNTHETIC
from neuroattn.data.simulate.compose import ENCODER, Layout, compose
from neuroattn.data.simulate.contact_sheet import exemplar_sheet, picture_sheet, scene_sheet
from neuroattn.data.simulate.cortex import Cortex, plan_cortex
from neuroattn.data.simulate.noise import plan_noise
from neuroattn.data.simulate.rois import load_rois
from neuroattn.data.simulate.scene import Pool
from neuroattn.data.simulate.sizes import FSAVERAGE5
from neuroattn.data.simulate.synthetic_pictures import EACH, colour_pictures, shared_pictures
from neuroattn.figures.cortex import Outlines, cortical_map
from neuroattn.figures.export import save
from neuroattn.figures.theme import Stamp
from neuroattn.surface.coordinates import HEMISPHERES

SCENES: Final = 30
#: What a region is coloured by on the map, in the order of its colours.
GROUPS: Final = (
    "field", "face", "body", "place", "word", "default", "dorsal_attention", "control",
)  # fmt: skip
_LEGEND: Final = (
    "0 visual field   1 faces   2 bodies   3 places   4 words   5 default mode   "
    "6 dorsal attention   7 control"
)
_COLOURS: Final = "Set1"  # nine colours, apart from each other


def draw(parameters: dict[str, Any], folder: Path) -> list[Path]:
    """Write the pictures of a dataset with these ``parameters`` to ``folder``, as PNG.

    Raises
    ------
    DataError : its cortex has fewer vertices than can be drawn.
    """
    seed, size = int(parameters["seed"]), parameters["size"]
    stamp = Stamp(f"data simulate --size {size['name']} --seed {seed}", simulated=True)
    figures = {
        "scenes": _scenes(seed, int(size["side"]), stamp),
        "exemplars": exemplar_sheet(stamp),
    }
    if SYNTHETIC in size["experiments"]:
        figures["synthetic"] = _synthetic(seed, stamp)
    if int(size["vertices"]) == FSAVERAGE5:
        cortex = plan_cortex(seed, 1)
        figures["regions"] = regions(cortex, stamp)
        figures["ncsnr"] = _ncsnr(cortex, seed, stamp)
    ensure_folder(folder)
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        save(figure, path)
    return paths


def parameters_of(root: Path, content: Any) -> dict[str, Any]:
    """The parameters in ``SIMULATED.json``.

    Raises
    ------
    DataError : they are not there.
    """
    found = content.get("parameters") if isinstance(content, dict) else None
    if not isinstance(found, dict) or "size" not in found:
        raise DataError(
            "the simulation does not say how it was made", file=root, expected="parameters",
            found="none", fix="simulate it again",
        )  # fmt: skip
    return found


def regions(cortex: Cortex, stamp: Stamp) -> Figure:
    """The planted regions, coloured by what they answer to, outlined and named."""
    table = load_rois()
    number = np.array([*(GROUPS.index(roi.category) for roi in table), -1], dtype=np.float64)
    number[-1] = np.nan
    members = {
        roi.name: _sides(cortex.roi == index, cortex)
        for index, roi in enumerate(table)
    }  # fmt: skip
    return cortical_map(
        _sides(number[cortex.roi], cortex), stamp, title="Where things are planted",
        unit=_LEGEND, limits=(-0.5, 8.5), outlines=Outlines(members), colours=_COLOURS,
        note="grey: noise alone",
    )  # fmt: skip


def _ncsnr(cortex: Cortex, seed: int, stamp: Stamp) -> Figure:
    planted = plan_noise(cortex, 1, seed, 1).ncsnr
    values = np.where(cortex.roi >= 0, planted, np.nan)
    return cortical_map(
        _sides(values, cortex), stamp, title="Planted ratio of signal to noise",
        unit="ncsnr of subject 1, b3", limits=(0.0, 1.0),
    )  # fmt: skip


def _sides(values: NDArray[Any], cortex: Cortex) -> dict[str, NDArray[Any]]:
    per = cortex.per_hemisphere
    return {side: values[n * per : (n + 1) * per] for n, side in enumerate(HEMISPHERES)}


def _scenes(seed: int, side: int, stamp: Stamp) -> Figure:
    """Scenes of the dataset's own, drawn at its resolution; the last six of held-out exemplars."""
    frame, seen = Layout(side=side), SCENES - 6
    shown = [compose(number, seed=seed, layout=frame) for number in range(seen)]
    shown += [compose(n, seed=seed, layout=frame, pool=Pool.unseen) for n in range(6)]
    return scene_sheet(shown, stamp)


def _synthetic(seed: int, stamp: Stamp) -> Figure:
    """The first picture of every subclass of NSD-synthetic."""

    def composed(number: int, unseen: bool) -> Any:
        pool = Pool.unseen if unseen else Pool.seen
        return compose(number, seed=seed, layout=ENCODER, pool=pool)

    drawn = [
        *shared_pictures(seed, ENCODER.side, composed),
        *colour_pictures(seed, ENCODER.side, 1),
    ]
    first = drawn[::EACH]
    below = f"one picture of each of {len(first)} subclasses, as it fills the field"
    title = ("Simulated NSD-synthetic", below)
    labels = [one.name.rpartition("_")[0] for one in first]
    return picture_sheet([one.pixels for one in first], labels, 9, title, stamp)
