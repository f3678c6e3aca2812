"""The help of every command has an example, which the command would take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from tests.unit.cli.library import Library, Said
from virtsec.cli.app import app

Virtsec = Callable[..., Said]
ROOT: Any = typer.main.get_command(app)
EXAMPLE = re.compile(r"^  Example: (virtsec .*)$", re.MULTILINE)


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words it is called by."""
    for name, each in getattr(command, "commands", {}).items():
        yield (*path, name), each
        yield from walk(each, (*path, name))


COMMANDS = dict(walk(ROOT))
EVERY = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def example(command: Any) -> str:
    """The one in its help."""
    with command.make_context("it", [], resilient_parsing=True) as context:
        found = EXAMPLE.findall(command.get_help(context))
    assert len(found) == 1, "help has one example"
    return str(found[0])


def words_of(line: str) -> list[str]:
    """What the shell makes of it."""
    return [word for word in shlex.split(line) if not word.startswith(">")]


def parse(command: Any, words: list[str], parent: Any = None) -> list[str]:
    """The commands that `words` lead to; raises where one would not take what follows."""
    beneath = getattr(command, "commands", {})
    if not beneath:
        command.make_context(command.name, list(words), parent=parent)
        return []
    name, *rest = words
    with command.make_context(command.name, [name], parent=parent) as context:
        return [name, *parse(beneath[name], rest, context)]


@EVERY
def test_every_command_has_an_example_that_its_own_parser_takes(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    virtsec, *words = words_of(example(command))
    assert virtsec == "virtsec"
    called = parse(ROOT, words)
    assert tuple(called[: len(path)]) == path, "it is another command's"
    assert COMMANDS[tuple(called)] is not None
    if not hasattr(command, "commands"):
        assert tuple(called) == path


@pytest.mark.parametrize(
    "line",
    ["list --everything", "start", "info", "define vs1 --vcpus many", "frobnicate", "fleet pln x"],
)
def test_an_example_that_is_wrong_would_be_found(line: str) -> None:
    with pytest.raises((typer.BadParameter.__mro__[1], KeyError)):
        parse(ROOT, line.split())


@pytest.mark.parametrize("path", [("define",), ("start",), ("label",), ("info",), ("list",)])
def test_words_of_an_example_make_sense_to_the_library(
    virtsec: Virtsec, library: Library, path: tuple[str, ...]
) -> None:
    assert virtsec(*words_of(example(COMMANDS[path]))[1:]).status == 0
    assert library.asked
