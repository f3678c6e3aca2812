"""A command line whose library is a table of answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.cli.library import Library, Said
from virtsec.cli.run import run
from virtsec.commands import definition, entering, lifecycle, listing
from virtsec.commands import host as hosts

#: The functions of the library that commands call, by module.
CALLED = {
    hosts: ("open_host",),
    definition: ("define", "plan", "undefine", "label"),
    lifecycle: ("start", "shutdown", "reboot", "destroy"),
    listing: ("list_domains", "info"),
    entering: ("find_ours",),
}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    """The library that `virtsec` calls, on a host that is ready."""
    made = Library()
    for module, names in CALLED.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(made, name))
    monkeypatch.setattr("virtsec.host.checks.readiness", lambda _host, _places: made.missing)
    return made


@pytest.fixture
def virtsec(library: Library, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command line with words."""

    def call(*words: str) -> Said:
        status = run(words)
        caught = capsys.readouterr()
        return Said(status, caught.out, caught.err)

    return call
