"""The man pages: the same as the reference, where `man` looks for it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from docs.generate import commands as described
from docs.generate import exits, fleet, roff
from docs.generate.block import Block, Code, Heading, Paragraph, Table, Terms, code
from docs.generate.commands import Command
from virtsec import __version__
from virtsec.host.places import Places

#: Of the day on which what the manual says last changed much.
_DATE = "2026-11-28"
#: Which of `Places` somebody may want to look at.
_PLACES = ("settings", "store", "hook", "controller", "kernel_modules", "runtime")


def virtsec(commands: tuple[Command, ...]) -> str:
    """virtsec(1)."""
    return roff.page(f'VIRTSEC 1 {_DATE} "virtsec {__version__}"', _virtsec(commands))


def virtsec_fleet(commands: tuple[Command, ...]) -> str:
    """virtsec-fleet(5)."""
    return roff.page(f'VIRTSEC\\-FLEET 5 {_DATE} "virtsec {__version__}"', _fleet(commands))


def _virtsec(commands: tuple[Command, ...]) -> Iterator[Block]:
    alone, *others = commands
    yield Heading(1, "NAME")
    yield Paragraph("virtsec - containers on libvirt, confined by SELinux or Smack")
    yield Heading(1, "SYNOPSIS")
    yield Paragraph(" ".join(map(code, alone.usage.split())))
    yield Heading(1, "DESCRIPTION")
    yield Paragraph(alone.summary)
    yield Paragraph("A container is an ordinary domain of libvirt's LXC driver. To begin:")
    yield Code(alone.lines)
    yield Heading(1, "OPTIONS")
    yield Terms(tuple((code(names), meaning) for names, meaning in alone.options))
    yield Heading(1, "COMMANDS")
    yield Paragraph("Each has an option `--help`.")
    for each in others:
        yield Heading(2, each.name)
        yield from described.described(each)
    yield Heading(1, "EXIT STATUS")
    yield exits.statuses()
    yield Paragraph("With several names it is that of the worst. Some commands say more by it:")
    yield exits.own(commands)
    yield Heading(1, "ENVIRONMENT")
    yield Terms(
        (
            (code("NO_COLOR"), "Set to anything, nothing is coloured."),
            (code("COLUMNS"), "How wide the terminal is, where it does not say so itself."),
        )
    )
    yield Heading(1, "FILES")
    yield Terms(
        tuple(
            (code(str(getattr(Places(), name))), inspect.getdoc(getattr(Places, name)) or "")
            for name in _PLACES
        )
    )
    yield Heading(1, "SEE ALSO")
    yield Paragraph("`virtsec-fleet`(5), `virsh`(1), `selinux`(8), `nft`(8)")


def _fleet(commands: tuple[Command, ...]) -> Iterator[Block]:
    _, *page = fleet.blocks(commands)
    example = next(each for each in page if isinstance(each, Code))
    yield Heading(1, "NAME")
    yield Paragraph("virtsec-fleet - the containers of a host, in one file")
    yield Heading(1, "DESCRIPTION")
    for each in page:
        match each:
            case Code():
                continue
            case Heading(2, text):
                yield Heading(1, text.upper())
            case Table(titles, rows):
                yield Table(titles, tuple((f"{key} ({kind})", said) for key, kind, said in rows))
            case _:
                yield each
    yield Heading(1, "EXAMPLE")
    yield example
    yield Heading(1, "SEE ALSO")
    yield Paragraph("`virtsec`(1)")
