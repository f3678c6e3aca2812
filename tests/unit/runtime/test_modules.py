"""What is installed is all that hook and controller import, and can be read at a sitting."""

from __future__ import annotations

import ast
import io
import sys
import tokenize

import pytest

from tests.unit.runtime.runtime_samples import MODULES, RUNTIME
from virtsec.runtime import CONTROLLER_MODULES, HOOK_MODULES, VERDICT_MODULES

NO_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


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


def code_lines(name: str) -> int:
    """Lines of a file that are neither blank nor comment nor docstring."""
    text = (RUNTIME / name).read_text()
    kept: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            kept.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            said = node.body[0]
            kept.difference_update(range(said.lineno, (said.end_lineno or said.lineno) + 1))
    return len(kept)


@pytest.mark.parametrize("part", ["verdict", "hook", "controller"])
def test_each_part_is_audited_at_a_sitting(part: str) -> None:
    parts = {
        "verdict": VERDICT_MODULES,
        "hook": ("hook", *(each for each in HOOK_MODULES if each not in VERDICT_MODULES)),
        "controller": ("controller", *CONTROLLER_MODULES),
    }
    assert 0 < sum(code_lines(f"{name}.py") for name in parts[part]) < 300
