"""policy show and diff: what is in force, and how it differs from this version's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.fakes import fake_host, record
from tests.unit.samples import sample
from virtsec.commands import policies
from virtsec.errors import NotFound
from virtsec.step import Host


@pytest.fixture
def host() -> Host:
    """One container whose policy is loaded."""
    found = fake_host(record("vs1", sample("vs1").xml))
    mac: Any = found.mac
    mac.policies["vs1"] = "(container vs1)\n"
    return found


def test_what_all_share_is_shown_before_the_containers_own(host: Host) -> None:
    shown = policies.show_policy("vs1", host)
    assert [(part.name, part.text) for part in shown.parts] == [
        ("base", "(base)\n"),
        ("vs1", "(container vs1)\n"),
    ]


def test_what_is_this_versions_does_not_differ(host: Host) -> None:
    compared = policies.diff_policy("vs1", host)
    assert (compared.same, compared.diff) == (True, "")


@pytest.mark.parametrize("loaded", ["(something else)\n", ""])
def test_what_is_another_ones_or_missing_differs(host: Host, loaded: str) -> None:
    mac: Any = host.mac
    mac.policies["vs1"] = loaded
    compared = policies.diff_policy("vs1", host)
    assert not compared.same
    assert "+(container vs1)" in compared.diff
    assert ("-(something else)" in compared.diff) == bool(loaded)


def test_a_container_that_is_not_there_is_said_to_be_missing(host: Host) -> None:
    with pytest.raises(NotFound):
        policies.show_policy("vs9", host)
