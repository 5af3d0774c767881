"""Words put together in English: what several rooms say in captions, prompts and pages."""

from __future__ import annotations

from typing import Final

PICTURE_OF: Final = "A picture of {}."  # how an image-text space is asked for a thing
_SINGULAR_ENDS = ("ss", "us", "is")  # glass, bus, tennis


def with_article(noun: str) -> str:
    """``a cat``, ``an ice cream``; plurals (``cherries``) take none."""
    if noun.endswith("s") and not noun.endswith(_SINGULAR_ENDS):
        return noun
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"
