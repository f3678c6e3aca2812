"""link and unlink: metadata and rules in force agree, and what cannot be linked is refused."""

from __future__ import annotations

from typing import cast

import pytest

from tests.unit.fakes import FakeLibvirt, FakeMac, fake_host, foreign, record
from tests.unit.samples import SAMPLES, sample
from virtsec.commands.linking import Linked, link, links, unlink
from virtsec.domain.metadata import read_record
from virtsec.errors import BadInput, Failed, HostNotReady, NotFound, Refused
from virtsec.names import port_of
from virtsec.spec import Link, Network, NetworkKind, Transport
from virtsec.step import Host

DATABASE, NAMES = Link("vs2", 5432), Link("vs2", 53, Transport.UDP)


@pytest.fixture
def host() -> Host:
    """Three containers on one network, and a domain of somebody else's."""
    names = ("vs1", "vs2", "vs3")
    return fake_host(*(record(name, sample(name).xml) for name in names), foreign("theirs"))


def said(host: Host) -> dict[str, tuple[Link, ...]]:
    """What metadata says."""
    libvirt = cast(FakeLibvirt, host.libvirt)
    found = filter(None, map(read_record, libvirt.records.values()))
    return {each.name: each.spec.links for each in found if each.spec.links}


def in_force(host: Host) -> object:
    return cast(FakeMac, host.mac).traffic.links


def test_a_link_is_in_the_metadata_and_in_force(host: Host) -> None:
    assert link("vs1", [DATABASE], host) == Linked("vs1", (DATABASE,))
    assert said(host) == in_force(host) == {"vs1": (DATABASE,)}
    link("vs1", [NAMES, DATABASE], host)
    link("vs2", [Link("vs1", 80)], host)
    both = {"vs1": (NAMES, DATABASE), "vs2": (Link("vs1", 80),)}
    assert said(host) == in_force(host) == both
    assert links(host) == [Linked(name, both[name]) for name in ("vs1", "vs2")]


def test_who_is_asked_may_listen_there_and_nobody_elses_policy_changes(host: Host) -> None:
    mac = cast(FakeMac, host.mac)
    link("vs1", [DATABASE], host)
    assert list(mac.policies) == ["vs2"]
    assert "(listens tcp_5432_t)" in mac.policies["vs2"]
    link("vs3", [DATABASE], host)
    unlink("vs1", "vs2", [], host)
    assert "(listens tcp_5432_t)" in mac.policies["vs2"]
    unlink("vs3", "vs2", [], host)
    assert "listens" not in mac.policies["vs2"]


def test_what_is_linked_already_is_left_as_it_is(host: Host) -> None:
    link("vs1", [DATABASE], host)
    cast(FakeMac, host.mac).fails = True
    assert link("vs1", [DATABASE], host) == Linked("vs1", (DATABASE,))


def test_one_port_is_taken_back_or_all_of_them(host: Host) -> None:
    link("vs1", [DATABASE, NAMES, Link("vs3", 80)], host)
    assert unlink("vs1", "vs2", [NAMES], host) == Linked("vs1", (DATABASE, Link("vs3", 80)))
    assert unlink("vs1", "vs2", [], host) == Linked("vs1", (Link("vs3", 80),))
    assert said(host) == in_force(host) == {"vs1": (Link("vs3", 80),)}


@pytest.mark.parametrize("gone", [[], [NAMES], [DATABASE, NAMES]])
def test_a_link_that_is_not_there_is_not_taken_back(host: Host, gone: list[Link]) -> None:
    if gone:
        link("vs1", [DATABASE], host)
    before = said(host)
    with pytest.raises(NotFound, match="vs1 has no link to vs2"):
        unlink("vs1", "vs2", gone, host)
    assert said(host) == before


@pytest.mark.parametrize(
    ("to", "error"), [("vs1", BadInput), ("none", NotFound), ("theirs", Refused)]
)
def test_only_two_containers_of_ours_are_linked(
    host: Host, to: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        link("vs1", [DATABASE, Link(to, 80)], host)
    assert said(host) == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [("static", "fine"), ("isolated", "has no network"), ("bridge", "on different networks")],
)
def test_both_must_be_on_one_network(host: Host, name: str, why: str) -> None:
    other = SAMPLES[name]
    cast(FakeLibvirt, host.libvirt).records[other.spec.name] = record(other.spec.name, other.xml)
    if why == "fine":
        link("vs1", [Link(other.spec.name, 80)], host)
        assert said(host) == in_force(host) == {"vs1": (Link(other.spec.name, 80),)}
        return
    with pytest.raises(Refused, match=why):
        link("vs1", [Link(other.spec.name, 80)], host)


def test_rules_must_know_the_ends_of_both_by_name(host: Host) -> None:
    xml = sample("vs2").xml.replace(f'<target dev="{port_of("vs2")}"/>', "")
    assert xml != sample("vs2").xml
    cast(FakeLibvirt, host.libvirt).records["vs2"] = record("vs2", xml)
    with pytest.raises(Refused, match="the interface of vs2 has no end on the host called vs-vs2"):
        link("vs1", [DATABASE], host)


def test_where_rules_are_not_taken_the_metadata_is_as_before(host: Host) -> None:
    cast(FakeMac, host.mac).fails = True
    with pytest.raises(Failed):
        link("vs1", [DATABASE], host)
    assert said(host) == {}


def test_a_host_without_setup_links_nothing(host: Host) -> None:
    cast(FakeMac, host.mac).missing = "the base"
    with pytest.raises(HostNotReady):
        link("vs1", [DATABASE], host)


def test_broken_metadata_of_one_leaves_the_links_of_others(host: Host) -> None:
    libvirt = cast(FakeLibvirt, host.libvirt)
    link("vs1", [DATABASE], host)
    libvirt.records["vs3"] = record("vs3", sample("vs3").xml.replace("process=", "processes="))
    assert links(host) == [Linked("vs1", (DATABASE,))]
    link("vs2", [Link("vs1", 80)], host)
    assert in_force(host) == {"vs1": (DATABASE,), "vs2": (Link("vs1", 80),)}


def test_networks_are_told_apart_by_kind() -> None:
    one = sample("vs1", network=Network(NetworkKind.BRIDGE, "default")).xml
    made = fake_host(record("vs1", one), record("vs2", sample("vs2").xml))
    with pytest.raises(Refused, match="different networks"):
        link("vs1", [DATABASE], made)
