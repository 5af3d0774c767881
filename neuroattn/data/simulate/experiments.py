"""What the further experiments show, and what the planted targets answer to it.

A picture of NSD-synthetic or NSD-imagery goes through the rules of the main experiment, in its
units: a target that reads contrast reads it here too, and a face region finds no face in a
grating. So a model fitted to the scenes can be held against pictures that are unlike them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroattn.data.simulate import rules
from neuroattn.data.simulate.gallery import Gallery
from neuroattn.data.simulate.rules import Contents
from neuroattn.data.simulate.scene import Scene, Thing
from neuroattn.data.simulate.subject_files import Subject

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture and what is in it.

    Parameters
    ----------
    name : of its file or row.
    pixels : (side, side, 3) what fills the field of NSD's pictures.
    scene : what the late rules read; nothing for a pattern (`pattern`).
    """

    name: str
    pixels: Picture
    scene: Scene


@dataclass(frozen=True, eq=False)
class Core:
    """The main experiment as one subject saw it, whose units all responses are in.

    Parameters
    ----------
    content : of the subject's images, by category.
    channels : (images, early targets, 4).
    field : receptive fields of the early targets (`rules.fields`).
    """

    content: dict[str, Contents]
    channels: NDArray[np.float32]
    field: NDArray[np.float32]


def core(gallery: Gallery, number: int, images: NDArray[np.int64],
         field: NDArray[np.float32]) -> Core:  # fmt: skip
    """The main experiment of subject ``number`` (from 1)."""
    rows = gallery.rows(images)
    content = rules.contents([gallery.scenes[row] for row in rows])
    return Core(content, gallery.channels[number - 1][rows], field)


def pattern(things: tuple[Thing, ...] = ()) -> Scene:
    """A scene without a place, which may hold things."""
    return Scene(
        image=-1, pixels=np.zeros((0, 0, 3), np.uint8), things=things, background="",
        background_source="", caption="", captions=(), unseen=True, group="",
    )  # fmt: skip


def thing(category: str, attributes: dict[str, float] | None = None) -> Thing:
    """A thing that is nowhere in particular; attributes that are not given are unknown."""
    return Thing(
        category, f"synthetic/{category}", (0, 0, 0, 0), (0.5, 0.5), 0.0, attributes or {},
        np.zeros((0, 0), np.float32), category,
    )  # fmt: skip


def planted(subject: Subject, seen: Core, pictures: Sequence[Shown]) -> NDArray[np.float32]:
    """Noiseless responses (pictures, planted) in units of the main experiment."""
    own = rules.local_channels(np.stack([shown.pixels for shown in pictures]), seen.field)
    content = rules.contents([shown.scene for shown in pictures])
    base = len(seen.channels)
    both = {name: _joined(part, content[name]) for name, part in seen.content.items()}
    channels = np.concatenate([seen.channels, own])
    return rules.noiseless(subject.cortex, subject.weights, channels, both, base)[base:]


def _joined(first: Contents, second: Contents) -> Contents:
    return Contents(
        np.concatenate([first.presence, second.presence]),
        np.concatenate([first.attributes, second.attributes]),
        first.names,
    )
