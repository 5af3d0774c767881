"""Contact sheets show every scene, with what is in it."""

from __future__ import annotations

from neuroattn.data.simulate.compose import scenes
from neuroattn.data.simulate.contact_sheet import exemplar_sheet, scene_sheet
from neuroattn.data.simulate.scene import CATEGORIES, PLACES, Pool
from neuroattn.figures.theme import Stamp

STAMP = Stamp("data simulate", simulated=True)


def test_a_sheet_shows_every_scene() -> None:
    shown = list(scenes(7, seed=0, side=24))
    figure = scene_sheet(shown, STAMP, columns=4)
    assert sum(len(axes.images) for axes in figure.axes) == 7
    assert shown[0].background in figure.axes[0].get_title(loc="left")


def test_a_sheet_shows_every_category_and_place() -> None:
    figure = exemplar_sheet(STAMP, Pool.unseen, columns=3)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == [*CATEGORIES, *PLACES]
