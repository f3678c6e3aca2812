"""Blocks as a man page, in the macros of man(7)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from docs.generate.block import Block, Code, Heading, Paragraph, Table, Terms

_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_WRAP = textwrap.TextWrapper(79, break_on_hyphens=False, break_long_words=False)
#: What roff would make other characters of, where text is to be typed.
_LITERAL = {"-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}


def page(title: str, blocks: Iterable[Block]) -> str:
    """The whole file; `title` is the line of words of `.TH`."""
    note = r".\" Written by `make reference`; what it says is said in the code."
    return "\n".join([note, f".TH {title}", *_lines(blocks)]) + "\n"


def _lines(blocks: Iterable[Block]) -> Iterable[str]:
    fresh = True  # a heading begins a paragraph of its own
    for block in blocks:
        match block:
            case Heading(1, text):
                yield f".SH {_literal(text)}"
            case Heading(_, text):
                yield f".SS {_literal(text)}"
            case Paragraph(text):
                yield from [] if fresh else [".PP"]
                yield from _sentences(text)
            case Code(text, _):
                yield from [] if fresh else [".PP"]
                yield from (".RS 4", ".EX")
                yield from (_guarded(_literal(line)) for line in text.rstrip().splitlines())
                yield from (".EE", ".RE")
            case Terms(pairs):
                yield from _terms(pairs)
            case Table(_, rows):
                yield from _terms(
                    (first, " ".join(f"{cell.rstrip('.')}." for cell in others if cell))
                    for first, *others in rows
                )
        fresh = isinstance(block, Heading)


def _terms(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    for term, meaning in pairs:
        yield from (".TP", _guarded(_prose(term)))
        yield from _sentences(meaning)


def _sentences(text: str) -> Iterable[str]:
    """Lines, of which none goes over the end of a sentence, as roff likes it."""
    for sentence in re.split(r"(?<=[.?!]) +(?=\S)", text):
        yield from map(_guarded, _WRAP.wrap(_prose(sentence)))


def _prose(text: str) -> str:
    parts = _LINK.sub(r"\1", text).split("`")
    parts[::2] = map(_escaped, parts[::2])
    parts[1::2] = [rf"\fB{_literal(part)}\fR" for part in parts[1::2]]
    return "".join(parts)


def _literal(text: str) -> str:
    return "".join(_LITERAL.get(letter, _escaped(letter)) for letter in text)


def _escaped(text: str) -> str:
    plain = text.replace("\\", r"\e")
    return "".join(c if c.isascii() else rf"\[u{ord(c):04X}]" for c in plain)


def _guarded(line: str) -> str:
    """`line`, not to be taken for a request."""
    return rf"\&{line}" if line.startswith((".", "'")) else line
