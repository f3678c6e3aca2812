"""Blocks as Markdown, in GitHub's dialect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from docs.generate.block import Block, Code, Heading, Paragraph, Table, Terms

_NOTE = "<!-- Written by `make reference`; what it says is said in the code. -->"


def page(blocks: Iterable[Block]) -> str:
    """The whole file."""
    return "\n\n".join([_NOTE, *map(_block, blocks)]) + "\n"


def anchor(heading: str) -> str:
    """What GitHub calls the place of a heading, but for the number of one that is there before."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_prose(text)}"
        case Paragraph(text):
            return _prose(text)
        case Code(text, language):
            return f"```{language}\n{text.rstrip()}\n```"
        case Terms(pairs):
            return "\n".join(f"- {_prose(term)}: {_prose(meaning)}" for term, meaning in pairs)
        case Table(titles, rows):
            return "\n".join(map(_row, (titles, ["---"] * len(titles), *rows)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_prose(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _prose(text: str) -> str:
    """`text` with what Markdown would obey made plain, but for code and links."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*\\]|<(?=[\w/!]))", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
