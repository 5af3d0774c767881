"""Splits as JSON: ``{"train": [image…], "test": [image…]}``, or several of them by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from neuroattn.core.errors import DataError, LeakError
from neuroattn.data.dataset import Splits
from neuroattn.data.files import named, read_json_input

SIDES = ("train", "test")
UNNAMED = "dataset"


def read_splits(path: Path, known: Collection[int]) -> Splits:
    """Read a file of splits; an unnamed one is called ``dataset``.

    Parameters
    ----------
    known : ids of the images that exist.

    Raises
    ------
    DataError : another form, an empty side, an image twice or one that does not exist.
    LeakError : an image on both sides.
    """
    content = read_json_input(path)
    if isinstance(content, dict) and set(content) & set(SIDES):
        content = {UNNAMED: content}
    if not isinstance(content, dict) or not content:
        raise _malformed(path, UNNAMED, type(content).__name__ if content else "nothing")
    exist = frozenset(known)
    return {str(name): _split(str(name), sides, exist, path) for name, sides in content.items()}


def _split(name: str, sides: Any, known: frozenset[int], path: Path) -> dict[str, list[int]]:
    if not isinstance(sides, dict) or set(sides) != set(SIDES):
        found = ", ".join(map(str, sides)) if isinstance(sides, dict) else type(sides).__name__
        raise _malformed(path, name, found or "nothing")
    split = {side: _side(name, side, sides[side], known, path) for side in SIDES}
    both = sorted(set(split["train"]) & set(split["test"]))
    if both:
        raise LeakError(
            f"images stand on both sides of the split {name}",
            file=path,
            expected="each image in train or in test",
            found=f"images {named(both)}",
            fix="remove them from one of the sides",
        )
    return split


def _side(name: str, side: str, images: Any, known: frozenset[int], path: Path) -> list[int]:
    if not isinstance(images, list) or not images:
        raise _malformed(
            path, f"{name}.{side}", "an empty list" if images == [] else type(images).__name__
        )
    strange = [repr(image) for image in images if type(image) is not int]
    if strange:
        raise _malformed(path, f"{name}.{side}", named(strange))
    unknown = sorted(set(images) - known)
    if unknown:
        raise DataError(
            f"the split {name} names images that do not exist",
            file=path,
            expected=f"images with a picture ({min(known)} to {max(known)})",
            found=f"{side}: images {named(unknown)}",
            fix="correct the numbers; images are numbered as in trials.tsv",
        )
    twice = sorted(image for image, times in Counter(images).items() if times > 1)
    if twice:
        raise DataError(
            f"the split {name} names an image twice",
            file=path,
            expected="each image once",
            found=f"{side}: images {named(twice)}",
            fix="remove the repetition",
        )
    return sorted(images)


def _malformed(path: Path, name: str, found: str) -> DataError:
    return DataError(
        f"the split {name} has another form",
        file=path,
        expected='{"train": [image, …], "test": [image, …]} with whole numbers, or several by name',
        found=found,
        fix="write it in that form",
    )
