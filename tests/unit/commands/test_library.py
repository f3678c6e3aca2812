"""`import virtsec` as a library, and what it costs."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import typer

import virtsec
from virtsec import cli
from virtsec.cli.app import app
from virtsec.domain.steps import SetAutostart

#: Modules that hold values and the words for them, and interfaces: they do nothing to a host.
VALUES = {"errors", "kernel.signals", "names", "spec", "step", "words"}
#: Commands whose function has another name: one of Python's own words, or several functions.
NAMES = {
    "base info": ["describe_base"],
    "base list": ["list_bases"],
    "cp": ["copy_in", "copy_out"],
    "exec": ["run", "attach"],
    "fleet schema": ["fleet_schema"],
    "import": ["import_"],
    "list": ["list_domains"],
    "set": ["limit", "reach", "shift"],
    "shell": ["attach"],
}


def test_everything_named_is_there_and_says_what_it_is() -> None:
    for name in set(virtsec.__all__) - {"__version__", "Outcomes", "Watcher"}:
        assert inspect.getdoc(getattr(virtsec, name)), name
    with pytest.raises(AttributeError):
        _ = virtsec.nothing


def test_no_name_is_a_package_as_well() -> None:
    for found in pkgutil.walk_packages(virtsec.__path__, "virtsec."):
        if not found.name.startswith("virtsec.runtime."):  # programs of their own
            import_module(found.name)
    modules = [name for name in virtsec.__all__ if isinstance(getattr(virtsec, name), ModuleType)]
    assert modules == []


def test_types_are_those_of_what_is_there() -> None:
    tree = ast.parse(Path(virtsec.__file__).read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    declared = {
        (node.module, each.asname)
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    homes = virtsec._HOMES.items()
    assert declared == {(home, name) for home, names in homes for name in names}


def test_whatever_takes_a_host_opens_it_unless_given_one() -> None:
    for name in virtsec.__all__:
        thing = getattr(virtsec, name)
        if inspect.isfunction(thing) and "host" in (given := inspect.signature(thing).parameters):
            assert given["host"].default is None, name


def test_what_setup_gives_is_as_json_what_the_command_prints() -> None:
    done = virtsec.SetupResult(False, True, (SetAutostart("vs1"),), (Path("/etc/virtsec"),))
    assert virtsec.as_json(done) == {
        "removed": False,
        "dry_run": True,
        "steps": [{"step": "SetAutostart", "does": "start vs1 with the host"}],
        "kept": ["/etc/virtsec"],
    }


def test_what_a_function_says_it_raises_is_named_as_whoever_calls_it_knows_it() -> None:
    for name in virtsec.__all__:
        thing = getattr(virtsec, name)
        if inspect.isfunction(thing):
            said = re.split(r"(?<=[.;]) ", " ".join((inspect.getdoc(thing) or "").split()))
            named = {
                word for each in said if "aise" in each for word in re.findall(r"`([\w.]+)`", each)
            }
            assert named <= {*virtsec.__all__, *inspect.signature(thing).parameters}, name


def test_whatever_acts_on_one_container_says_what_it_raises() -> None:
    silent = {
        name
        for name in virtsec.__all__
        if inspect.isfunction(thing := getattr(virtsec, name))
        and {"name", "host"} <= inspect.signature(thing).parameters.keys()
        and "aise" not in (inspect.getdoc(thing) or "")
    }
    assert silent == {"show_policy", "diff_policy"}  # nothing but what all raise


def test_importing_it_imports_neither_lxml_nor_libvirt() -> None:
    code = "import sys, virtsec; print({'lxml', 'libvirt', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_command_line_is_built_on_nothing_but_the_library() -> None:
    reached = {
        (path.name, name)
        for path in Path(cli.__file__).parent.glob("*.py")
        for name in imported(ast.parse(path.read_text()))
        if not allowed(name)
    }
    assert reached == set()


def test_each_command_has_its_function() -> None:
    lacking = [
        (words, name)
        for words in commands()
        for name in NAMES.get(words, ["_".join(reversed(words.split()))])
        if name not in virtsec.__all__
    ]
    assert lacking == []


def imported(tree: ast.Module) -> Iterator[str]:
    """What of virtsec a module imports, wherever it does: modules, or names of `virtsec`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("virtsec"))
        elif isinstance(node, ast.ImportFrom) and node.module == "virtsec":
            yield from (f"virtsec.{each.name}" for each in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("virtsec."):
            assert node.module
            yield node.module


def allowed(name: str) -> bool:
    """Whether the command line may import that."""
    _, _, inner = name.partition(".")
    package = inner.partition(".")[0]
    return package in {"", "cli", "commands"} or inner in VALUES or inner in virtsec.__all__


def commands() -> Iterator[str]:
    """The words of every command."""
    top = typer.main.get_command(app)
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        yield from [name] if below is None else (f"{name} {each}" for each in below)
