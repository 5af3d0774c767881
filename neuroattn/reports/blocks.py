"""A report as data: sections hold blocks of plain text and figures, and know no HTML.

Only the template turns a block into markup, and it escapes every string on the way; so a
section, whichever room adds it, cannot let a foreign string become an element.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from markupsafe import Markup

from neuroattn.figures import data_uri

Row = tuple[str, ...]
Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Prose:
    """Paragraphs of text."""

    kind: ClassVar[str] = "prose"
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """One headline number: what it is, its value, and what it was taken over."""

    label: str
    value: str
    note: str = ""
    headline: bool = False


@dataclass(frozen=True)
class Cards:
    """Headline numbers side by side."""

    kind: ClassVar[str] = "cards"
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class FactList:
    """Names and values; rows without a value are left out."""

    kind: ClassVar[str] = "facts"
    rows: Facts

    @property
    def stated(self) -> Facts:
        """The rows that say something."""
        return tuple(row for row in self.rows if row[1])


@dataclass(frozen=True)
class Column:
    """Heading of a table column; numbers are set flush right."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text under a caption; with ``emphasis`` the first row stands out (a total)."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    emphasis: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure: its bytes, what it shows in words, and its caption."""

    kind: ClassVar[str] = "picture"
    content: bytes
    alt: str
    caption: str
    format: Literal["svg", "png", "webp"] = "svg"

    @property
    def uri(self) -> Markup:
        """The figure as an address that holds it; base64 needs no escaping and no cutting."""
        return Markup(data_uri(self.content, self.format))  # noqa: S704


@dataclass(frozen=True)
class Notice:
    """Something to see first: an error, a warning, or a check that was passed."""

    kind: ClassVar[str] = "notice"
    level: Literal["error", "warning", "passed", "note"]
    title: str
    text: str = ""
    facts: Facts = ()


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away until asked for."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Subheading:
    """Starts a part of a section."""

    kind: ClassVar[str] = "subheading"
    text: str
    note: str = ""


Block = Prose | Cards | FactList | Table | Picture | Notice | Details | Subheading


@dataclass(frozen=True)
class BuiltSection:
    """A section ready to be rendered; ``anchor`` is its id in the page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """The whole page."""

    title: str
    subtitle: str
    simulated: bool
    sections: tuple[BuiltSection, ...] = field(default_factory=tuple)
