"""Where configs may come from: folders. Hydra imports a package to read configs from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from neuroattn.core.errors import SecurityError

KEY = "hydra.searchpath"
SCHEME = "file://"


def refuse_packages(words: Sequence[str]) -> None:
    """Refuse overrides that make Hydra search anything but folders.

    Called before composing, because composing is what imports a package. Hydra reads this
    key from overrides and its primary config alone, and that one is ours.

    Raises
    ------
    SecurityError : naming the place.
    """
    suspects = [word for word in words if KEY in word]
    try:
        overrides = OverridesParser.create().parse_overrides(suspects)
    except HydraException:  # told better by whoever composes; what does not parse is not searched
        return
    for override in overrides:
        if override.key_or_group == KEY:
            _check(override)


def _check(override: Override) -> None:
    places: Any = None if override.is_sweep_override() else override.value()
    for place in places if isinstance(places, list) else [places]:
        if not str(place).startswith(SCHEME):
            raise SecurityError(
                f"{KEY} may name folders only: reading configs from a package runs its code",
                expected=f"{KEY}=[{SCHEME}/a/folder], or --config-dir /a/folder",
                found=override.input_line,
                fix="copy the configs into a folder and name it with --config-dir",
            )
