"""What virtsec runs and where it keeps what is temporary, read from its own source."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import virtsec
from virtsec.commands import entering
from virtsec.rootfs.archive import Compression
from virtsec.runtime import confine, view

ROOT = Path(virtsec.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

#: What runs a program, and which of its arguments says which one.
RUNS = {
    "subprocess.run": 0,
    "subprocess.Popen": 0,
    "os.execve": 0,
    "posix.execve": 0,
    "posix.posix_spawn": 0,
}
#: virtsec's own functions that run what they are given.
OURS = {
    "virtsec.rootfs.feed": {"program": 0},
    "virtsec.rootfs.confined": {"confined": 0},
    "virtsec.mac.install": {"run": 0, "call": 0},
    "virtsec.mac.records": {"_lines": 0},
}
#: What would ask a shell, or PATH.
NEVER = {
    *("os.system", "os.popen", "pty.spawn", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("subprocess.call", "subprocess.check_call", "subprocess.check_output"),
    *("os.execv", "os.execvp", "os.execvpe", "os.execl", "os.execlp", "os.execle", "os.execlpe"),
    *("os.spawnl", "os.spawnlp", "os.spawnv", "os.spawnvp", "os.posix_spawnp", "os.startfile"),
    *("posix.posix_spawnp", "posix.system", "posix.execv", "asyncio.create_subprocess_shell"),
    *("asyncio.create_subprocess_exec", "ctypes.util.find_library"),
}
#: What says which program is run where that is no constant, and why it is an absolute path.
BY_HAND = {
    "words": "what runs it is in OURS, or of Compression's, which are checked here",
    "*words": "what runs it is in OURS",
    "(compression.path, '--stdout')": "one of Compression's, which are checked here",
    "command[0]": "program() gave it, of constants that are checked here",
    "setpriv": "program() gave it, of constants that are checked here",
    "words[0]": "the console's, a constant that is checked here",
    "place + command[0]": "the user's command, found inside, confined",
    "[program, 'CapEff', '/proc/self/status']": "a copy of /usr/bin/grep, made inside, confined",
}


def name_of(node: ast.expr) -> str:
    """`a.b.c` as text; empty for anything else."""
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def imported(tree: ast.Module) -> dict[str, str]:
    """Names that a module has from others, by what they are there."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                found[each.asname or each.name] = f"{node.module}.{each.name}"
    return found


def calls(path: Path) -> Iterator[tuple[str, ast.Call, ast.AST]]:
    """Each call in a file: what is called, by its whole name, and the function that it is in."""
    tree = ast.parse(path.read_text())
    names = imported(tree)
    own = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    defined = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}

    def visit(node: ast.AST, inside: ast.AST) -> Iterator[tuple[str, ast.Call, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                called = name_of(child.func)
                whole = names.get(called, f"{own}.{called}" if called in defined else called)
                yield whole, child, inside
            within = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else inside
            yield from visit(child, within)

    yield from visit(tree, tree)


def runs(path: Path) -> Iterator[tuple[ast.expr, ast.Call, ast.AST]]:
    """What each call in a file that runs a program is given for it."""
    known = dict(RUNS)
    for module, functions in OURS.items():
        known |= {f"{module}.{name}": at for name, at in functions.items()}
    for called, node, inside in calls(path):
        if called in known:
            yield node.args[known[called]], node, inside


def first_word(value: ast.expr, inside: ast.AST, namespace: dict[str, Any]) -> str | None:
    """The program that `value` names, a word or several; None when it is no constant."""
    while True:
        if isinstance(value, ast.Starred):
            value = value.value
        elif isinstance(value, ast.List | ast.Tuple) and value.elts:
            value = value.elts[0]
        elif isinstance(value, ast.Name):
            given = [
                node.value
                for node in ast.walk(inside)
                if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
                and value.id in {name_of(each) for each in
                                 (node.targets if isinstance(node, ast.Assign) else [node.target])}
            ]  # fmt: skip
            if isinstance(inside, ast.Module) or not given:
                break
            value = given[0]
            inside = ast.Module([], [])
        elif isinstance(value, ast.IfExp):
            value = value.body
        else:
            break
    try:
        found: Any = eval(ast.unparse(value), dict(namespace))
    except (NameError, AttributeError):
        return None
    while isinstance(found, list | tuple):
        found = found[0]
    return str(found)


def module_of(path: Path) -> dict[str, Any]:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return vars(importlib.import_module(".".join(parts)))


def test_no_shell_is_asked_and_no_path_searched() -> None:
    for path in SOURCES:
        for called, node, _ in calls(path):
            assert called not in NEVER, f"{path}:{node.lineno}"
            for each in node.keywords:
                assert each.arg != "shell", f"{path}:{node.lineno}"


def test_every_program_is_run_by_its_absolute_path() -> None:
    by_hand = set()
    seen = 0
    for path in SOURCES:
        for value, node, inside in runs(path):
            seen += 1
            where = str(path.relative_to(ROOT))
            executable = [each.value for each in node.keywords if each.arg == "executable"]
            if executable:
                assert ast.unparse(executable[0]).startswith("f'/proc/self/fd/"), where
                continue
            word = first_word(value, inside, module_of(path))
            if word is None:
                by_hand.add(ast.unparse(value))
            else:
                assert word.startswith("/"), f"{where}:{node.lineno}: {word}"
    assert by_hand == set(BY_HAND)
    assert seen > 20


def test_paths_of_programs_that_are_chosen_when_they_are_run() -> None:
    paths = [*(each.path for each in Compression), confine.SETPRIV, view.MOUNT, entering._VIRSH]
    for path in [*paths, *confine.LIBVIRT_LXC]:
        assert path.startswith("/")


def test_whatever_runs_a_program_says_what_environment_it_has() -> None:
    """But virsh's console, which is the user's own terminal."""
    without = {
        str(path)
        for path in SOURCES
        for called, node, _ in calls(path)
        if called in {"subprocess.run", "subprocess.Popen"}
        and "env" not in {each.arg for each in node.keywords}
    }
    assert without == set()


#: Where what is temporary is made, and why nobody else gets at it.
TEMPORARY = {
    "copy.py": "beside what it becomes: a directory of root's alone, as mkdtemp(3) makes it",
    "calls.py": "inside, as the container's own root",
    "devices.py": "inside, as the container's own root",
    "kernel.py": "inside, as the container's own root",
    "labels.py": "inside, as the container's own root",
    "powers.py": "inside, as the container's own root",
}


def test_what_is_temporary_is_made_where_nobody_else_gets() -> None:
    found = {
        path.name
        for path in SOURCES
        for called, _, _ in calls(path)
        if called.startswith("tempfile.")
    }
    assert found == set(TEMPORARY)


@pytest.mark.parametrize("name", ["mktemp", "NamedTemporaryFile", "mkstemp", "TemporaryFile"])
def test_no_file_is_made_by_a_name_that_others_see(name: str) -> None:
    for path in SOURCES:
        if path.parent.name != "probes":
            assert f"tempfile.{name}" not in {called for called, _, _ in calls(path)}, path
