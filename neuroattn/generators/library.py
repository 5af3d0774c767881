"""Where this room imports diffusers and transformers, late: they cost seconds, loosely typed."""

from __future__ import annotations

from typing import Any


def diffusers() -> Any:
    """The library, without its remarks; errors are raised all the same."""
    import diffusers as library

    library.utils.logging.set_verbosity_error()
    return library


def transformers() -> Any:
    """The library, without a bar for each model that is read."""
    import transformers as library

    quiet: Any = library.utils.logging
    quiet.disable_progress_bar()
    return library
