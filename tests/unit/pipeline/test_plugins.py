"""Taking in a plug-in: whole or not at all, once, and only what keeps the contracts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from neuroattn.core.config import science
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Entry
from neuroattn.data.registry import DatasetConfig
from neuroattn.encoding.registry import EncoderConfig
from neuroattn.pipeline import plugins
from neuroattn.pipeline.stages import Catalogue, catalogue
from tests.unit.pipeline.toys import stage

Register = Callable[[Any], object]


@dataclass
class Point:
    """An entry point whose module is a function of ours."""

    register: Register
    name: str = "toy"
    value: str = "toys:register"
    dist: None = None

    def load(self) -> Register:
        return self.register


def contents(held: Catalogue) -> list[dict[str, Any]]:
    return [held.stages, held.plugins, *held.registries.values()]


@pytest.fixture
def held() -> Iterator[Catalogue]:
    """The catalogue; it is given back as it was."""
    found = catalogue()
    before = [dict(place) for place in contents(found)]
    yield found
    for place, content in zip(contents(found), before, strict=True):
        place.clear()
        place.update(content)


@dataclass(kw_only=True)
class Good(EncoderConfig):
    """A schema as it should be."""

    name: str = science("good", "The choice's name in its registry.")


@dataclass(kw_only=True)
class Undeclared(EncoderConfig):
    name: str = science("undeclared", "The choice's name in its registry.")
    size: int = 3


@dataclass(kw_only=True)
class Uncomposable(EncoderConfig):
    name: str = science("uncomposable", "The choice's name in its registry.")
    kind: Literal["a", "b"] = science("a", "A type that Hydra does not know.")


@dataclass(kw_only=True)
class Invalid(EncoderConfig):
    name: str = science("invalid", "The choice's name in its registry.")
    size: int = science(0, "A default that its own check refuses.", check=bool, must="not be 0")


@dataclass(kw_only=True)
class Data(DatasetConfig):
    name: str = science("data", "The choice's name in its registry.")


@dataclass
class Alone:
    name: str = field(default="alone")


def adding(name: str, schema: type, group: str = "encoder") -> Register:
    """A plug-in that adds something good first, and then this."""

    def register(held: Any) -> None:
        held.add("encoder", "good", Entry(Good, "toys:Good"))
        held.add(group, name, Entry(schema, "toys:It"))

    return register


def replacing(held: Any) -> None:
    held.registries["encoder"]["ridge"] = Entry(Good, "toys:Good")


def removing(held: Any) -> None:
    held.add_stage(stage("toy"))
    del held.stages["encode"]


def failing(held: Any) -> None:
    held.add("encoder", "good", Entry(Good, "toys:Good"))
    raise ImportError("no module named torhc")


REFUSED: dict[str, tuple[Register, str]] = {
    "name taken": (adding("ridge", Good), "encoder=ridge is registered twice"),
    "group": (adding("x", Good, group="encodr"), "there is no config group 'encodr'"),
    "base": (adding("alone", Alone), "derived from EncoderConfig"),
    "base of another group": (adding("data", Data), "derived from EncoderConfig"),
    "name in the schema": (adding("other", Good), r'name: str = science\("other", …\)'),
    "name": (adding("../good", Good), "a name of small letters"),
    "undeclared key": (adding("undeclared", Undeclared), "also for size"),
    "type": (adding("uncomposable", Uncomposable), "a schema that Hydra can compose"),
    "default": (adding("invalid", Invalid), "Invalid.size is out of range"),
    "leaves": (adding("data", Data, group="dataset"), "leaves, so that its files"),
    "replaces": (replacing, "replaces or removes encoder ridge"),
    "removes": (removing, "replaces or removes stage encode"),
    "stage is a verb": (lambda held: held.add_stage(stage("gc")), "a verb of the command line"),
    "no stage": (lambda held: held.stages.update(toy=3), "a Stage of that name"),
    "fails": (failing, "ImportError: no module named torhc"),
    "takes nothing": (lambda: None, "TypeError"),  # type: ignore[dict-item, misc]
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_breaks_a_contract_is_refused_whole(kind: str, held: Catalogue) -> None:
    register, told = REFUSED[kind]
    before = [dict(place) for place in contents(held)]
    with pytest.raises(ConfigError, match=told) as caught:
        plugins.take_in(Point(register), held)  # type: ignore[arg-type]
    assert contents(held) == before
    assert caught.value.problem.startswith("the plug-in toy of an unknown package ")
    assert caught.value.fix


def test_one_is_taken_in_once(held: Catalogue) -> None:
    calls = []

    def register(given: Any) -> None:
        calls.append(given)
        given.add("encoder", "good", Entry(Good, "toys:Good"))
        given.add_stage(stage("toy"))

    for _ in range(2):
        plugins.take_in(Point(register), held)  # type: ignore[arg-type]
    assert len(calls) == 1
    assert held.registries["encoder"]["good"].schema is Good
    assert held.stages["toy"].about == "a toy"
    assert list(held.plugins) == ["toy of an unknown package"]


def test_a_second_one_may_not_take_the_firsts_name(held: Catalogue) -> None:
    first = Point(lambda given: given.add_stage(stage("toy")))
    second = Point(lambda given: given.add_stage(stage("toy")), name="second")
    plugins.take_in(first, held)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the stage toy is registered twice"):
        plugins.take_in(second, held)  # type: ignore[arg-type]
    assert "toy" in held.stages
    assert list(held.plugins) == ["toy of an unknown package"]
