"""Names to schemas and code, and what is said about a name that is taken or unknown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Entry, Registry


def leaves(section: Any) -> dict[str, Path]:
    """As a choice would name its input files."""
    return {"file": Path(section.root)}


def registry() -> Registry:
    return Registry(
        "thing",
        {
            "plain": Entry(dict, "collections:OrderedDict"),
            "filed": Entry(dict, "collections:Counter", leaves=f"{__name__}:leaves"),
            "absent": Entry(dict, "no_such_package:Thing"),
        },
    )


def test_code_is_imported_when_it_is_asked_for() -> None:
    found = registry()
    assert found.load("plain").__name__ == "OrderedDict"
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        found.load("absent")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"absent \| filed \| plain"):
        registry().load("other")


def test_a_name_that_is_taken_is_refused_and_stays() -> None:
    found = registry()
    with pytest.raises(ConfigError, match="registered twice"):
        found.add("plain", Entry(dict, "collections:Counter"))
    assert found.load("plain").__name__ == "OrderedDict"


def test_leaves_are_those_of_the_choice() -> None:
    found = registry()
    assert found.leaves(SimpleNamespace(name="filed", root="x")) == {"file": Path("x")}
    assert found.leaves(SimpleNamespace(name="plain")) == {}
