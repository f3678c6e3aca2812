"""What documents name is there: attacks, tests, folders, files, links; and pictures are fresh."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from lxml import etree

from docs.generate.commands import commands
from virtsec.attacks.probes import GROUPS, PROBES
from virtsec.attacks.proven import proven

TREE = Path(__file__).parents[3]
DOCUMENTS = sorted([*TREE.glob("*.md"), *TREE.glob("docs/*.md"), TREE / "tests/lab/README.md"])
THREATS = (TREE / "docs/threat-model.md").read_text("utf-8")
MAP = (TREE / "CONTRIBUTING.md").read_text("utf-8")


def promises() -> dict[str, list[str]]:
    """The cells of the table of promises, by the group of attacks each row is about."""
    rows = [line.strip("| ").split(" | ") for line in THREATS.splitlines() if "| **" in line[:5]]
    return {row[0].split("**")[1]: row for row in rows if len(row) == 6}


def code(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def test_every_group_of_attacks_is_a_promise_and_every_promise_is_attacked() -> None:
    assert list(promises()) == [group.name for group in GROUPS]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_the_number_of_attacks_is_the_one_there_is(name: str) -> None:
    text = (TREE / name).read_text("utf-8")
    assert re.findall(r"(\d+) (?:ways|attacks)", text) == [str(len(PROBES))]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_promise_names_all_of_its_attacks_and_no_other(group: object) -> None:
    name, own = group.name, {probe.id for probe in group}  # type: ignore[attr-defined]
    patterns = code(promises()[name][1])
    found = {
        pattern: {each for each in PROBES if fnmatchcase(each, pattern)} for pattern in patterns
    }
    assert [pattern for pattern, attacks in found.items() if not attacks] == []
    assert set().union(*found.values()) == own


@pytest.mark.parametrize("model", ["SELinux", "Smack"])
def test_what_a_privileged_container_can_do_is_told(model: str) -> None:
    rows = {
        line.split(" | ")[0].strip("| "): set(code(line.split(" | ")[1]))
        for line in THREATS.partition("### What `--privileged` gives up")[2].splitlines()
        if line.startswith("| S")
    }
    told = rows["SELinux"] | rows[model]
    bare = proven(model.lower(), privileged=True)
    assert told == {identity for identity, alone in bare.items() if not alone}


@cache
def functions_of(name: str) -> set[str]:
    """The functions of a file of the laboratory's tests."""
    parsed = ast.parse((TREE / "tests/lab" / name).read_text("utf-8"))
    return {each.name for each in parsed.body if isinstance(each, ast.FunctionDef)}


def test_every_test_that_is_named_is_there() -> None:
    named = [each for each in code(THREATS) if "::" in each]
    assert len(named) > 40
    for each in named:
        file, _, function = each.partition("::")
        assert function in functions_of(file), each
    rows = [line for line in THREATS.splitlines() if "| **" in line[:5]]
    assert len(rows) > len(promises())  # and those of what is no attack of `verify`'s
    assert [row for row in rows if "`test_" not in row.rpartition(" | ")[2]] == []


def test_the_map_names_each_folder_and_only_such_as_there_are() -> None:
    packages = {
        f"{path.parent.relative_to(TREE)}/" for path in TREE.glob("virtsec/**/__init__.py")
    } - {"virtsec/"}
    named = {each for each in code(MAP) if re.fullmatch(r"virtsec/[\w/]+/", each)}
    assert named == packages
    others = {each for each in code(MAP) if each.endswith("/") and not each.startswith("virtsec/")}
    tests = {f"tests/{each.name}/" for each in (TREE / "tests").iterdir() if each.is_dir()}
    assert tests - {"tests/__pycache__/"} <= others
    assert {"policies/", "xml_templates/", "debian/", "docs/", "docs/generate/"} <= others
    assert [each for each in sorted(others) if not (TREE / each).is_dir()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_what_it_links_to_is_there(document: Path) -> None:
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def anchors(document: Path) -> set[str]:
    """The names of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


def drawer() -> ModuleType:
    """docs/pictures.py."""
    spec = importlib.util.spec_from_file_location("pictures", TREE / "docs/pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pictures"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def test_pictures_are_what_their_program_draws() -> None:
    for name, draw in drawer().PICTURES.items():
        assert (TREE / "docs" / name).read_text("utf-8") == draw(), "run docs/pictures.py"


def test_the_changes_name_every_command() -> None:
    told = {
        word for each in code((TREE / "CHANGELOG.md").read_text("utf-8")) for word in each.split()
    }
    there = {each.path[-1] for each in commands() if not each.group}
    assert there - told <= {"create", "refresh", "remove"}  # those of `base`, which is named


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_commands_without_json_are_told(name: str) -> None:
    text = (TREE / name).read_text("utf-8")
    (told,) = re.findall(r"Every command but (.+?) takes `--json`", text, re.DOTALL)
    without = {
        each.path[-1]
        for each in commands()
        if not each.group and "--json" not in {names for names, _ in each.options}
    }
    assert {*code(told)} == without


@pytest.mark.parametrize("name", ["LICENSE", "SECURITY.md", "CHANGELOG.md"])
def test_what_readers_look_for_first_is_there(name: str) -> None:
    assert (TREE / name).stat().st_size > 500


@pytest.mark.parametrize("picture", sorted(TREE.glob("docs/*.svg")), ids=lambda path: path.name)
def test_a_picture_is_one_that_a_browser_shows(picture: Path) -> None:
    assert etree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
