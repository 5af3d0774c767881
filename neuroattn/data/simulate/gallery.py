"""All scenes of a dataset, composed once and streamed to where they are needed.

A scene's pixels and masks are used at once (the stimuli file, the receptive fields, the truth)
and dropped; what the late rules and the tables need of it stays. So memory grows with the
number of scenes by what is known of them, a few kB each, and not by pictures.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuroattn.core.progress import Progress
from neuroattn.data.nsd.layout import N_STIMULI, STIMULI_KEY, STIMULUS_SIDE
from neuroattn.data.simulate import rules
from neuroattn.data.simulate.plan import OWN, SHARED, Plan
from neuroattn.data.simulate.scene import Scene
from neuroattn.data.simulate.sizes import Size

Ids = NDArray[np.int64]
Compose = Callable[[int, bool], Scene]  # number of the scene, whether of unseen exemplars

_BATCH: Final = 32
_LEVEL: Final = 1  # of zlib: 4 ms a picture; higher levels cost seconds per per cent


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Which scene stands behind which image.

    Parameters
    ----------
    images : (images,) 73k ids that some subject sees, ascending.
    scenes : (images,) number of the scene behind each.
    unseen : (images,) whether it is made of held-out exemplars.
    """

    images: Ids
    scenes: Ids
    unseen: NDArray[np.bool_]

    def scene_of(self, images: Ids) -> Ids:
        """Numbers of the scenes behind some images."""
        return np.asarray(self.scenes[np.searchsorted(self.images, images)])


def plan_catalogue(size: Size, plan: Plan) -> Catalogue:
    """Scenes of the images that are shown: below `SHARED` those that all subjects see."""
    ids, scenes = [], []
    for subject in range(1, len(plan.sessions) + 1):
        places = np.unique(plan.places(subject))
        shared = places < SHARED
        own = SHARED + (subject - 1) * OWN + (places - SHARED) % size.own
        ids.append(plan.images[subject - 1][places])
        scenes.append(np.where(shared, places % size.shared, own))
    images, first = np.unique(np.concatenate(ids), return_index=True)
    number = np.concatenate(scenes)[first]
    unseen = (number >= size.shared - size.unseen) & (number < size.shared)
    return Catalogue(images, number, unseen)


@dataclass(frozen=True, eq=False)
class Gallery:
    """What is known of every scene.

    Parameters
    ----------
    catalogue : which images show them.
    numbers : (scenes,) ascending.
    scenes : without pixels and masks.
    channels : per subject, (scenes, early targets, 4), see `rules.local_channels`.
    """

    catalogue: Catalogue
    numbers: Ids
    scenes: list[Scene]
    channels: list[NDArray[np.float32]]

    def rows(self, images: Ids) -> Ids:
        """Rows of the scenes behind some images."""
        return np.searchsorted(self.numbers, self.catalogue.scene_of(images))


def build_gallery(
    catalogue: Catalogue,
    compose: Compose,
    fields: Sequence[NDArray[np.float32]],
    *,
    stimuli: Path,
    masks: Path,
    bar: Progress,
) -> Gallery:
    """Compose every scene, write the pictures and the masks, and keep the rest.

    Parameters
    ----------
    fields : receptive fields of each subject's early targets (`rules.fields`).
    stimuli, masks : files that are written.
    bar : counts scenes.
    """
    numbers, first = np.unique(catalogue.scenes, return_index=True)
    images = _images_by_scene(catalogue)
    scenes: list[Scene] = []
    channels: list[list[NDArray[np.float32]]] = [[] for _ in fields]
    packed: list[NDArray[np.uint8]] = []
    with _brick(stimuli) as brick:
        for block in _batches(numbers, catalogue.unseen[first]):
            composed = [compose(number, unseen) for number, unseen in block]
            pixels = np.stack([scene.pixels for scene in composed])
            for subject, field in enumerate(fields):
                channels[subject].append(rules.local_channels(pixels, field))
            for (number, _), scene in zip(block, composed, strict=True):
                brick.write(images[number], scene.pixels)
                packed.append(_packed(scene))
            scenes += [_without_pixels(scene) for scene in composed]
            bar.advance(len(block))
    with h5py.File(masks, "w", libver="latest") as file:
        file.create_dataset("masks", data=np.concatenate(packed), compression="gzip")
    return Gallery(catalogue, numbers, scenes, [np.concatenate(parts) for parts in channels])


def _images_by_scene(catalogue: Catalogue) -> dict[int, Ids]:
    order = np.argsort(catalogue.scenes, kind="stable")
    numbers, counts = np.unique(catalogue.scenes, return_counts=True)
    parts = np.split(catalogue.images[order], np.cumsum(counts)[:-1])
    return dict(zip(numbers.tolist(), parts, strict=True))


def _batches(numbers: Ids, unseen: NDArray[np.bool_]) -> Iterator[list[tuple[int, bool]]]:
    pairs = list(zip(numbers.tolist(), unseen.tolist(), strict=True))
    for start in range(0, len(pairs), _BATCH):
        yield pairs[start : start + _BATCH]


def _packed(scene: Scene) -> NDArray[np.uint8]:
    """Masks at one half as bits, (things, side, side / 8), most significant bit leftmost.

    Rows of all scenes stand in the order of ``things.tsv``.
    """
    return np.packbits(np.stack([thing.mask >= 0.5 for thing in scene.things]), axis=2)


def _without_pixels(scene: Scene) -> Scene:
    bare = [replace(thing, mask=np.zeros((0, 0), np.float32)) for thing in scene.things]
    return replace(scene, pixels=np.zeros((0, 0, 3), np.uint8), things=tuple(bare))


def enlarge(pixels: NDArray[np.uint8], side: int = STIMULUS_SIDE) -> NDArray[np.uint8]:
    """A picture enlarged by repeating pixels, so that the scene's own can be had back.

    Smoother ways give files five times as large and as slow (measured at 2,500 pictures of
    160 pixels: 1.0 GB and 50 s for bicubic, 0.23 GB and 12 s for this).
    """
    picture = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
    return np.asarray(picture)


class _brick:  # noqa: N801 (a context manager, used like a function)
    """``imgBrick`` in its full shape, of which only the pictures that are shown take space.

    A chunk holds one picture and is compressed here, once for all images that show it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def __enter__(self) -> _brick:
        self._file = h5py.File(self._path, "w", libver="latest")
        picture = (STIMULUS_SIDE, STIMULUS_SIDE, 3)
        self._data = self._file.create_dataset(
            STIMULI_KEY, shape=(N_STIMULI, *picture), dtype=np.uint8, chunks=(1, *picture),
            compression="gzip", compression_opts=_LEVEL,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, images: Ids, pixels: NDArray[np.uint8]) -> None:
        """Store one picture as several images."""
        content = zlib.compress(enlarge(pixels).tobytes(), _LEVEL)
        for image in images.tolist():
            self._data.id.write_direct_chunk((image, 0, 0, 0), content)
