"""What is installed is all that hook and controller import, and can be read at a sitting."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.unit.runtime.runtime_samples import MODULES, RUNTIME


def imported(name: str) -> tuple[set[str], set[str]]:
    """Modules beside it that a file imports, and others."""
    own, others = set(), set()
    for node in ast.walk(ast.parse((RUNTIME / name).read_text())):
        if isinstance(node, ast.ImportFrom):
            module = str(node.module)
            if node.level or module.startswith("__main__."):
                own.add(module.removeprefix("__main__."))
            else:
                others.add(module)
        elif isinstance(node, ast.Import):
            others |= {each.name for each in node.names}
    return own, others


@pytest.mark.parametrize("program", MODULES)
def test_its_modules_are_those_it_imports_and_no_other(program: str) -> None:
    found: set[str] = set()
    left, others = imported(program)
    while left:
        module = left.pop()
        found.add(module)
        own, more = imported(f"{module}.py")
        left |= own - found
        others |= more
    assert found == set(MODULES[program])
    assert others <= sys.stdlib_module_names


@pytest.mark.parametrize("name", sorted(path.name for path in RUNTIME.glob("*.py")))
def test_it_is_short(name: str) -> None:
    assert len((RUNTIME / name).read_text().splitlines()) < 300
