"""libvirt's network: made ready, recorded, and given back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.fakes import record as domain_record
from tests.unit.host.host_fakes import NETWORK, Machine
from virtsec.errors import Failed
from virtsec.host.network import (
    NOTHING,
    NetworkNow,
    NetworkRecord,
    look,
    plan_network,
    plan_network_removal,
    read_record,
    write_record,
)
from virtsec.host.setup import setup

SWITCH = Path("/proc/sys/net/ipv4/ip_forward")


def test_a_record_reads_back_as_it_was_written() -> None:
    record = NetworkRecord(started=True, forwarding=True)
    assert read_record(write_record(NETWORK, record)) == record
    assert read_record(NETWORK) == NOTHING


def test_what_others_keep_in_the_metadata_survives_the_record() -> None:
    theirs = NETWORK.replace(
        "<forward", "<metadata><a:b xmlns:a='urn:theirs' c='d'/></metadata><forward"
    )
    recorded = write_record(theirs, NetworkRecord(started=True))
    assert "urn:theirs" in recorded
    again = write_record(recorded, NOTHING)
    assert "urn:theirs" in again
    assert "urn:virtsec" not in again


def test_without_a_record_the_definition_is_the_one_before() -> None:
    recorded = write_record(NETWORK, NetworkRecord(started=True))
    assert write_record(recorded, NOTHING).split() == write_record(NETWORK, NOTHING).split()


def test_a_network_that_is_as_it_should_be_needs_nothing() -> None:
    now = NetworkNow(NETWORK, active=True, autostart=True, forwards=True)
    assert plan_network(now, "", SWITCH) == []


def test_what_is_changed_is_recorded_before_it_is_changed(machine: Machine) -> None:
    setup(machine.host, places=machine.places)
    assert machine.libvirt.done == ["define", "start", "autostart True"]
    assert read_record(machine.libvirt.definitions["default"]) == NetworkRecord(
        started=True, autostarted=True, forwarding=True
    )


def test_a_setup_that_fails_once_the_network_runs_leaves_routing_off(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, on: bool) -> None:
        raise Failed(f"{name} does not take {on}", "Try again.")

    monkeypatch.setattr(machine.libvirt, "set_network_autostart", fail)
    with pytest.raises(Failed):
        setup(machine.host, places=machine.places)
    assert machine.libvirt.active == set()
    assert machine.places.forwarding.read_text() == "0\n"


def test_a_missing_network_is_defined_and_taken_away_again(machine: Machine) -> None:
    machine.libvirt.definitions.clear()
    setup(machine.host, places=machine.places)
    assert machine.libvirt.active == {"default"}
    setup(machine.host, remove=True, places=machine.places)
    assert machine.libvirt.definitions == {}
    assert machine.places.forwarding.read_text() == "0\n"


def test_one_that_a_foreign_domain_is_defined_on_by_now_stays_defined(machine: Machine) -> None:
    machine.libvirt.definitions.clear()
    setup(machine.host, places=machine.places)
    theirs = (
        "<domain><devices><interface><source network='default'/></interface></devices></domain>"
    )
    machine.libvirt.found.append(domain_record("theirs", theirs))
    setup(machine.host, remove=True, places=machine.places)
    assert "virtsec" not in machine.libvirt.definitions["default"]
    assert machine.libvirt.active == set()


def test_a_network_without_our_record_is_left_alone(machine: Machine) -> None:
    machine.libvirt.active.add("default")
    machine.libvirt.autostart.add("default")
    machine.places.forwarding.write_text("1\n")
    setup(machine.host, places=machine.places)
    setup(machine.host, remove=True, places=machine.places)
    assert machine.libvirt.done == []
    assert machine.libvirt.active == {"default"}
    assert machine.places.forwarding.read_text() == "1\n"


def test_only_what_setup_changed_is_undone(machine: Machine) -> None:
    machine.libvirt.active.add("default")
    machine.places.forwarding.write_text("1\n")
    setup(machine.host, places=machine.places)
    setup(machine.host, remove=True, places=machine.places)
    assert machine.libvirt.active == {"default"}
    assert machine.libvirt.autostart == set()
    assert "virtsec" not in machine.libvirt.definitions["default"]


@pytest.mark.parametrize("defined", [True, False])
def test_a_network_in_use_stays_up_and_only_the_record_goes(defined: bool) -> None:
    xml = write_record(NETWORK, NetworkRecord(defined=defined, started=True, forwarding=True))
    now = NetworkNow(xml, active=True, forwards=True, in_use=True)
    (step,) = plan_network_removal(now, SWITCH)
    assert "record" in step.describe()


def test_routing_stays_on_where_the_host_has_other_bridges() -> None:
    xml = write_record(NETWORK, NetworkRecord(started=True, forwarding=True))
    now = NetworkNow(xml, active=True, forwards=True, other_bridges=True)
    steps = [step.describe() for step in plan_network_removal(now, SWITCH)]
    assert not any("routing" in step for step in steps)
    assert "stop libvirt's network 'default'" in steps


def test_routing_turned_off_under_an_active_network_is_turned_on(machine: Machine) -> None:
    machine.libvirt.active.add("default")
    machine.libvirt.autostart.add("default")
    setup(machine.host, places=machine.places)
    assert machine.places.forwarding.read_text() == "1\n"


def test_ports_and_other_bridges_are_seen(machine: Machine) -> None:
    net = machine.places.interfaces
    for made in ("virbr0/bridge", "virbr0/brif/virbr0-nic", "br9/bridge"):
        (net / made).mkdir(parents=True)
    libvirt = machine.host.libvirt
    seen = look(libvirt, machine.places)
    assert (seen.in_use, seen.other_bridges) == (False, True)
    (net / "virbr0/brif/vnet0").mkdir()
    assert look(libvirt, machine.places).in_use
