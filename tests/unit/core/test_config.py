from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pytest

from neuroattn.core.config import (
    Choice,
    Section,
    at_least,
    execution,
    positive,
    science,
    science_defaults,
    science_values,
    section,
    share,
    share_below_one,
    walk,
)
from neuroattn.core.errors import ConfigError


class Colour(Enum):
    red = "red"
    blue = "blue"


@dataclass(kw_only=True)
class Inner(Section):
    colour: Colour = science(Colour.red, "A colour.")
    size: int = science(3, "A size.", check=lambda n: n > 0, must="be above 0")


@dataclass(kw_only=True)
class Paint(Choice):
    name: str = science("paint", "Name.")
    layers: list[str] = science(["a"], "Layers.")
    workers: int = execution(2, "Workers.")
    inner: Inner = section(Inner, "Inner.")


@dataclass(kw_only=True)
class Root(Section):
    paint: Paint = section(Paint, "Paint.")
    seed: int = science(0, "Seed.")


def test_only_science_that_differs_enters_but_names_always() -> None:
    root = Root()
    assert science_values(walk(root), ("paint",)) == {"paint.name": "paint"}
    root.paint.inner.colour = Colour.blue
    root.paint.workers = 9
    root.seed = 5
    assert science_values(walk(root), ("paint",)) == {
        "paint.name": "paint",
        "paint.inner.colour": "blue",
    }
    assert science_values(walk(root), ("paint", "seed"), ("paint.inner",)) == {
        "paint.name": "paint",
        "seed": 5,
    }


def test_defaults_list_every_science_key() -> None:
    assert science_defaults(walk(Root()), ("paint", "seed")) == {
        "paint.name": "paint",
        "paint.layers": ["a"],
        "paint.inner.colour": "red",
        "paint.inner.size": 3,
        "seed": 0,
    }


def test_a_prefix_is_whole_words() -> None:
    assert science_values(walk(Root()), ("pai",)) == {}


@dataclass(kw_only=True)
class Ranges(Section):
    items: int = at_least(3, "Items.", 2)
    threads: int = at_least(1, "Threads.", kind=execution)
    rate: float = positive(0.5, "Rate.")
    kept: float = share(1.0, "Kept.")
    dropped: float = share_below_one(0.0, "Dropped.")


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [("items", 2, 1), ("threads", 1, 0), ("rate", 1e-9, 0.0), ("kept", 1.0, 1.1),
     ("kept", 0.0, -0.1), ("dropped", 0.99, 1.0), ("dropped", 0.0, -0.1)],
)  # fmt: skip
def test_common_ranges_hold_at_their_ends(key: str, good: float, bad: float) -> None:
    assert getattr(Ranges(**{key: good}), key) == good
    with pytest.raises(ConfigError, match=f"Ranges.{key} is out of range"):
        Ranges(**{key: bad})
    roles = {found.path: found.role for found in walk(Ranges())}
    assert roles == {name: "execution" if name == "threads" else "science" for name in roles}


def test_range_checks_name_the_key_and_the_rule() -> None:
    with pytest.raises(ConfigError, match=r"Inner.size is out of range") as caught:
        Inner(size=0)
    assert "be above 0" in str(caught.value)


def test_the_name_of_a_choice_cannot_be_set() -> None:
    with pytest.raises(ConfigError, match="name of the Paint"):
        Paint(name="other")


def test_mutable_defaults_are_not_shared() -> None:
    first, second = Paint(), Paint()
    first.layers.append("b")
    assert second.layers == ["a"]
    assert [key.default for key in walk(first) if key.path == "layers"] == [["a"]]
