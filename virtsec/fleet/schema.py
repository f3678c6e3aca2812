"""The published schema of a fleet file, and what it says of one."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from virtsec.fleet.document import Document
from virtsec.fleet.place import Place


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
    found = [(tuple(error.absolute_path), error.message) for error in told]
    place, message = min(found, key=lambda each: _line(document, each[0]))
    where = ".".join(map(str, place))
    sentence = f"{where}: {message}." if where else f"{message}."
    raise document.wrong(place, sentence, "See `virtsec fleet schema`.")


def _line(document: Document, place: Place) -> int:
    return document.lines.get(place, 0)
