"""Telling libvirt's daemon that there is a hook, without a job that containers would wait for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.host.host_fakes import Done, FakeLibvirt, FakeMac
from virtsec.errors import Failed
from virtsec.host import daemon
from virtsec.step import Host

HOST: Host = Host(FakeLibvirt(None, {}), FakeMac())  # type: ignore[arg-type]


class Systemd:
    """Answers systemctl as systemd does while the daemon reloads: `states` one after another."""

    def __init__(self, kind: str, states: list[str]) -> None:
        self.kind = kind
        self.states = states
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *words: str) -> Any:
        """One call of systemctl."""
        self.asked.append(words)
        if words[0] != "show":
            return Done("")
        state, changed = self.states.pop(0).split()
        return Done(
            f"Type={self.kind}\nActiveState={state}\nStateChangeTimestampMonotonic={changed}\n"
        )


@pytest.fixture
def reload(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reloads the daemon under a `Systemd`, without pausing."""
    monkeypatch.setattr("virtsec.host.daemon._PAUSE", 0)

    def reload(systemd: Systemd) -> None:
        monkeypatch.setattr("virtsec.host.daemon._systemctl", systemd)
        daemon.ReloadDaemon("libvirtd.service").apply(HOST)

    return reload


def test_it_is_over_when_the_daemon_says_so(reload: Any) -> None:
    systemd = Systemd("notify-reload", ["active 5", "active 5", "reloading 6", "active 7"])
    reload(systemd)
    assert systemd.states == []
    assert all(words[0] in ("show", "kill") for words in systemd.asked)


def test_a_daemon_that_says_nothing_is_not_waited_for(reload: Any) -> None:
    systemd = Systemd("notify", ["active 5"])
    reload(systemd)
    assert systemd.asked[-1] == ("kill", "--kill-whom=main", "--signal=SIGHUP", "libvirtd.service")


def test_one_that_never_ends_is_an_error(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("virtsec.host.daemon._PATIENCE", 0)
    with pytest.raises(Failed, match="has been reloading"):
        reload(Systemd("notify-reload", ["active 5", *["reloading 6"] * 3]))
