"""start, shutdown, reboot and destroy."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.fakes import FakeLibvirt, FakeMac, fake_host, foreign, record
from tests.unit.samples import SAMPLES
from virtsec.commands import lifecycle, live
from virtsec.domain.records import DomainState
from virtsec.errors import Failed, HostNotReady, LibvirtFailed, NotFound, Refused
from virtsec.mac.protocol import Enforcement
from virtsec.step import Host


def host(running: bool = False) -> Host:
    return fake_host(
        record("vs1", SAMPLES["unprivileged"].xml, running=running), foreign(running=True)
    )


def calls(given: Host) -> list[tuple[object, ...]]:
    assert isinstance(given.libvirt, FakeLibvirt)
    return given.libvirt.calls


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Have init call itself so."""

    def name(given: str | None) -> None:
        monkeypatch.setattr(live, "init_name", lambda _: given)

    name(None)
    return name


def test_start_says_with_which_label_and_whether_it_holds() -> None:
    given = host()
    started = lifecycle.start("vs1", given)
    assert started.label == SAMPLES["unprivileged"].identity.label.process
    assert started.enforcement is Enforcement.ENFORCING
    assert calls(given) == [("start", "vs1")]


def test_a_permissive_host_is_data_not_a_failure() -> None:
    given = host()
    assert isinstance(given.mac, FakeMac)
    given.mac.mode = Enforcement.PERMISSIVE
    assert lifecycle.start("vs1", given).enforcement is Enforcement.PERMISSIVE


def test_an_interrupt_tells_that_the_container_may_start_or_stop_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "wait_for_init", interrupted)
    with pytest.raises(KeyboardInterrupt) as started:
        lifecycle.start("vs1", host())
    assert started.value.__notes__ == ["vs1 may start all the same: see `virtsec list --all`."]
    monkeypatch.setattr(lifecycle, "_off", interrupted)
    with pytest.raises(KeyboardInterrupt) as stopped:
        lifecycle.shutdown("vs1", host(running=True), wait=60)
    assert stopped.value.__notes__ == ["vs1 may shut down all the same: see `virtsec list --all`."]


def test_nothing_starts_on_a_host_that_is_not_ready() -> None:
    given = host()
    assert isinstance(given.mac, FakeMac)
    given.mac.missing = "the base policy is gone"
    with pytest.raises(HostNotReady):
        lifecycle.start("vs1", given)
    assert calls(given) == []


def test_a_running_container_is_not_started_again() -> None:
    with pytest.raises(Failed, match="running already"):
        lifecycle.start("vs1", host(running=True))


@pytest.mark.parametrize(
    "command", [lifecycle.start, lifecycle.shutdown, lifecycle.reboot, lifecycle.destroy]
)
def test_a_foreign_domain_is_left_to_virsh(command: Any) -> None:
    given = host()
    with pytest.raises(Refused) as error:
        command("theirs", given)
    assert "virsh" in error.value.remedy
    assert calls(given) == []
    with pytest.raises(NotFound):
        command("nobody", given)


@pytest.mark.parametrize("command", [lifecycle.shutdown, lifecycle.reboot, lifecycle.destroy])
def test_what_does_not_run_cannot_be_stopped(command: Any) -> None:
    with pytest.raises(Failed, match="not running"):
        command("vs1", host())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("systemd", ("signal_init", "vs1", signal.SIGRTMIN + 4)),
        ("init", ("signal_init", "vs1", signal.SIGUSR2)),
        ("nginx", ("shutdown", "vs1")),
        (None, ("shutdown", "vs1")),
    ],
)
def test_each_init_is_asked_in_its_own_way_to_power_off(
    init: Callable[[str | None], None], name: str | None, expected: tuple[object, ...]
) -> None:
    init(name)
    given = host(running=True)
    assert lifecycle.shutdown("vs1", given).state is DomainState.SHUTOFF
    assert calls(given) == [expected]


def test_systemd_is_asked_to_reboot_by_its_own_signal(
    init: Callable[[str | None], None],
) -> None:
    one, other = host(running=True), host(running=True)
    init("systemd")
    lifecycle.reboot("vs1", one)
    init("nginx")
    lifecycle.reboot("vs1", other)
    assert calls(one) == [("signal_init", "vs1", signal.SIGRTMIN + 5)]
    assert calls(other) == [("reboot", "vs1")]


def test_shutdown_returns_at_once_unless_told_to_wait(
    init: Callable[[str | None], None],
) -> None:
    given = host(running=True)
    assert isinstance(given.libvirt, FakeLibvirt)
    given.libvirt.stops_when_asked = False
    assert lifecycle.shutdown("vs1", given).state is DomainState.RUNNING
    with pytest.raises(Failed, match=r"still running after 0\.1 seconds") as error:
        lifecycle.shutdown("vs1", given, wait=0.1)
    assert "destroy" in error.value.remedy


def test_destroy_does_not_ask() -> None:
    given = host(running=True)
    assert lifecycle.destroy("vs1", given).state is DomainState.SHUTOFF
    assert calls(given) == [("destroy", "vs1")]


@pytest.mark.parametrize("gone", [True, False], ids=["gone all the same", "still there"])
def test_destroy_goes_by_whether_the_container_is_gone(
    gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libvirt fails when a cgroup vanishes while it reads it; seen on a busy machine."""
    given = host(running=True)
    destroy = given.libvirt.destroy
    failures = iter([LibvirtFailed("Unable to read from 'cgroup.controllers': No such device.")])

    def fail_once(name: str) -> None:
        if (failure := next(failures, None)) is None:
            return destroy(name)
        if gone:
            destroy(name)
        raise failure

    monkeypatch.setattr(given.libvirt, "destroy", fail_once)
    assert lifecycle.destroy("vs1", given).state is DomainState.SHUTOFF
    assert calls(given) == [("destroy", "vs1")]


def test_a_destroy_that_fails_twice_is_told() -> None:
    given = host(running=True)
    assert isinstance(given.libvirt, FakeLibvirt)
    given.libvirt.fails.add("destroy")
    with pytest.raises(LibvirtFailed):
        lifecycle.destroy("vs1", given)
