"""Every command as its own help describes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import typer

from docs.generate import markdown
from docs.generate.block import Block, Code, Heading, Paragraph, Terms, code
from virtsec.cli.app import app

_EXAMPLE = "Example: "
#: What typer and click add of their own, in words that differ from version to version.
_NOT_OURS = {"help", "install_completion", "show_completion"}


@dataclass(frozen=True, slots=True)
class Command:
    """One command; one that only has commands of its own takes nothing."""

    path: tuple[str, ...]  #: such as ("virtsec", "base", "create")
    summary: str
    paragraphs: tuple[str, ...]
    lines: str  #: what is to be read line by line; mostly empty
    example: str
    usage: str
    arguments: tuple[tuple[str, str], ...]  #: those that need words
    options: tuple[tuple[str, str], ...]
    group: bool

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(self.path)

    @property
    def statuses(self) -> str:
        """What its help says of its exit status; empty where it has those of all commands."""
        words = (f"{code(name)}: {meaning}" for name, meaning in (*self.arguments, *self.options))
        said = [*self.paragraphs, *words]
        sentences = (each for text in said for each in re.split(r"(?<=[.]) +(?=[A-Z])", text))
        return " ".join(each for each in sentences if "xit status" in each)


def commands() -> tuple[Command, ...]:
    """All of them, in the order of `virtsec --help`; the first is `virtsec` alone."""
    return tuple(_walk(typer.main.get_command(app), ("virtsec",)))


def blocks(every: Iterable[Command]) -> Iterator[Block]:
    """The page."""
    yield Heading(1, "Commands")
    yield Paragraph(
        "Each command has an option `--help`. Its exit status is one of "
        "[those of all commands](exit-status.md) unless it is said otherwise here; what it prints "
        "with `--json` is in [JSON](json.md)."
    )
    every = list(every)
    links = {each.name: f"[{code(each.name)}](#{markdown.anchor(each.name)})" for each in every}
    yield Terms(tuple((links[each.name], each.summary) for each in every))
    for each in every:
        yield Heading(2, each.name)
        yield from described(each)


def described(each: Command) -> Iterator[Block]:
    """What there is to say beneath a command's name."""
    yield Paragraph(each.summary)
    yield Code(each.usage)
    yield from (Paragraph(text) for text in each.paragraphs)
    if each.lines:
        yield Code(each.lines)
    taken = (*each.arguments, *each.options)
    if taken:
        yield Terms(tuple((code(names), meaning) for names, meaning in taken))
    if each.example:
        yield Paragraph("Example:")
        yield Code(each.example)


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[Command]:
    beneath = getattr(command, "commands", {})
    yield _read(command, path, group=bool(beneath))
    for name, each in beneath.items():
        yield from _walk(each, (*path, name))


def _read(command: Any, path: tuple[str, ...], *, group: bool) -> Command:
    summary, *others = re.split(r"\n\s*\n", command.help.strip())
    literal = [each.removeprefix("\b").strip("\n") for each in others if each.startswith("\b")]
    taken = [each for each in command.params if each.name not in _NOT_OURS]
    arguments = [each for each in taken if each.param_type_name == "argument"]
    options = [each for each in taken if each.param_type_name == "option"]
    words = [each.metavar or each.name.upper() for each in arguments]
    usage = " ".join(
        [*path, *(["[OPTION...]"] if options else []), *(["COMMAND ..."] if group else words)]
    )
    return Command(
        path=path,
        summary=" ".join(summary.split()),
        paragraphs=tuple(" ".join(each.split()) for each in others if not each.startswith("\b")),
        lines="\n".join(each for each in literal if not each.startswith(_EXAMPLE)),
        example=next(
            (each.removeprefix(_EXAMPLE) for each in literal if each.startswith(_EXAMPLE)), ""
        ),
        usage=usage,
        arguments=tuple((a.metavar, a.help) for a in arguments if a.help),
        options=tuple((_names(each), _meaning(each)) for each in options),
        group=group,
    )


def _names(option: Any) -> str:
    """Short ones first, as in `-u, --user USER`."""
    names = sorted([*option.opts, *option.secondary_opts], key=lambda name: name.startswith("--"))
    value = "" if option.is_flag or option.count else f" {option.metavar or option.name.upper()}"
    return ", ".join(names) + value


def _meaning(option: Any) -> str:
    text = str(option.help)
    if option.required:
        text += " Required."
    if option.show_default and not option.is_flag and option.default is not None:
        text += f" {code(str(option.default))} by default."
    return text
