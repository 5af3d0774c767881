"""The pictures of a dataset: which there are, and what the map of regions colours."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.simulate import drawings
from neuroattn.data.simulate.cortex import plan_cortex
from neuroattn.data.simulate.rois import load_rois
from neuroattn.data.simulate.sizes import SIZES
from neuroattn.figures.theme import Stamp


def parameters(name: str = "nsd_like", **changes: object) -> dict[str, object]:
    return {"seed": 0, "size": asdict(replace(SIZES[name], **changes))}


def test_pictures_are_those_that_the_size_has(tmp_path, monkeypatch):
    drawn = []
    for name in ("exemplar_sheet", "_scenes", "_synthetic", "regions", "_ncsnr"):
        monkeypatch.setattr(drawings, name, lambda *_, **__: "figure")
    monkeypatch.setattr(drawings, "save", lambda figure, path: drawn.append((figure, path.name)))
    drawings.draw(parameters(), tmp_path)
    assert [name for _, name in drawn] == ["scenes.png", "exemplars.png"]
    drawn.clear()
    paths = drawings.draw(parameters("demo", experiments=("synthetic",)), tmp_path / "more")
    assert [path.stem for path in paths] == [
        "scenes", "exemplars", "synthetic", "regions", "ncsnr"
    ]  # fmt: skip
    assert (tmp_path / "more").is_dir()


def test_every_region_has_a_colour_and_an_outline(monkeypatch):
    seen = {}

    def cortical_map(values, stamp, **keys):
        seen.update(keys, values=values, stamp=stamp)

    monkeypatch.setattr(drawings, "cortical_map", cortical_map)
    cortex = plan_cortex(0, 1)
    drawings.regions(cortex, Stamp("x", simulated=True))
    assert set(seen["outlines"].members) == {roi.name for roi in load_rois()}
    values = np.concatenate([seen["values"][side] for side in ("lh", "rh")])
    assert np.array_equal(np.isfinite(values), cortex.roi >= 0)
    assert set(values[np.isfinite(values)]) == set(range(len(drawings.GROUPS)))
    faces = seen["outlines"].members["FFA-1"]["rh"]
    assert set(seen["values"]["rh"][faces]) == {drawings.GROUPS.index("face")}
    low, high = seen["limits"]
    assert (high - low) == 9  # a colour of the map for each number
    assert seen["stamp"].simulated


def test_a_folder_that_does_not_say_how_it_was_made():
    with pytest.raises(DataError, match="how it was made"):
        drawings.parameters_of(Path("there"), {"label": "simulated responses"})
