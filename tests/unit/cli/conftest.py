"""A command line whose library is a table of answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.cli.library import Library, Said
from virtsec import commands
from virtsec.cli.run import run

NAMES = (
    *("open_host", "define", "plan", "start", "shutdown", "reboot"),
    *("destroy", "undefine", "label", "listing", "info"),
)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    """The library that `virtsec` calls."""
    made = Library()
    for name in NAMES:
        monkeypatch.setattr(commands, name, getattr(made, name), raising=False)
    return made


@pytest.fixture
def virtsec(library: Library, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command line with words."""

    def call(*words: str) -> Said:
        status = run(words)
        caught = capsys.readouterr()
        return Said(status, caught.out, caught.err)

    return call
