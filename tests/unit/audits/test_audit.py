"""audit: all that the policy leaves open is told, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import cast
from xml.etree import ElementTree

import pytest

from tests.unit.fakes import FakeLibvirt, FakeMac, FakeReach, fake_host, record
from tests.unit.samples import sample, selinux_label
from virtsec.audits.matrix import svg
from virtsec.audits.report import page
from virtsec.commands import auditing
from virtsec.commands.auditing import audit
from virtsec.diagnosis.check import Check, Fault
from virtsec.mac.reach import Channel
from virtsec.step import Host


def containers(*names: str) -> list[str]:
    """The XML of containers with labels of their own."""
    return [sample(name).xml.replace("c1,c2", f"c1,c{n}") for n, name in enumerate(names, 2)]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """Two containers whose policy is loaded, on a host that has nothing to be found."""
    monkeypatch.setattr(auditing, "host_checks", lambda host, places: [])
    made = fake_host(*(record(f"vs{n}", xml) for n, xml in enumerate(containers("vs1", "vs2"), 1)))
    cast(FakeMac, made.mac).policies.update(vs1="", vs2="")
    return apart(made)


def apart(host: Host) -> Host:
    """The same, each container with ids of its own."""
    libvirt = cast(FakeLibvirt, host.libvirt)
    theirs = libvirt.records["vs2"]
    other = theirs.xml.replace(str(0x70000000), str(0x70010000))
    libvirt.records["vs2"] = replace(theirs, xml=other)
    return host


def reach(host: Host) -> FakeReach:
    """The policy that the test has in its hands."""
    return cast(FakeMac, host.mac).reaching


def test_where_nothing_is_open_it_is_sound(host: Host) -> None:
    found = audit(host)
    assert [each.sentence for each in found.findings] == []
    assert found.sound
    assert [(each.name, each.read) for each in found.containers] == [
        ("vs1", ("lib_t",)),
        ("vs2", ("lib_t",)),
    ]


def test_what_is_open_says_who_whom_and_by_what(host: Host) -> None:
    open_way(host)
    found = audit(host)
    assert not found.sound
    (way,) = found.open
    assert (way.source, way.target, way.channel, way.by) == (
        "vs1", "vs2", Channel.FILES, ("vs2_file_t:file",),
    )  # fmt: skip


def test_a_link_is_told_and_is_no_fault(host: Host) -> None:
    libvirt = cast(FakeLibvirt, host.libvirt)
    there = libvirt.records["vs1"]
    link = '<virtsec:link to="vs2" port="80" protocol="tcp" label="http_port_t"/>'
    xml = there.xml.replace("</virtsec:container>", f"{link}</virtsec:container>")
    libvirt.records["vs1"] = replace(there, xml=xml)
    found = audit(host)
    assert found.sound
    assert [(each.source, each.target, str(each)) for each in found.links] == [
        ("vs1", "vs2", "80/tcp")
    ]
    tree = ElementTree.fromstring(svg(found))
    titles = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert "vs1 to vs2, network: 80/tcp by a link" in titles
    assert "vs2 to vs1, network is closed" in titles
    assert "No container may reach another, but by a link." in page(found)


def open_way(host: Host) -> None:
    """vs1 may act on the files of vs2."""
    one = selinux_label("vs1").process
    other = selinux_label("vs2", "c1,c3").process
    reach(host).ways[one, other] = {Channel.FILES: ["vs2_file_t:file"]}


@pytest.mark.parametrize(("kept", "sound"), [("each has its own", True), ("", False)])
def test_what_both_share_must_be_kept_apart_by_something(
    host: Host, kept: str, sound: bool
) -> None:
    reach(host).carriers["cgroup_t"] = kept
    found = audit(host)
    assert found.sound is sound
    (carrier,) = found.shared
    assert (carrier.through, carrier.kept) == ("cgroup_t", kept)
    assert carrier.writers == carrier.readers == ("vs1", "vs2")


def test_a_container_without_policy_is_a_finding_and_is_not_asked_about(host: Host) -> None:
    del cast(FakeMac, host.mac).policies["vs2"]
    found = audit(host)
    assert [each.name for each in found.containers] == ["vs1"]
    assert [(each.subject, each.id) for each in found.findings] == [("vs2", "policy-loaded")]
    assert not found.sound


def test_one_of_another_security_module_is_a_finding_and_is_not_asked_about(host: Host) -> None:
    libvirt = cast(FakeLibvirt, host.libvirt)
    libvirt.records["vs2"] = record("vs2", sample("vs2", smack=True).xml)
    found = audit(host)
    assert [each.name for each in found.containers] == ["vs1"]
    assert ("vs2", "module") in [(each.subject, each.id) for each in found.findings]
    assert "policy-loaded" not in [each.id for each in found.findings]


def test_an_edited_domain_and_broken_metadata_are_findings(host: Host) -> None:
    libvirt = cast(FakeLibvirt, host.libvirt)
    for name, before, after in (("vs1", "policy='deny'", "policy='allow'"),
                                ("vs2", "process=", "processes=")):  # fmt: skip
        there = libvirt.records[name]
        edited = there.xml.replace(before, after).replace(
            before.replace("'", '"'), after.replace("'", '"')
        )
        assert edited != there.xml
        libvirt.records[name] = replace(there, xml=edited)
    found = {(each.subject, each.id) for each in audit(host).findings}
    assert {("vs1", "definition"), ("vs2", "definition")} <= found


@pytest.mark.parametrize("check", ["secrets", "hook", "controller"])
def test_what_is_wrong_with_the_host_is_a_finding(
    host: Host, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    wrong = Check(check, "Fine.", lambda: Fault("It is exposed.", "Protect it."))
    other = Check("store", "Fine.", lambda: Fault("Not of interest here.", ""))
    monkeypatch.setattr(auditing, "host_checks", lambda host, places: [wrong, other])
    assert [each.sentence for each in audit(host).findings] == ["It is exposed."]


def test_the_picture_is_one_file_of_xml_with_each_pair_in_it(host: Host) -> None:
    open_way(host)
    tree = ElementTree.fromstring(svg(audit(host)))
    titles = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert "vs1 to vs2, files: vs2_file_t:file" in titles
    assert "vs2 to vs1, files is closed" in titles
    assert "href" not in svg(audit(host))


def test_the_page_says_what_is_open(host: Host) -> None:
    open_way(host)
    text = page(audit(host))
    assert "Not all is as it must be." in text
    assert "<td>vs1</td><td>vs2</td><td>files</td><td>vs2_file_t:file</td>" in text
    assert "src=" not in text


def test_names_cannot_break_out_of_the_page(host: Host) -> None:
    found = audit(host)
    hostile = replace(found.containers[0], label="<script>")
    text = page(replace(found, containers=(hostile,)))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_no_container_at_all_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "host_checks", lambda host, places: [])
    found = audit(fake_host())
    assert found.sound
    assert "There is no container." in page(found)
