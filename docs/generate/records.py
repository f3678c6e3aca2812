"""Dataclasses and enumerations as their source describes them: docstrings and comments `#:`."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import io
import textwrap
import tokenize
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dataclass, or one word of an enumeration."""

    name: str
    type: Any  #: as `typing.get_type_hints` has it; None for a word
    written: str  #: its type in the source's words
    default: str  #: in the source's words; empty where there is none
    meaning: str


def fields(record: type) -> tuple[Field, ...]:
    """Those of a dataclass, in their order."""
    assert is_dataclass(record)
    hints = typing.get_type_hints(record)
    found: dict[str, Field] = {}
    for each in reversed(record.__mro__):
        if each.__module__.startswith("virtsec."):
            found |= {field.name: field for field in _own(each, hints)}
    return tuple(found[each.name] for each in dataclasses.fields(record))


def words(enumeration: type[enum.StrEnum]) -> tuple[tuple[str, str], ...]:
    """The words of an enumeration, with their meanings, which may be empty."""
    meanings = {field.name: field.meaning for field in _own(enumeration, {})}
    return tuple((word.value, meanings.get(word.name, "")) for word in enumeration)


def records_in(hint: Any) -> Iterator[type]:
    """The dataclasses and enumerations that a type is made of."""
    if isinstance(hint, type) and not typing.get_args(hint):
        if is_dataclass(hint) or issubclass(hint, enum.StrEnum):
            yield hint
        return
    for part in typing.get_args(hint):
        yield from records_in(part)


def _own(record: type, hints: Mapping[str, Any]) -> Iterator[Field]:
    source = textwrap.dedent(inspect.getsource(record))
    said = _comments(source)
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            written, name = ast.unparse(node.annotation), node.target.id
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            written, name = "", node.targets[0].id
        else:
            continue
        if name.startswith("_") or (written and name not in hints):
            continue
        default = "" if node.value is None else _default(node.value)
        yield Field(name, hints.get(name), written, default, _meaning(node, said))


def _default(value: ast.expr) -> str:
    match value:
        case ast.Call(ast.Name("field"), _, given):
            known = {word.arg: ast.unparse(word.value) for word in given}
            factory = known.get("default_factory")
            return f"{factory}()" if factory else known.get("default", "")
    return ast.unparse(value)


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """By line: what a comment `#:` says, and whether it has the line for itself."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.string.startswith("#:"):
            text = token.string.removeprefix("#:").strip()
            found[token.start[0]] = (text, token.line.lstrip().startswith("#:"))
    return found


def _meaning(node: ast.stmt, said: Mapping[int, tuple[str, bool]]) -> str:
    """What is said beside a field; else in the lines before it."""
    last = node.end_lineno or node.lineno
    beside = [said[line][0] for line in range(node.lineno, last + 1) if line in said]
    before: list[str] = []
    line = node.lineno - 1
    while said.get(line, ("", False))[1]:
        before.insert(0, said[line][0])
        line -= 1
    return " ".join([*before, *beside])
