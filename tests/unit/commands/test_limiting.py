"""set: definition, systemd and what runs are limited alike, and the rest stays as it is."""

from __future__ import annotations

from typing import cast

import pytest

from tests.unit.fakes import FakeLibvirt, FakeSystemd, fake_host, foreign
from tests.unit.samples import SAMPLES, sample
from virtsec.commands.limiting import limit
from virtsec.domain.limits import slice_of
from virtsec.domain.metadata import read_record
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput, LibvirtFailed, NotFound, Refused
from virtsec.spec import Limits
from virtsec.step import Host


def hosting(name: str = "unprivileged", *, running: bool = False) -> Host:
    """A host with one of the samples, and a domain of somebody else's."""
    there = SAMPLES[name]
    host = fake_host(foreign("theirs"))
    libvirt(host).define(there.xml)
    if running:
        libvirt(host).start(there.spec.name)
    return host


def libvirt(host: Host) -> FakeLibvirt:
    return cast(FakeLibvirt, host.libvirt)


def units(host: Host) -> dict[str, dict[str, str]]:
    return cast(FakeSystemd, host.systemd).units


def said(host: Host, name: str) -> Limits:
    container = read_record(libvirt(host).records[name])
    assert container
    return container.spec.limits


def test_what_is_named_changes_and_the_rest_stays() -> None:
    host = hosting("full")
    limited = limit("vs6", {"memory_mib": 2048, "pids": 50}, host)
    assert limited.limits == Limits(2048, 2048, 4, cpu_shares=200, io_weight=50, pids=50)
    assert said(host, "vs6") == limited.limits
    assert units(host) == {
        "machine-vs6.slice": {
            "MemoryMax": str(2**31),
            "CPUQuota": "400%",
            "TasksMax": "50",
            "MemorySwapMax": str(2**31),
            "CPUWeight": "200",
            "IOWeight": "50",
        }
    }
    assert not differences("vs6", libvirt(host).records["vs6"].xml)


def test_what_somebody_else_put_into_the_definition_stays() -> None:
    host = hosting()
    xml = libvirt(host).records["vs1"].xml
    xml = xml.replace("<cputune>", "<description>mine</description><cputune>")
    xml = xml.replace("<period>", "<shares>300</shares><period>")
    libvirt(host).define(xml)
    limit("vs1", {"vcpus": 3}, host)
    changed = libvirt(host).records["vs1"].xml
    assert "<description>mine</description>" in changed
    assert "<quota>300000</quota>" in changed
    assert "<shares>300</shares>" in changed


@pytest.mark.parametrize("running", [True, False])
def test_what_runs_is_limited_at_once(running: bool) -> None:
    host = hosting(running=running)
    limits = limit("vs1", {"memory_mib": 256}, host).limits
    calls = [call for call in libvirt(host).calls if call[0] == "limit"]
    assert calls == ([("limit", "vs1", limits)] if running else [])


def test_when_what_runs_cannot_be_limited_all_is_as_before() -> None:
    host = hosting(running=True)
    before = said(host, "vs1")
    libvirt(host).fails.add("limit")
    with pytest.raises(LibvirtFailed):
        limit("vs1", {"memory_mib": 256}, host)
    assert said(host, "vs1") == before
    assert units(host)["machine-vs1.slice"]["TasksMax"] == str(before.pids)


@pytest.mark.parametrize(
    ("name", "wanted", "error"),
    [
        ("vs1", {}, BadInput),
        ("vs1", {"pids": 3}, BadInput),
        ("vs1", {"bogus": 3}, BadInput),
        ("vs1", {"memory_mib": 1}, BadInput),
        ("none", {"pids": 100}, NotFound),
        ("theirs", {"pids": 100}, Refused),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    name: str, wanted: dict[str, int], error: type[Exception]
) -> None:
    host = hosting()
    before = libvirt(host).records["vs1"].xml
    with pytest.raises(error):
        limit(name, wanted, host)
    assert libvirt(host).records["vs1"].xml == before
    assert units(host) == {}


def test_a_slice_is_called_as_the_controller_calls_it() -> None:
    assert slice_of("vs1") == "machine-vs1.slice"
    assert slice_of("a-b-c") == r"machine-a\x2db\x2dc.slice"


def test_what_is_defined_is_limited_by_default() -> None:
    assert sample("vs1").spec.limits == Limits(memory_mib=512, swap_mib=512, vcpus=1, pids=4096)
