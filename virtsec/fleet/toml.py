"""Where the parts of a TOML text stand: tomllib says what they are, and not on which line.

The text is one that tomllib has read, so whatever is met here is in its place (toml.io/en/v1.0.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from virtsec.fleet.place import Place

_TOKEN = re.compile(
    r"""
    (?P<string> \"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | "(?:\\.|[^"\\])*" | '[^']*' )
    | (?P<blank> \#[^\n]* | [ \t\r]+ )
    | (?P<line> \n )
    | (?P<mark> [\[\]{},=.] )
    | (?P<word> [^\s\[\]{},=.\#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def lines_of(text: str) -> dict[Place, int]:
    """The line, counted from 1, that each key and each element of an array begins on."""
    return _Scan(text).places


class _Scan:
    def __init__(self, text: str) -> None:
        self.places: dict[Place, int] = {(): 1}
        self._tokens = list(_tokens(text))
        self._at = 0
        self._tables: dict[Place, int] = {}  #: arrays of tables, and the index of their last
        beneath: Place = ()
        while self._next_line():
            if self._peek() == "[":
                beneath = self._header()
            else:
                self._pair(beneath)

    def _header(self) -> Place:
        """`[a.b]` or `[[a.b]]`."""
        line = self._tokens[self._at].line
        depth = 0
        while self._peek() == "[":
            self._at += 1
            depth += 1
        *above, last = self._key()
        self._at += depth
        place: Place = ()
        for part in above:
            place = self._entered((*place, part))
            self.places.setdefault(place, line)
        place = (*place, last)
        if depth == 2:
            self._tables[place] = self._tables.get(place, -1) + 1
            self.places.setdefault(place, line)
            place = self._entered(place)
        self.places[place] = line
        return place

    def _entered(self, place: Place) -> Place:
        """The last table of it, where it is an array of tables."""
        return (*place, self._tables[place]) if place in self._tables else place

    def _pair(self, beneath: Place) -> None:
        """`key = value`."""
        line = self._tokens[self._at].line
        place = beneath
        for part in self._key():
            place = (*place, part)
            self.places.setdefault(place, line)
        self._at += 1  # the equals sign
        self._value(place)

    def _key(self) -> list[str]:
        """`a."b c".d`."""
        parts = [self._name()]
        while self._peek() == ".":
            self._at += 1
            parts.append(self._name())
        return parts

    def _name(self) -> str:
        token = self._tokens[self._at]
        self._at += 1
        return token.text[1:-1] if token.kind == "string" else token.text

    def _value(self, place: Place) -> None:
        opening = self._peek()
        if opening not in ("[", "{"):
            while self._at < len(self._tokens) and self._peek() not in (",", "]", "}", "\n"):
                self._at += 1
            return
        self._at += 1
        index = 0
        while self._next_line() and self._peek() not in ("]", "}"):
            if opening == "{":
                self._pair(place)
            else:
                self.places[(*place, index)] = self._tokens[self._at].line
                self._value((*place, index))
                index += 1
            self._next_line()
            if self._peek() == ",":
                self._at += 1
        self._at += 1  # what closes it

    def _next_line(self) -> bool:
        """Whether anything is left, ends of lines passed over."""
        while self._at < len(self._tokens) and self._peek() == "\n":
            self._at += 1
        return self._at < len(self._tokens)

    def _peek(self) -> str:
        """A mark or the end of a line; empty before anything else, and at the end."""
        if self._at >= len(self._tokens):
            return ""
        token = self._tokens[self._at]
        return token.text if token.kind in ("mark", "line") else ""


def _tokens(text: str) -> Iterator[_Token]:
    """All but blanks and comments."""
    line = 1
    for found in _TOKEN.finditer(text):
        kind = str(found.lastgroup)
        if kind != "blank":
            yield _Token(kind, found[0], line)
        line += found[0].count("\n")
