"""`virtsec protect` on the command line, and what it asks of the security module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.unit.cli.library import Said
from tests.unit.fakes import FakeLibvirt, FakeMac, Recorder
from virtsec.commands import preparing
from virtsec.errors import HostNotReady
from virtsec.host import lock
from virtsec.step import Host

Virtsec = Callable[..., Said]
SHADOW = PurePosixPath("/etc/shadow")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[PurePosixPath]:
    """What there is to label, for the test to fill."""
    paths: list[PurePosixPath] = []

    def protect(_host: Any, *, check: bool) -> Sequence[PurePosixPath]:
        return paths

    monkeypatch.setattr(preparing, "protect", protect)
    return paths


def test_it_says_what_it_labelled(virtsec: Virtsec, found: list[PurePosixPath]) -> None:
    found.append(SHADOW)
    said = virtsec("protect")
    assert (said.status, said.out) == (0, "/etc/shadow is now kept from containers\n")
    assert virtsec("protect", "--json").json == {"check": False, "paths": ["/etc/shadow"]}


def test_a_check_that_finds_something_fails(virtsec: Virtsec, found: list[PurePosixPath]) -> None:
    assert virtsec("protect", "--check").status == 0
    found.append(SHADOW)
    said = virtsec("protect", "--check")
    assert (said.status, said.out) == (1, "/etc/shadow is not kept from containers\n")


def test_only_a_host_that_is_set_up_is_labelled() -> None:
    mac = FakeMac(missing="the base policy is not loaded", exposed=[SHADOW])
    with pytest.raises(HostNotReady, match="base policy"):
        preparing.protect(Host(FakeLibvirt(), mac, Recorder()))
    assert mac.exposed == [SHADOW]


def test_a_check_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "host_lock", lambda progress: lock.host_lock(progress, tmp_path))
    mac = FakeMac(exposed=[SHADOW])
    host = Host(FakeLibvirt(), mac, Recorder())
    assert preparing.protect(host, check=True) == (SHADOW,)
    assert preparing.protect(host) == (SHADOW,)
    assert preparing.protect(host, check=True) == ()
