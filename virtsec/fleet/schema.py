"""The published schema of a fleet file, and what it says of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from virtsec.fleet.document import Document
from virtsec.fleet.place import Place

if TYPE_CHECKING:
    from jsonschema import ValidationError

#: What the schema's types are called in YAML and TOML.
_CALLED = {"array": "a list", "object": "a mapping", "integer": "a number", "string": "text"}
_UNKNOWN = ("additionalProperties", "unevaluatedProperties")
#: How jsonschema tells what it does not know.
_NAME = re.compile(r"'([^']*)'(?=[^(]* (?:was|were) unexpected)")


def schema() -> dict[str, Any]:
    """The schema, which `virtsec fleet schema` prints."""
    text = files("virtsec.fleet").joinpath("schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def check(document: Document) -> None:
    """Raise `BadInput` for the first thing, from the top, that the schema does not let be."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  (slow to import)

    errors = list(Draft202012Validator(schema()).iter_errors(document.data))
    if not errors:
        return
    # A setting of the wrong kind is one that is not known besides: what is deeper says more.
    told = [error for error in errors if error.validator != "unevaluatedProperties"] or errors
    found = [(tuple(error.absolute_path), _sentence(error)) for error in told]
    place, message = min(found, key=lambda each: _line(document, each[0]))
    where = ".".join(map(str, place))
    end = "" if message.endswith("?") else "."
    sentence = f"{where}: {message}{end}" if where else f"{message}{end}"
    raise document.wrong(place, sentence, "See `virtsec fleet schema`.")


def _sentence(error: ValidationError) -> str:
    """What is wrong, without the words of JSON schemas."""
    kind = str(error.validator)
    if kind in _UNKNOWN and (unknown := _NAME.findall(error.message)):
        near = get_close_matches(unknown[0], list(_settings(schema())), 1)
        proposal = f"; did you mean {near[0]}?" if near else ""
        return f"There is no setting {unknown[0]}{proposal}"
    if kind == "type" and isinstance(error.validator_value, str):
        wanted = _CALLED.get(error.validator_value, error.validator_value)
        return f"{error.instance!r} is not {wanted}"
    return str(error.message)


def _settings(part: Any) -> Iterator[str]:
    """The names that a part of the schema has for what can be set."""
    for key, value in part.items() if isinstance(part, dict) else ():
        if key == "properties":
            yield from value
        yield from _settings(value)


def _line(document: Document, place: Place) -> int:
    return document.lines.get(place, 0)
