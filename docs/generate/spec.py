"""`ContainerSpec` and what it is made of, for those who use virtsec as a library."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import StrEnum

from docs.generate import records
from docs.generate.block import Block, Heading, Paragraph, Table, code
from virtsec.spec import ContainerSpec


def blocks() -> Iterator[Block]:
    """The page."""
    yield Heading(1, "ContainerSpec")
    yield Paragraph(
        "What `virtsec.define` takes; all of it is in `virtsec.spec`. Each is a frozen dataclass, "
        "or an enumeration of words."
    )
    for record in _described():
        if record is not ContainerSpec:
            yield Heading(2, record.__name__)
        yield from (
            Paragraph(" ".join(part.split()))
            for part in (inspect.getdoc(record) or "").split("\n\n")
        )
        if issubclass(record, StrEnum):
            words = ((code(word), meaning) for word, meaning in records.words(record))
            yield Table(("word", "meaning"), tuple(words))
        else:
            rows = (
                (code(f.name), code(f.written), code(f.default) if f.default else "", f.meaning)
                for f in records.fields(record)
            )
            yield Table(("field", "type", "default", "meaning"), tuple(rows))


def _described() -> list[type]:
    """The spec, and all that is in it, in the order in which it is met."""
    found: list[type] = [ContainerSpec]
    for record in found:
        for field in () if issubclass(record, StrEnum) else records.fields(record):
            found += [part for part in records.records_in(field.type) if part not in found]
    return found
