"""The one place that imports diffusers, and late: it costs seconds, and its types are loose."""

from __future__ import annotations

from typing import Any


def diffusers() -> Any:
    """The library, without its remarks; errors are raised all the same."""
    import diffusers as library

    library.utils.logging.set_verbosity_error()
    return library
