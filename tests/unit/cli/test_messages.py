"""What every message of virtsec's says: what happened, what to do, in commands that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from virtsec import errors
from virtsec.cli.app import app

VIRTSEC = Path(__file__).parents[3] / "virtsec"
#: But for hook and controller, which have an error of their own.
SOURCES = [each for each in sorted(VIRTSEC.rglob("*.py")) if "runtime" not in each.parts]
ROOT: Any = typer.main.get_command(app)
ERRORS = {name for name, each in vars(errors).items() if isinstance(each, type)}
#: Where the words are somebody else's: nobody but they knows what to do.
PASSED_ON = {
    "cli/run.py": "The system refused",
    "domain/faults.py": "libvirt's and the hook's own",
    "enter/copy.py": "tar's",
    "enter/relay.py": "the kernel's",
    "rootfs/export.py": "a compressor's",
    "rootfs/survey.py": "the kernel's",
    "rootfs/trouble.py": "the kernel's",
    "rootfs/unpack.py": "tar's",
    "attacks/proof.py": "the attacker's",
}


def name_of(source: Path) -> str:
    """As in `PASSED_ON`."""
    return source.relative_to(VIRTSEC).as_posix()


def text(node: ast.expr) -> str | None:
    """What a literal says, with X for what is only known later."""
    match node:
        case ast.Constant(str(said)):
            return said
        case ast.JoinedStr(parts):
            return "".join(text(part) or "X" for part in parts)
    return None


def raised(source: Path) -> Iterator[tuple[list[str | None], int]]:
    """The words of each error that is made there, and the line."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        match node:
            case ast.Call(ast.Name(name), words) if name in ERRORS:
                yield [text(word) for word in words], node.lineno


def commands(source: Path) -> Iterator[str]:
    """Each command that a text in there names: `virtsec …` between backquotes."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Constant | ast.JoinedStr) and (said := text(node)):
            yield from re.findall(r"`virtsec ([^`]+)`", " ".join(said.split()))


MESSAGES = [
    pytest.param(words, source, id=f"{name_of(source)}:{line}")
    for source in SOURCES
    for words, line in raised(source)
]


@pytest.mark.parametrize(("words", "source"), MESSAGES)
def test_an_error_says_what_happened_and_what_to_do(words: list[str | None], source: Path) -> None:
    sentence, *remedy = words
    assert sentence is None or re.search(r"[.?X]$", sentence), "it is no sentence"
    if name_of(source) not in PASSED_ON:
        assert remedy, "it does not say what to do"
    for each in filter(None, remedy):
        assert re.search(r"[.?X]$", each), "it is no sentence"
        assert not re.search(r"'(virtsec|apt|virsh|systemctl) ", each), "commands have backquotes"


@pytest.mark.parametrize("named", sorted({each for source in SOURCES for each in commands(source)}))
def test_a_command_that_a_message_names_is_there(named: str) -> None:
    command, words = ROOT, named.partition(" -- ")[0].split()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert command is not ROOT or words[0] in {"X", "--help"}
    options = {"--help"} | {
        option for each in command.params for option in (*each.opts, *each.secondary_opts)
    }
    assert [each for each in words if each.startswith("-") and each not in options] == []


def test_messages_and_commands_are_found() -> None:
    assert len(MESSAGES) > 200
    assert "doctor --fix" in {each for source in SOURCES for each in commands(source)}
