"""The reference is what the code says now, and leaves nothing out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from lxml import etree

from docs.generate import documents, metadata
from docs.generate.commands import Command, commands
from docs.generate.pages import pages
from docs.generate.records import fields as described
from docs.generate.records import words
from virtsec import spec
from virtsec.commands import results
from virtsec.domain.elements import CONTAINER, ELEMENTS
from virtsec.fleet.document import parse
from virtsec.fleet.export import as_text
from virtsec.fleet.schema import schema
from virtsec.fleet.wanted import wanted

TREE = Path(__file__).parents[3]
PAGES = pages()
COMMANDS = {each.name: each for each in commands()}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fresh(name: str) -> None:
    written = (TREE / "docs" / name).read_text("utf-8")
    assert written == PAGES[name], "it is stale: run `make reference`"


def test_there_is_no_page_that_nothing_writes() -> None:
    there = {
        path.relative_to(TREE / "docs").as_posix()
        for folder in ("reference", "man")
        for path in (TREE / "docs" / folder).rglob("*")
    }
    assert there == set(PAGES)


def test_pages_are_the_same_on_a_narrow_terminal_in_another_locale() -> None:
    code = "from docs.generate.pages import pages; print(ascii(dict(pages())))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TREE,
        env={"COLUMNS": "30", "LC_ALL": "C", "TERM": "dumb", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ascii(dict(PAGES))


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("man/")])
def test_man_pages_are_roff_that_nobody_complains_about(name: str) -> None:
    done = subprocess.run(
        ["man", "-l", "--warnings", str(TREE / "docs" / name)],
        env={**os.environ, "MANPAGER": "cat", "MANWIDTH": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_every_option_and_every_named_argument_says_what_it_is_for(command: Command) -> None:
    assert command.summary.endswith(".")
    for names, meaning in (*command.arguments, *command.options):
        assert meaning.endswith("."), names
        assert meaning[0].isupper(), names


def test_every_command_that_has_json_has_a_document_and_no_other() -> None:
    said = {re.split(r" -|(?<=\)) ", each)[0] for each in documents.documents()}
    said -= {"(nothing)", "--version", "anything that failed as a whole"}
    having = {
        name.removeprefix("virtsec ")
        for name, command in COMMANDS.items()
        if "--json" in dict.fromkeys(names.strip("`") for names, _ in command.options)
    }
    assert said == having - {"virtsec"}


@pytest.mark.parametrize("name", ["exec", "shell", "console"])
def test_who_has_the_exit_status_of_another_program_says_so(name: str) -> None:
    assert COMMANDS[f"virtsec {name}"].statuses.startswith("Its exit status is ")
    assert f"- `virtsec {name}`: Its exit status is " in PAGES["reference/exit-status.md"]


def test_a_field_is_described_by_the_comment_beside_it_or_before_it() -> None:
    found = {each.name: each for each in described(spec.Link)}
    assert list(found) == [each.name for each in fields(spec.Link)]
    assert found["to"].meaning == "the other container's name"
    assert found["label"].meaning.startswith("The policy's name for the port")
    assert (found["label"].default, found["to"].default) == ("''", "")
    assert {each.name: each.default for each in described(spec.ContainerSpec)}["limits"] == (
        "Limits()"
    )
    assert dict(words(results.Kind))["unprivileged"] == "no: it has ids of its own"


def test_every_field_of_a_spec_is_described() -> None:
    for record in (spec.ContainerSpec, spec.Limits, spec.Network, spec.Mount, spec.Link):
        assert [each.name for each in described(record) if not each.meaning] == []


def test_metadata_is_written_as_its_table_says_and_the_table_has_nothing_else() -> None:
    root = etree.fromstring(metadata.example())
    assert set(root.attrib) == CONTAINER.must.keys()
    written = {etree.QName(node).localname: set(node.attrib) for node in root}
    assert written.keys() == ELEMENTS.keys() - {"before"}
    for tag, attributes in written.items():
        known = ELEMENTS[tag]
        left_out = {"source"} if tag == "root" else set()  # what is on a base was made from nothing
        assert attributes == (known.must.keys() | known.may.keys()) - left_out, tag


def test_the_example_of_a_fleet_is_one() -> None:
    fleet = wanted(parse(as_text(schema()["examples"][0]), Path("fleet.yaml")))
    assert [each.name for each in fleet.containers][-2:] == ["web-20", "db"]
    assert fleet.containers[0].links
