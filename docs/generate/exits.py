"""Exit statuses: the table of `virtsec.cli.run`, and the errors that each stands for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from docs.generate import tables
from docs.generate.block import Block, Heading, Paragraph, Table, Terms, code
from docs.generate.commands import Command
from virtsec import errors
from virtsec.cli import run


def blocks(commands: tuple[Command, ...]) -> Iterator[Block]:
    """The page."""
    yield Heading(1, "Exit status")
    yield statuses()
    yield Paragraph("With several names it is that of the worst. Some commands say more by it:")
    yield own(commands)
    yield Heading(2, "Errors of the library")
    yield Paragraph(
        "As a library virtsec raises one of `virtsec.errors`, with a `sentence` on what happened "
        "and a `remedy`; the command line prints both and exits with its status."
    )
    yield Table(
        ("error", "is a", "status", "meaning"),
        tuple(
            (
                code(error.__name__),
                code(error.__base__.__name__) if error.__base__ else "",
                str(error.exit_status),
                inspect.getdoc(error) or "",
            )
            for error in _errors(errors.VirtsecError)
        ),
    )


def statuses() -> Block:
    """Those of all commands."""
    return Table(("status", "meaning"), tuple(tables.rows(run.__doc__ or "")))


def own(commands: tuple[Command, ...]) -> Block:
    """What commands say of theirs."""
    return Terms(tuple((code(each.name), each.statuses) for each in commands if each.statuses))


def _errors(base: type[errors.VirtsecError]) -> Iterator[type[errors.VirtsecError]]:
    for error in base.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
            yield from _errors(error)
