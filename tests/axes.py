"""Named axes are checked while tests run: ``images tokens dim`` must agree within every call.

jaxtyping's import hook hands us each function of the rooms below. Those whose annotations name
axes go through beartype; the others are left alone, for tests call them with doubles of
protocols, and a checked double tests nothing. Processes that a test starts are not hooked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

F = TypeVar("F", bound=Callable[..., Any])

# Rooms whose functions take tensors; one that is not built yet costs nothing.
ROOMS = ("training", "features", "generators", "encoding", "decoding", "synthesis", "captioning")

_AXES = re.compile(r"\b(Shaped|Bool|Num|Inexact|Real|Float|Complex|Integer|U?Int|Key)\d*\[")
# A number of Python where a float is asked for is no fault.
_checker = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: F) -> F:
    """``function`` with its arguments checked, if any of its annotations names axes."""
    kinds = getattr(function, "__annotations__", {}).values()
    named = any(_AXES.search(str(kind)) for kind in kinds)
    return _checker(function) if named else function


def watch() -> None:
    """Check every function of `ROOMS` that is imported from now on."""
    install_import_hook([f"neuroattn.{room}" for room in ROOMS], "tests.axes.checked")
