"""policy suggest: the smallest addition is kept with the container, and no promise is given up."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import cast

import pytest

from tests.unit.fakes import FakeLibvirt, FakeMac, fake_host, record
from tests.unit.samples import sample
from virtsec.commands.definition import undefine
from virtsec.commands.suggesting import merged, suggest_policy
from virtsec.domain.metadata import read_record, without_namespace
from virtsec.errors import BadInput, LibvirtFailed
from virtsec.mac.denial import Weighed
from virtsec.spec import Addition, Label
from virtsec.step import Host

PORT = Addition("http_cache_port_t", "tcp_socket", ("name_bind",))
FILE = Addition("etc_t", "file", ("write",))


def weighed(addition: Addition, breaks: str = "") -> Weighed:
    return Weighed(addition, "It would.", breaks, "", 1, ("nginx",), ())


@pytest.fixture
def host() -> Host:
    """vs1, which was refused two things, one of them for good."""
    made = fake_host(record("vs1", sample("vs1").xml))
    mac = cast(FakeMac, made.mac)
    mac.policies["vs1"] = "(container vs1)\n"
    mac.denied = [weighed(PORT), weighed(FILE, "No.")]
    return made


def additions(host: Host) -> tuple[Addition, ...]:
    """What the domain's metadata has."""
    found = host.libvirt.domain("vs1")
    assert found is not None
    container = read_record(found)
    assert container is not None
    return container.spec.additions


def test_looking_changes_nothing(host: Host) -> None:
    found = suggest_policy("vs1", host)
    assert [each.addition for each in found.suggestions] == [PORT]
    assert [each.addition for each in found.never] == [FILE]
    assert not found.applied
    assert additions(host) == ()
    assert cast(FakeLibvirt, host.libvirt).calls == []


def test_applied_it_is_in_the_policy_and_in_the_metadata_and_what_breaks_a_promise_is_not(
    host: Host,
) -> None:
    assert suggest_policy("vs1", host, apply=True).applied
    assert additions(host) == (PORT,)
    assert cast(FakeMac, host.mac).policies["vs1"] == (
        "(container vs1)\n(allow http_cache_port_t)\n"
    )


def test_another_container_counts_as_one_while_its_policy_is_not_loaded(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast(FakeLibvirt, host.libvirt).records["vs2"] = record("vs2", sample("vs2").xml)
    asked: list[list[str]] = []

    def refused(_label: Label, containers: Collection[str], _since: object) -> list[Weighed]:
        asked.append(list(containers))
        return []

    monkeypatch.setattr(host.mac, "refused", refused)
    suggest_policy("vs1", host)
    assert asked == [["vs1", "vs2"]]


def test_what_is_there_already_is_not_suggested_again(host: Host) -> None:
    suggest_policy("vs1", host, apply=True)
    found = suggest_policy("vs1", host, apply=True)
    assert (found.suggestions, found.applied) == ((), False)


def test_when_the_metadata_cannot_be_changed_the_policy_is_as_before(host: Host) -> None:
    cast(FakeLibvirt, host.libvirt).fails.add("set_metadata")
    with pytest.raises(LibvirtFailed):
        suggest_policy("vs1", host, apply=True)
    assert cast(FakeMac, host.mac).policies["vs1"] == "(container vs1)\n"
    assert additions(host) == ()


def test_undefine_takes_it_away(host: Host) -> None:
    suggest_policy("vs1", host, apply=True)
    cast(FakeMac, host.mac).fails = False
    undefine(["vs1"], host)
    assert cast(FakeMac, host.mac).policies == {}


def test_a_second_permission_joins_the_first() -> None:
    both = merged([PORT], [Addition(PORT.object, PORT.kind, ("name_bind", "name_connect")), FILE])
    assert both == (Addition(PORT.object, PORT.kind, ("name_bind", "name_connect")), FILE)


def test_metadata_survive_the_way_through_libvirt(host: Host) -> None:
    suggest_policy("vs1", host, apply=True)
    found = read_record(cast(FakeLibvirt, host.libvirt).records["vs1"])
    assert found is not None
    assert found.identity == sample("vs1").identity
    assert "xmlns" not in without_namespace(found)


@pytest.mark.parametrize("word", ["a b", "x)(allow", 'q"', "é"])
def test_an_addition_that_is_no_rule_is_refused(host: Host, word: str) -> None:
    suggest_policy("vs1", host, apply=True)
    libvirt = cast(FakeLibvirt, host.libvirt)
    there = libvirt.records["vs1"]
    escaped = word.replace('"', "&quot;")
    libvirt.records["vs1"] = record("vs1", there.xml.replace("http_cache_port_t", escaped))
    with pytest.raises(BadInput, match="an addition that is no rule"):
        suggest_policy("vs1", host)


def test_since_is_passed_on(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refused(self: object, label: object, containers: object, since: object) -> list[Weighed]:
        asked.extend((containers, since))
        return []

    monkeypatch.setattr(FakeMac, "refused", refused)
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    cast(FakeMac, host.mac).policies["vs0"] = ""
    suggest_policy("vs1", host, when)
    assert asked == [["vs1", "vs0"], when]
