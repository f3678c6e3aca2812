"""What scripts learn from the exit status of `virtsec fleet`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.library import Said
from virtsec.errors import BadInput

Virtsec = Callable[..., Said]
DIFFERENT = "--- this host\n+++ fleet.yaml\n"


@pytest.mark.parametrize(
    ("found", "options", "status"),
    [
        (DIFFERENT, (), 0),
        (DIFFERENT, ("--detailed-exitcode",), 2),
        ("", ("--detailed-exitcode",), 0),
    ],
)
def test_a_difference_is_told_by_the_status_where_that_is_asked_for(
    found: str,
    options: tuple[str, ...],
    status: int,
    virtsec: Virtsec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("virtsec.commands.fleet.diff_fleet", lambda *_: found)
    said = virtsec("fleet", "diff", "fleet.yaml", *options)
    assert (said.status, said.out) == (status, found)


@pytest.mark.parametrize("command", ["plan", "diff"])
@pytest.mark.parametrize(("options", "status"), [((), 2), (("--detailed-exitcode",), 1)])
def test_a_file_that_makes_no_sense_is_not_taken_for_something_to_do(
    command: str,
    options: tuple[str, ...],
    status: int,
    virtsec: Virtsec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def senseless(*_: Any, **__: Any) -> None:
        raise BadInput("fleet.yaml:3: there is no 'memroy'.", "Write 'memory'.")

    monkeypatch.setattr(f"virtsec.commands.fleet.{command}_fleet", senseless)
    said = virtsec("fleet", command, "fleet.yaml", "--json", *options)
    assert (said.status, said.json["error"]["status"]) == (status, status)
    assert said.json["error"]["remedy"] == "Write 'memory'."
