"""list and info: how each domain is confined, and what is not ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.unit.fakes import FakeLibvirt, FakeMac, fake_host, foreign, record
from tests.unit.samples import SAMPLES, sample
from virtsec.commands import listing, live
from virtsec.commands.results import Confinement, Kind, Planned, as_json
from virtsec.domain.records import DomainRecord
from virtsec.mac.protocol import Enforcement, Policy
from virtsec.plans.define import DefinePlan
from virtsec.step import Host

ONE = SAMPLES["static"]
LABEL = ONE.identity.label.process


@pytest.fixture(autouse=True)
def init(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every controller has init as its child, one number further."""
    monkeypatch.setattr(live, "init_pid", lambda pid: None if pid is None else pid + 1)
    yield


def ours(running: bool = True) -> DomainRecord:
    return record("vs3", ONE.xml, running=running)


def host(*records: DomainRecord, label: str = LABEL, permissive: bool = False) -> Host:
    given = fake_host(*records)
    assert isinstance(given.mac, FakeMac)
    given.mac.running[4243] = label
    if permissive:
        given.mac.mode = Enforcement.PERMISSIVE
    return given


def test_a_container_that_is_as_it_was_made_is_confined() -> None:
    found = listing.info("vs3", host(ours()))
    assert found.confinement is Confinement.CONFINED
    assert (found.live_label, found.label_holds, found.remarks) == (LABEL, True, ())
    assert found.kind is Kind.UNPRIVILEGED
    assert found.network == ONE.spec.network
    assert found.ids == ONE.identity.ids


def test_a_container_that_runs_with_another_label_is_told_first() -> None:
    found = listing.info("vs3", host(ours(), label="unconfined_t", permissive=True))
    assert found.confinement is Confinement.MISLABELLED
    assert found.label_holds is False
    assert "unconfined_t" in found.remarks[0]


def test_an_edited_container_is_told_with_the_hooks_reason() -> None:
    edited = replace(ours(False), xml=ONE.xml.replace('policy="deny"', 'policy="allow"'))
    found = listing.info("vs3", host(edited))
    assert found.confinement is Confinement.EDITED
    assert "capabilities" in found.remarks[0]
    assert found.label_holds is None


def test_a_permissive_host_confines_nobody() -> None:
    found = listing.info("vs3", host(ours(), permissive=True))
    assert found.confinement is Confinement.PERMISSIVE
    assert "permissive" in found.remarks[0]


def test_broken_metadata_is_ours_and_told() -> None:
    broken = replace(ours(), xml=ONE.xml.replace('version="1"', 'version="9"'))
    found = listing.info("vs3", host(broken))
    assert found.confinement is Confinement.BROKEN
    assert found.ours
    assert "version 9" in found.remarks[0]


def test_a_container_without_its_metadata_is_broken_as_the_hook_will_say() -> None:
    gone = re.sub(r"<metadata>.*</metadata>", "", ONE.xml, flags=re.DOTALL)
    found = listing.info("vs3", host(replace(ours(False), xml=gone)))
    assert found.confinement is Confinement.BROKEN
    assert "is gone" in found.remarks[0]


def test_a_foreign_domain_is_shown_as_such() -> None:
    found = listing.info("theirs", host(foreign(running=True)))
    assert (found.ours, found.confinement) == (False, Confinement.FOREIGN)
    assert (found.kind, found.label, found.rootfs) == (None, None, None)


def test_list_shows_what_runs_and_with_all_the_rest() -> None:
    given = host(ours(running=False), foreign(running=True))
    assert [line.name for line in listing.list_domains(given)] == ["theirs"]
    both = listing.list_domains(given, all_=True)
    assert [(line.name, line.ours) for line in both] == [("theirs", False), ("vs3", True)]


def test_addresses_are_static_and_leased_each_once() -> None:
    given = host(foreign(running=True), ours(running=False))
    assert isinstance(given.libvirt, FakeLibvirt)
    given.libvirt.given_leases = {
        "52:54:00:0f:00:01": ("192.168.122.50", "192.168.122.77"),
        "52:54:00:00:00:99": ("192.168.122.78",),
    }
    theirs, vs3 = listing.list_domains(given, all_=True)
    assert theirs.addresses == ("192.168.122.50", "192.168.122.77")
    assert vs3.addresses == ("192.168.122.10", "fd00::a")


def test_many_are_judged_by_several_processes_and_listed_as_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edited = sample("edited").xml.replace('policy="deny"', 'policy="allow"')
    more = [record(name, sample(name).xml) for name in map("many-{}".format, range(30))]
    given = host(ours(running=False), foreign(running=True), record("edited", edited), *more)
    by_one = listing.list_domains(given, all_=True)
    monkeypatch.setattr(listing, "_FEW", 3)
    assert listing.list_domains(given, all_=True) == by_one
    found = {line.name: line.confinement for line in by_one}
    assert (found["edited"], found["many-7"]) == (Confinement.EDITED, Confinement.CONFINED)


def test_list_and_info_agree() -> None:
    given = host(ours(), foreign(running=True), label="other", permissive=True)
    for line in listing.list_domains(given, all_=True):
        found = listing.info(line.name, given)
        assert (line.confinement, line.ours, line.kind) == (
            found.confinement,
            found.ours,
            found.kind,
        )


def test_every_result_becomes_json_of_plain_words() -> None:
    shown = as_json(listing.info("vs3", host(ours())))
    assert json.loads(json.dumps(shown)) == shown
    assert shown["confinement"] == "confined"
    assert shown["network"]["addresses"] == ["192.168.122.10/24", "fd00::a/64"]
    assert shown["rootfs"] == "/var/lib/virtsec/vs3/rootfs"
    plan = DefinePlan(ONE.container, Policy("vs3", "text"), ONE.xml, ())
    planned = as_json(Planned.of(plan))
    assert planned["policy"] == "text"
    assert planned["spec"]["mounts"] == []
