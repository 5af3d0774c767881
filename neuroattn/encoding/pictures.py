"""Pictures to predict for: a folder of them, by category where it has folders, or scenes.

Scenes of the simulator show one thing each, of exemplars that no simulated training picture
shows, so that a localiser needs no file: what they are is known, and what they are not is that
of a recorded localiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.data.arrays_files import PICTURE_SUFFIXES
from neuroattn.data.pictures import decode

Pixels = NDArray[np.uint8]
_SEED = 20  # of scenes: they are the same for every encoder


@dataclass(frozen=True)
class Shown:
    """One picture: its name, what it shows as far as known, and how to get its pixels."""

    name: str
    categories: frozenset[str]
    read: Callable[[], Pixels]
    digest: Callable[[], str]


def pictures_in(folder: str | None) -> dict[str, Path]:
    """Pictures of a folder and of the folders in it by relative name, sorted.

    Files of other kinds and what begins with a dot are passed over.

    Raises
    ------
    ConfigError : the folder is not set.
    DataError : it holds no picture.
    """
    if not folder or not Path(folder).expanduser().is_dir():
        raise ConfigError(
            "which pictures to predict for is not set",
            expected="a folder of pictures, or of a folder for each category",
            found=folder or "predict.images is not set",
            fix="set predict.images=FOLDER, or predict.scenes=60",
        )
    root = Path(folder).expanduser()
    found = {
        path.relative_to(root).as_posix(): path
        for path in (*root.iterdir(), *root.glob("*/*"))
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }
    if not found:
        raise DataError(
            "the folder holds no picture", file=root, expected=", ".join(sorted(PICTURE_SUFFIXES)),
            found="none of these", fix="correct predict.images=FOLDER",
        )  # fmt: skip
    return dict(sorted(found.items()))


def shown_in(files: Mapping[str, Path]) -> list[Shown]:
    """The pictures of `pictures_in`; one in a folder shows what the folder is called."""

    def one(name: str, path: Path) -> Shown:
        folder, _, _ = name.rpartition("/")
        categories = frozenset([folder] if folder else [])
        return Shown(name, categories, lambda: decode(path), lambda: file_digest(path))

    return [one(name, path) for name, path in files.items()]


def scenes(each: int) -> list[Shown]:
    """Scenes with one thing, ``each`` of every category; some are in a built place as well."""
    from neuroattn.data.simulate.compose import Layout, compose
    from neuroattn.data.simulate.rules import BUILT, PLACE
    from neuroattn.data.simulate.scene import CATEGORIES, Pool

    layout = Layout(things=(1, 1))
    left = dict.fromkeys(CATEGORIES, each)

    def found() -> Iterator[Shown]:
        for number in count():
            if not any(left.values()):
                return
            scene = compose(number, seed=_SEED, layout=layout, pool=Pool.unseen)
            category = scene.things[0].category
            if left[category]:
                left[category] -= 1
                names = {category} | ({PLACE} if scene.background in BUILT else set())
                yield _scene(f"scene-{number:04d}", frozenset(names), scene.pixels)

    return list(found())


def _scene(name: str, categories: frozenset[str], pixels: Pixels) -> Shown:
    from neuroattn.data.simulate.gallery import enlarge  # as those that encoders were fitted on

    def digest() -> str:
        return sha256(pixels.tobytes()).hexdigest()

    return Shown(name, categories, lambda: enlarge(pixels), digest)
