"""define, undefine and label on a host in memory, the tree's steps left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.unit.fakes import FakeLibvirt, FakeMac, defined, fake_host, foreign, record
from tests.unit.samples import SAMPLES, sample
from virtsec.commands import definition
from virtsec.commands.results import Undefined
from virtsec.domain.pristine import DropInit
from virtsec.errors import (
    BadInput,
    Failed,
    HostNotReady,
    LibvirtFailed,
    NotFound,
    Refused,
    VirtsecError,
)
from virtsec.host.checks import Part
from virtsec.rootfs import unfinished
from virtsec.spec import InitPolicy, Mount
from virtsec.step import Host, Step


def parts(host: Host) -> tuple[FakeLibvirt, FakeMac]:
    assert isinstance(host.libvirt, FakeLibvirt)
    assert isinstance(host.mac, FakeMac)
    return host.libvirt, host.mac


def test_define_makes_policy_tree_and_domain(log: list[str]) -> None:
    host = fake_host()
    libvirt, mac = parts(host)
    made = definition.define(sample("vs1", autostart=True).spec, host)
    assert list(mac.policies) == ["vs1"]
    assert log == ["root", "keep"]
    assert libvirt.records["vs1"].autostart
    assert made.label.process == "system_u:system_r:vs1_t:s0:c0,c1"
    assert made.ids is not None


def test_define_without_a_source_takes_the_default_one(log: list[str]) -> None:
    host = fake_host()
    definition.define(sample("vs1").spec, host)
    assert 'source="debian:trixie"' in parts(host)[0].records["vs1"].xml


def test_a_plan_changes_nothing(log: list[str]) -> None:
    host = fake_host()
    plan = definition.plan(sample("vs1").spec, host)
    assert plan.container.name == "vs1"
    assert (parts(host)[0].records, parts(host)[1].policies, log) == ({}, {}, [])


def test_what_was_planned_is_what_is_applied(log: list[str]) -> None:
    host = fake_host()
    libvirt, mac = parts(host)
    plan = definition.plan(sample("vs1").spec, host)
    made = definition.apply(plan, host)
    assert made.label == plan.container.identity.label
    assert mac.policies == {"vs1": plan.policy.text}
    assert list(libvirt.records) == ["vs1"]
    assert log == ["root", "keep"]


def test_a_plan_that_would_come_out_otherwise_by_now_is_not_applied(log: list[str]) -> None:
    host = fake_host()
    libvirt, mac = parts(host)
    plan = definition.plan(sample("vs1").spec, host)
    definition.define(sample("vs2").spec, host)
    with pytest.raises(Failed, match="vs1 was planned"):
        definition.apply(plan, host)
    assert (list(libvirt.records), list(mac.policies)) == (["vs2"], ["vs2"])
    definition.apply(definition.plan(plan.container.spec, host), host)
    assert list(libvirt.records) == ["vs2", "vs1"]


def test_a_plan_from_a_definition_is_applied_as_it_was_shown(log: list[str]) -> None:
    host = fake_host()
    plan = definition.plan_from_xml(foreign().xml, host, "vs1")
    assert parts(host)[0].records == {}
    definition.apply(plan, host)
    assert list(parts(host)[0].records) == ["vs1"]


def test_nothing_is_made_on_a_host_without_the_hook(
    log: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = Part("libvirt's hook", tmp_path / "hook", b"", 0o755)
    monkeypatch.setattr("virtsec.host.checks.runtime", lambda _: [hook])
    host = fake_host()
    for attempt in (definition.define, definition.plan):
        with pytest.raises(HostNotReady, match="This host is not set up"):
            attempt(sample("vs1").spec, host)
    assert log == []


@pytest.mark.parametrize("kept", [False, True])
def test_what_was_cut_off_when_the_domain_was_there_is_taken_up_by_the_same_words_alone(
    log: list[str], monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    host = fake_host()
    libvirt, _ = parts(host)
    asked = sample("vs1", autostart=True).spec
    made = definition.define(asked, host)
    libvirt.set_autostart("vs1", False)
    before = libvirt.records["vs1"].xml
    log.clear()
    monkeypatch.setattr(definition, "is_begun", lambda _: not kept)
    with pytest.raises(BadInput, match="has a domain vs1 already"):
        definition.define(replace(asked, init=PurePosixPath("/sbin/other")), host)
    if kept:
        with pytest.raises(BadInput, match="has a domain vs1 already"):
            definition.define(asked, host)
    else:
        assert definition.define(asked, host) == made
        assert log == ["keep"]
        assert libvirt.records["vs1"].autostart
    assert libvirt.records["vs1"].xml == before


def test_what_was_cut_off_as_it_went_is_not_taken_up(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its tree a part is left, which would pass for the whole."""
    host = fake_host()
    definition.define(sample("vs1").spec, host)
    log.clear()
    monkeypatch.setattr(unfinished, "_note", lambda _: b"going")
    with pytest.raises(BadInput, match="has a domain vs1 already"):
        definition.define(sample("vs1").spec, host)
    assert log == []


@pytest.mark.parametrize("failing", ["define", "set_autostart"])
def test_a_failed_define_leaves_nothing(log: list[str], failing: str) -> None:
    host = fake_host()
    libvirt, mac = parts(host)
    libvirt.fails.add(failing)
    with pytest.raises(LibvirtFailed):
        definition.define(sample("vs1", autostart=True).spec, host)
    assert (libvirt.records, mac.policies) == ({}, {})
    assert log == ["root", "undo root"]


def test_a_policy_that_is_not_taken_stops_before_the_tree(log: list[str]) -> None:
    host = fake_host()
    parts(host)[1].fails = True
    with pytest.raises(Failed):
        definition.define(sample("vs1").spec, host)
    assert log == []


def test_a_domain_made_meanwhile_by_others_survives_our_failure(log: list[str]) -> None:
    host = fake_host()
    libvirt, _ = parts(host)
    theirs = foreign("vs1")

    def intrude(_index: int, step: Step) -> None:
        if type(step).__name__ == "DefineDomain":
            libvirt.records["vs1"] = theirs

    with pytest.raises(LibvirtFailed):
        definition.define(sample("vs1").spec, host, intrude)
    assert libvirt.records == {"vs1": theirs}


def test_a_host_without_setup_is_sent_to_it(log: list[str]) -> None:
    host = fake_host()
    parts(host)[1].missing = "the base policy is not loaded"
    with pytest.raises(HostNotReady) as error:
        definition.define(sample("vs1").spec, host)
    assert "setup" in error.value.remedy


def test_a_missing_mount_source_is_told(log: list[str], tmp_path: Path) -> None:
    mount = Mount(PurePosixPath(tmp_path, "none"), PurePosixPath("/mnt"))
    with pytest.raises(NotFound, match="none"):
        definition.define(sample("vs1", mounts=(mount,)).spec, fake_host())


def test_undefine_is_the_reverse_of_define(log: list[str]) -> None:
    host = fake_host()
    libvirt, mac = parts(host)
    definition.define(sample("vs1").spec, host)
    log.clear()
    gone = definition.undefine(["vs1"], host)
    assert (libvirt.records, mac.policies, log) == ({}, {}, ["RestTree", "LeaveTree"])
    assert gone == {"vs1": Undefined("vs1", sample("vs1").spec.rootfs, removed=False)}


def test_one_name_may_be_said_without_a_list(log: list[str]) -> None:
    host = fake_host()
    definition.define(sample("vs1").spec, host)
    assert list(definition.undefine("vs1", host)) == ["vs1"]
    assert parts(host)[0].records == {}


def test_undefine_with_storage_removes_the_tree(log: list[str]) -> None:
    host = fake_host()
    definition.define(sample("vs1").spec, host)
    log.clear()
    definition.undefine(["vs1"], host, storage=True)
    assert log == ["RemoveTree"]


def test_a_failed_undefine_can_be_run_again(log: list[str]) -> None:
    host = fake_host()
    libvirt, mac = parts(host)
    definition.define(sample("vs1", autostart=True).spec, host)
    libvirt.fails.add("undefine")
    assert isinstance(definition.undefine(["vs1"], host)["vs1"], LibvirtFailed)
    assert list(libvirt.records) == list(mac.policies) == ["vs1"]
    libvirt.fails.clear()
    definition.undefine(["vs1"], host)
    assert (libvirt.records, mac.policies) == ({}, {})


def test_a_failed_undefine_knows_the_init_that_was_kept(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pristine = sample("vs1", source="/srv/x.tar", init_policy=InitPolicy.PRISTINE)
    monkeypatch.setattr(definition, "kept", lambda name: f"init of {name}".encode())
    dropped: list[DropInit] = []

    def watch(_: int, step: Step) -> None:
        if isinstance(step, DropInit):
            dropped.append(step)
            raise Failed("Not in a test.")

    for storage in (False, True):
        host = fake_host(defined("vs1", pristine.xml), defined("vs2", sample("vs2").xml))
        definition.undefine(["vs1", "vs2"], host, storage=storage, watch=watch)
    assert dropped == [DropInit("vs1", before=b"init of vs1")] * 2


def test_any_number_is_undefined_in_one_transaction_of_the_policy(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = fake_host(foreign("theirs"))
    libvirt, _ = parts(host)
    for name in ("vs1", "vs2"):
        definition.define(sample(name).spec, host)
    unloaded: list[list[str]] = []
    monkeypatch.setattr(FakeMac, "unload", lambda _, names: unloaded.append(list(names)))
    gone = definition.undefine(["vs1", "theirs", "none", "vs2", "vs1"], host)
    assert unloaded == [["vs1", "vs2"]]
    assert {name: type(outcome) for name, outcome in gone.items()} == {
        "vs1": Undefined, "theirs": Refused, "none": NotFound, "vs2": Undefined,
    }  # fmt: skip
    assert list(libvirt.records) == ["theirs"]


def test_when_one_of_many_cannot_be_undefined_all_are_there_as_before(log: list[str]) -> None:
    host = fake_host()
    libvirt, mac = parts(host)
    for name in ("vs1", "vs2"):
        definition.define(sample(name).spec, host)
    libvirt.fails.add("undefine")
    gone = definition.undefine(["vs1", "vs2"], host)
    assert gone["vs1"] is gone["vs2"]
    assert sorted(libvirt.records) == sorted(mac.policies) == ["vs1", "vs2"]


def undefine_one(name: str, host: Host) -> None:
    outcome = definition.undefine([name], host)[name]
    if isinstance(outcome, VirtsecError):
        raise outcome


@pytest.mark.parametrize("command", [undefine_one, definition.label])
def test_a_foreign_domain_is_never_touched(log: list[str], command: Any) -> None:
    host = fake_host(foreign("theirs"))
    with pytest.raises(Refused) as error:
        command("theirs", host)
    assert "virsh" in error.value.remedy
    assert (log, parts(host)[0].calls) == ([], [])


@pytest.mark.parametrize("command", [undefine_one, definition.label])
def test_an_unknown_name_is_told(log: list[str], command: Any) -> None:
    with pytest.raises(NotFound):
        command("vs1", fake_host())


def test_broken_metadata_is_told_and_nothing_done(log: list[str]) -> None:
    xml = SAMPLES["unprivileged"].xml.replace('version="1"', 'version="9"')
    host = fake_host(record("vs1", xml))
    with pytest.raises(BadInput, match="version 9"):
        undefine_one("vs1", host)
    assert parts(host)[0].calls == []


def test_label_walks_a_stopped_containers_tree(log: list[str]) -> None:
    host = fake_host(record("vs1", SAMPLES["unprivileged"].xml))
    assert definition.label("vs1", host).label == SAMPLES["unprivileged"].identity.label
    assert log == ["LabelTree"]
