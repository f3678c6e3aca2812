"""What scripts learn from the exit status of `virtsec fleet`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.cli.library import Said

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
