"""Fleet files, by the schema that virtsec holds them against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.block import Block, Code, Heading, Paragraph, Table, code
from docs.generate.commands import Command
from virtsec.fleet.export import as_text
from virtsec.fleet.schema import schema

_KINDS = {
    "string": "text",
    "integer": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}


def example() -> str:
    """A whole file."""
    return as_text(schema()["examples"][0])


def blocks(commands: tuple[Command, ...]) -> Iterator[Block]:
    """The page, whose settings are described as the options of `virtsec define` are."""
    whole = schema()
    yield Heading(1, "Fleet files")
    yield Paragraph(f"{whole['description']} {_define(commands, 'FILE')}")
    yield Code(example(), "yaml")
    yield _table(whole, {})
    for key in ("containers", "links"):
        yield Heading(2, key)
        part = whole["properties"][key]
        yield Paragraph(part["description"])
        yield _table(part["items"], _options(commands))
    yield Heading(2, "bases")
    part = whole["properties"]["bases"]
    yield Paragraph(part["description"])
    yield _table(part["additionalProperties"], {})
    yield Heading(2, "Settings")
    settings = whole["$defs"]["options"]
    yield Paragraph(
        f"{settings['description']} They stand in `defaults`, in a profile, or with a container."
    )
    yield _table(settings, _options(commands))


def _define(commands: tuple[Command, ...], argument: str) -> str:
    """What `virtsec fleet plan` says of its file."""
    (plan,) = (each for each in commands if each.name == "virtsec fleet plan")
    return dict(plan.arguments)[argument]


def _options(commands: tuple[Command, ...]) -> dict[str, str]:
    """What `virtsec define` says of each of its options."""
    (define,) = (each for each in commands if each.name == "virtsec define")
    said = {names.split()[0].removeprefix("--"): meaning for names, meaning in define.options}
    return {**said, "init-args": said["init-arg"]}


def _table(part: Mapping[str, Any], options: Mapping[str, str]) -> Block:
    needed = part.get("required", ())
    rows = []
    for key, value in part["properties"].items():
        meaning = value.get("description") or options[key].replace("; repeatable", "")
        rows.append((code(key), _kind(value), f"{meaning}{' Required.' * (key in needed)}"))
    return Table(("key", "value", "meaning"), tuple(rows))


def _kind(value: Mapping[str, Any]) -> str:
    """What may stand there."""
    if "const" in value:
        return code(str(value["const"]))
    if "enum" in value:
        return ", ".join(map(code, value["enum"]))
    if "$ref" in value:
        return {"#/$defs/words": "list of texts", "#/$defs/settings": "settings"}[value["$ref"]]
    kinds = [value["type"]] if isinstance(value["type"], str) else value["type"]
    return " or ".join(_KINDS[kind] for kind in kinds)
