"""What a page is made of, whatever it is written in.

Texts are plain prose in which `backquotes` mark what is typed or read as it stands, and
[brackets](#target) what stands elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of the page (level 1) or of a part of it (2, 3)."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Prose."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines as they stand; `language` is Markdown's word for what they are."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Words, and what each means."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts beneath titles."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Code | Terms | Table


def code(text: str) -> str:
    """`text` as it stands."""
    return f"`{text}`"
