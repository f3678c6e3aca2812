"""A fleet file as data, with the line each part stands on.

TOML where its name says so, else YAML, of which less is understood than there is: no anchors and
tags, so that what is read is no longer than what is written; and a plain word is a number only
where it is decimal, so that a pair of ports is not one in base 60 (yaml.org/type/int.html).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from virtsec.errors import BadInput
from virtsec.fleet.place import Place, upwards
from virtsec.fleet.toml import lines_of

MOST_BYTES, MOST_DEPTH = 1 << 20, 8

_TOO_DEEP = f"This is no TOML for a fleet: it nests more than {MOST_DEPTH} deep."
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_END = 10**18  # of the numbers that are understood
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says."""

    path: Path
    data: Any
    lines: Mapping[Place, int] = field(repr=False)  #: counted from 1

    def wrong(self, place: Place, sentence: str, remedy: str = "") -> BadInput:
        """What to raise for something at `place`, which is told by its file and line."""
        known = next(at for at in upwards(place) if at in self.lines)
        return _wrong(self.path, self.lines[known], sentence, remedy)


def load(path: Path) -> Document:
    """Read a file. Raises `BadInput` with file and line for what makes no sense."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_BYTES + 1)  # of what has no end, no more
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise BadInput(f"{path} cannot be read: {why}.", "Name a fleet file.") from None
    if len(text.encode()) > MOST_BYTES:
        raise BadInput(
            f"{path} is too long: a fleet file has {MOST_BYTES} bytes at most.",
            "Say what is alike once, in a profile or by a count.",
        )
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """What a file at `path` with this text says. Raises as `load` does."""
    return (_parse_toml if path.suffix == ".toml" else _parse_yaml)(text, path)


def _parse_toml(text: str, path: Path) -> Document:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        raise _wrong(path, line, f"This is no TOML: {_AT_LINE.sub('', str(error))}.") from None
    except RecursionError:
        raise _wrong(path, 1, _TOO_DEEP) from None
    except ValueError:  # Python reads no number of thousands of digits
        raise _wrong(path, 1, "This is no TOML: a number in it is too long.") from None
    if _is_deep(data, MOST_DEPTH):
        raise _wrong(path, 1, _TOO_DEEP)
    document = Document(path, data, lines_of(text))
    for at, value in _values(data, ()):
        whole = isinstance(value, int) and abs(value) < _END
        if not whole and not isinstance(value, str):
            raise document.wrong(at, "Neither a word, nor a whole number of at most 18 digits.")
    return document


def _values(data: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """All that is neither a table nor an array, and where."""
    if isinstance(data, dict):
        for name, each in data.items():
            yield from _values(each, (*place, name))
    elif isinstance(data, list):
        for at, each in enumerate(data):
            yield from _values(each, (*place, at))
    else:
        yield place, data


def _is_deep(data: Any, levels: int) -> bool:
    """Whether it nests more than that many levels."""
    if not isinstance(data, dict | list):
        return False
    beneath = data.values() if isinstance(data, dict) else data
    return levels == 0 or any(_is_deep(each, levels - 1) for each in beneath)


def _parse_yaml(text: str, path: Path) -> Document:
    lines: dict[Place, int] = {(): 1}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _wrong(path, line, f"This is no YAML: {error.problem or error}.") from None
    except yaml.YAMLError as error:
        raise _wrong(path, 1, f"This is no YAML: {str(error).splitlines()[0]}.") from None
    data = None if node is None else _Builder(path, lines).build(node, ())
    return Document(path, data, lines)


class _Loader(yaml.SafeLoader):
    """Composes nodes without anchors, and not endlessly deep."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse("anchors and aliases are not understood; use profiles", event)
        if getattr(event, "tag", None):
            self._refuse("tags are not understood", event)
        if self.depth > MOST_DEPTH:
            self._refuse(f"it nests more than {MOST_DEPTH} deep", event)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    @staticmethod
    def _refuse(problem: str, event: yaml.Event) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


class _Builder:
    """Makes data of nodes, and notes their lines."""

    def __init__(self, path: Path, lines: dict[Place, int]) -> None:
        self._path, self._lines = path, lines

    def build(self, node: yaml.Node, place: Place) -> Any:
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(each, (*place, at)) for at, each in enumerate(node.value)]
        text: str = node.value
        if isinstance(node, yaml.ScalarNode) and node.style:  # quoted, or a block
            return text
        if _NUMBER.fullmatch(text):
            return int(text)
        return _WORDS.get(text, text)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong(self._path, line, "A key is a single word.")
            name = str(key.value)
            if name in found:
                raise _wrong(self._path, line, f"{name} is there twice.", "Keep one.")
            found[name] = self.build(value, (*place, name))
            self._lines[*place, name] = line
        return found


def _wrong(path: Path, line: int, sentence: str, remedy: str = "") -> BadInput:
    return BadInput(f"{path}:{line}: {sentence}", remedy)
