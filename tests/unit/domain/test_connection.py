"""The edge to libvirt, over a library that only answers."""

from __future__ import annotations

from typing import Any

import pytest

from virtsec.domain.connection import DomainState, Libvirt
from virtsec.errors import LibvirtFailed, NotFound


class Error(Exception):
    """libvirt.libvirtError."""

    def __init__(self, code: int, message: str = "said") -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def get_error_code(self) -> int:
        return self.code

    def get_error_message(self) -> str:
        return self.message


class Library:
    """The module `libvirt`."""

    libvirtError = Error


class Domain:
    """virDomain."""

    def __init__(self, name: str, number: int = -1) -> None:
        self._name, self._number = name, number
        self.gone = False
        self.asked: list[tuple[str, int]] = []

    def shutdownFlags(self, flags: int) -> None:
        self.asked.append(("shutdown", flags))

    def reboot(self, flags: int) -> None:
        self.asked.append(("reboot", flags))

    def name(self) -> str:
        return self._name

    def UUIDString(self) -> str:
        return f"uuid-{self._name}"

    def ID(self) -> int:
        return self._number

    def XMLDesc(self, flags: int) -> str:
        if self.gone:
            raise Error(42)
        return f"<{self._name} flags='{flags}'/>"


class Connection:
    """virConnect; counts its round trips."""

    def __init__(self, *domains: Domain) -> None:
        self.domains_, self.trips = domains, 0
        self.open = True

    def isAlive(self) -> int:
        return int(self.open)

    def listAllDomains(self, flags: int) -> list[Domain]:
        self.trips += 1
        wanted = {1: {"on", "asleep"}, 32: {"asleep"}, 4: {"on", "off"}, 1024: {"off"}}
        return [d for d in self.domains_ if flags == 0 or d.name() in wanted[flags]]

    def lookupByName(self, name: str) -> Domain:
        name.encode()  # as libvirt's own binding does
        for domain in self.domains_:
            if domain.name() == name:
                return domain
        raise Error(42)

    def listAllNetworks(self, flags: int) -> list[Any]:
        raise Error(3, "no network driver")

    def defineXML(self, xml: str) -> None:
        raise Error(38, "cannot\nwrite")


def edge(*domains: Domain) -> tuple[Libvirt, Connection]:
    connection = Connection(*domains)
    return Libvirt(Library, lambda: connection), connection


def test_every_domain_is_told_with_its_state_and_its_two_definitions() -> None:
    libvirt, _ = edge(Domain("on", 77), Domain("off"), Domain("asleep", 78))
    asleep, off, on = libvirt.domains()
    assert (on.name, on.state, on.pid, on.persistent) == ("on", DomainState.RUNNING, 77, True)
    assert (on.xml, on.live_xml) == ("<on flags='2'/>", "<on flags='0'/>")
    assert (off.state, off.pid, off.live_xml, off.autostart) == (
        DomainState.SHUTOFF,
        None,
        None,
        True,
    )
    assert (asleep.state, asleep.persistent) == (DomainState.PAUSED, False)


def test_the_round_trips_of_a_list_do_not_grow_with_it() -> None:
    one, few = edge(Domain("on", 77))
    one.domains(xml=False)
    other, many = edge(*(Domain(f"d{n}") for n in range(100)))
    assert len(other.domains(xml=False)) == 100
    assert many.trips == few.trips


def test_a_domain_that_goes_away_meanwhile_is_left_out() -> None:
    going = Domain("off")
    going.gone = True
    libvirt, connection = edge(Domain("on", 77), going)
    assert [record.name for record in libvirt.domains()] == ["on"]
    found = libvirt.domains(xml=False)
    assert [record.name for record in found] == ["off", "on"]
    assert libvirt.described(found) == libvirt.domains()
    connection.domains_ = ()
    assert libvirt.described(found) == []


def test_another_process_gets_a_connection_of_its_own_once_it_asks() -> None:
    made: list[Connection] = []

    def connect() -> Connection:
        made.append(Connection(Domain("on", 77)))
        return made[-1]

    libvirt = Libvirt(Library, connect)
    other = libvirt.anew()
    assert len(made) == 1
    assert [record.name for record in other.domains()] == ["on"]
    assert [bool(each.trips) for each in made] == [False, True]


def test_an_unknown_domain_is_none_to_look_at_and_an_error_to_act_on() -> None:
    libvirt, _ = edge()
    assert libvirt.domain("vs1") is None
    with pytest.raises(NotFound):
        libvirt.start("vs1")


def test_a_name_that_is_no_utf_8_is_one_that_is_not_there() -> None:
    libvirt, _ = edge()
    name = b"vs\xff".decode(errors="surrogateescape")
    assert libvirt.domain(name) is None
    for act in (libvirt.start, libvirt.undefine, libvirt.addresses):
        with pytest.raises(NotFound):
            act(name)


def test_a_host_without_networks_has_none() -> None:
    libvirt, _ = edge()
    assert libvirt.networks() == {}
    assert libvirt.leases() == {}


def test_an_error_of_libvirt_is_one_of_ours() -> None:
    libvirt, _ = edge()
    with pytest.raises(LibvirtFailed, match=r"Could not define the domain: .* cannot write\.$"):
        libvirt.define("<domain/>")


def test_after_its_daemon_was_started_anew_it_is_reached_again() -> None:
    first, second = Connection(), Connection(Domain("on", 77))
    connections = iter([first, second])
    libvirt = Libvirt(Library, lambda: next(connections))
    assert libvirt.domains() == []
    first.open = False
    assert [record.name for record in libvirt.domains()] == ["on"]


def test_a_look_at_a_domain_is_repeated_where_its_daemon_ended_meanwhile() -> None:
    class Broken(Connection):
        def lookupByName(self, name: str) -> Domain:
            self.open = False
            raise Error(38, "Cannot write data: Broken pipe")

    connections = iter([Broken(), Connection()])
    libvirt = Libvirt(Library, lambda: next(connections))
    assert libvirt.domain("on") is None


def test_a_look_at_a_domain_that_fails_otherwise_is_not_repeated() -> None:
    class Failing(Connection):
        def lookupByName(self, name: str) -> Domain:
            self.trips += 1
            raise Error(38, "cannot read")

    connection = Failing()
    with pytest.raises(LibvirtFailed, match="Could not look up on"):
        Libvirt(Library, lambda: connection).domain("on")
    assert connection.trips == 1


def test_init_is_asked_by_signals_alone_and_no_file_of_the_containers_is_opened() -> None:
    """VIR_DOMAIN_SHUTDOWN_SIGNAL and VIR_DOMAIN_REBOOT_SIGNAL of libvirt-domain.h."""
    domain = Domain("vs1", 42)
    libvirt, _ = edge(domain)
    libvirt.shutdown("vs1")
    libvirt.reboot("vs1")
    assert domain.asked == [("shutdown", 1 << 3), ("reboot", 1 << 3)]
