"""What `--json` prints: the table of `virtsec.cli.schema`, and the dataclasses that it names."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import import_module
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path, PurePosixPath
from typing import Any

from docs.generate import records, tables
from docs.generate.block import Block, Heading, Paragraph, Table, code
from virtsec.cli import schema
from virtsec.step import Step

#: Where a name without a module is, unless it was named with one.
_HOME = "virtsec.commands.results"
_CONSTANTS = {"None": "null", "True": "true", "False": "false"}
_NAME = re.compile(r"`([\w.]+)`")
_PLAIN: Mapping[Any, str] = {
    str: "string",
    int: "number",
    bool: "true or false",
    Path: "path",
    PurePosixPath: "path",
    IPv4Interface: "address with prefix",
    IPv6Interface: "address with prefix",
    IPv4Address: "address",
    IPv6Address: "address",
    Step: "step",
    dict[str, Any]: "step",
    Any: "anything",
    type(None): "null",
}


def documents() -> dict[str, str]:
    """By command, or variant of it: its document in the words of `virtsec.cli.schema`."""
    found = {}
    for commands, document in tables.rows(schema.__doc__ or ""):
        for command in commands.split(", "):
            found[command] = document
    return found


def named() -> dict[str, type]:
    """The dataclasses that those documents name, by the names they have there."""
    names = [name for document in documents().values() for name in _NAME.findall(document)]
    found: dict[str, type] = {}
    for name in sorted(dict.fromkeys(names), key=lambda name: "." not in name):
        module, _, short = name.rpartition(".")
        alike = [record for full, record in found.items() if full.endswith(f".{name}")]
        found[name] = alike[0] if alike else getattr(import_module(module or _HOME), short)
    return found


def blocks() -> Iterator[Block]:
    """The page."""
    first, *others = tables.prose(schema.__doc__ or "")
    yield Heading(1, "JSON")
    yield Paragraph(first)
    titles = _titles(named())
    by_name = {name: titles[record] for name, record in named().items()}
    rows = tables.rows(schema.__doc__ or "")
    yield Table(
        ("command", "document"),
        tuple((_command(command), _document(text, by_name)) for command, text in rows),
    )
    yield from (Paragraph(text) for text in others)
    for record, title in titles.items():
        yield Heading(2, title)
        yield Paragraph(_docstring(record))
        yield _members(record, titles)


def _members(record: type, titles: Mapping[type, str]) -> Block:
    """The keys of an object, or the words that something may be."""
    if issubclass(record, StrEnum):
        words = records.words(record)
        if not any(meaning for _, meaning in words):
            return Paragraph(f"One of {', '.join(code(word) for word, _ in words)}.")
        return Table(("word", "meaning"), tuple((code(word), said) for word, said in words))
    rows = (
        (code(f.name), _type(f.type, titles), _in_json(f.meaning)) for f in records.fields(record)
    )
    return Table(("key", "value", "meaning"), tuple(rows))


def _titles(named: Mapping[str, type]) -> dict[type, str]:
    """What is described, each with what it is called: those named, and all that is in them."""
    found: dict[type, None] = {}

    def add(record: type) -> None:
        if record not in found:
            found[record] = None
            for field in () if issubclass(record, StrEnum) else records.fields(record):
                for part in records.records_in(field.type):
                    add(part)

    for record in named.values():
        add(record)
    names = [record.__name__ for record in found]
    return {
        record: record.__name__
        if names.count(record.__name__) == 1
        else f"{record.__name__} of {record.__module__.rpartition('.')[2]}"
        for record in found
    }


def _docstring(record: type) -> str:
    return _in_json(" ".join((inspect.getdoc(record) or "").split()))


def _in_json(text: str) -> str:
    """`text`, which speaks of Python's constants, of JSON's."""
    return re.sub(r"\b(None|True|False)\b", lambda word: _CONSTANTS[word[1]], text)


def _type(hint: Any, titles: Mapping[type, str]) -> str:
    """A type as JSON has it."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if hint in titles:
        return _link(titles[hint])
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Union | types.UnionType:
            return " or ".join(dict.fromkeys(_type(each, titles) for each in arguments))
        case origin if origin is tuple:
            parts = [each for each in arguments if each is not Ellipsis]
            return f"list of {' and '.join(_type(each, titles) for each in parts)}"
        case origin if isinstance(origin, type) and issubclass(origin, Mapping):
            return f"object: {_type(arguments[1], titles)} by name"
    raise TypeError(f"no words for {hint} in JSON")


def _link(title: str) -> str:
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _command(words: str) -> str:
    if words.startswith(("(", "anything")):
        return words
    return ", ".join(map(code, words.split(", ")))


def _document(text: str, titles: Mapping[str, str]) -> str:
    """A document with links to what it names, the rest of it as it stands where it is JSON."""
    parts = re.split(r"(`[\w.]+`)", text)
    literal = text.startswith("{")
    return "".join(
        _link(titles[part.strip("`")])
        if part.strip("`") in titles and part.startswith("`")
        else code(part)
        if literal and part
        else part
        for part in parts
    )
