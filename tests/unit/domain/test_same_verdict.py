"""What the hook and the planner think of a domain is the same, however it was edited."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import event, given, settings

from tests.unit.domain.edits import OURS, edited_domains
from tests.unit.runtime.hook_said import Hook, hook_says
from tests.unit.samples import SAMPLES
from virtsec.domain import metadata
from virtsec.domain.metadata import Container
from virtsec.domain.orders import orders
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput
from virtsec.names import port_of
from virtsec.rootfs.bases import link_to
from virtsec.spec import Egress


def started(xml: str) -> dict[str, object]:
    """What is started of a domain that the hook let through, by another reader than any of ours."""
    domain = ET.fromstring(xml.encode())

    def texts(path: str) -> list[str]:
        return ["".join(each.itertext()) for each in domain.findall(path)]

    def ours(path: str, attribute: str) -> list[str | None]:
        holder = f"metadata/{{{OURS}}}container/{{{OURS}}}{path}"
        return [each.get(attribute) for each in domain.findall(holder)]

    def ends(each: ET.Element) -> list[str | None]:
        found = (each.find(end) for end in ("source", "target"))
        return [None if end is None else end.get("dir") for end in found]

    ids = [(each.get("target"), each.get("count")) for each in domain.findall("idmap/uid")]
    lines = {f"files {limit}" for limit in ours("limits", "files") if limit}
    for each in domain.findall("devices/filesystem[@type='mount']/readonly/.."):
        source, target = ends(each)
        lines |= set() if target == "/" else {f"ro {source}"}
    return {
        "name": texts("name"),
        "init": texts("os/init"),
        "controller": texts("devices/emulator"),
        "root": [source for source, target in map(ends, domain.findall("devices/filesystem"))
                 if target == "/"],
        "ids": ids,
        "label": texts("seclabel/label") or ours("label", "process"),
        "base": ours("base", "tree"),
        "orders": lines | {f"idmap {ids[0][0]} {source}" for source in ours("idmap", "source")},
        "limited": ours("egress", "port"),
    }  # fmt: skip


def planned(container: Container) -> dict[str, object]:
    """The same as the planner has it."""
    spec, identity = container.spec, container.identity
    ids = [] if identity.ids is None else [(str(identity.ids.start), str(identity.ids.count))]
    return {
        "name": [spec.name],
        "init": [str(spec.init)],
        "controller": [str(container.controller)],
        "root": [str(spec.rootfs)],
        "ids": ids,
        "label": [identity.label.process],
        "base": [] if spec.base is None else [link_to(spec.base)],
        "orders": {*orders(container).split("\n")} - {""},
        "limited": [] if spec.egress is Egress.ALL else [port_of(spec.name)],
    }


def read(xml: str) -> Container | BadInput | None:
    """What the planner makes of it; nothing but a documented error comes out."""
    try:
        return metadata.read(xml)
    except BadInput as error:
        return error


def assert_the_same(name: str, xml: str) -> Hook:
    verdict, sentence = hook_says(name, xml.encode())
    told, container = differences(name, xml), read(xml)
    if verdict is Hook.FOREIGN:
        assert (told, container) == ((), None)
    elif verdict is Hook.REFUSED:
        assert told, f"the planner says nothing of: {sentence}"
    elif isinstance(container, Container):
        assert told == ()
        assert planned(container) == started(xml)
    else:  # broken in what the hook does not look at, such as a link
        assert told == ()
        assert container is not None
    return verdict


@settings(max_examples=400, deadline=None)
@given(edited_domains())
def test_however_a_domain_is_edited(domain: tuple[str, str]) -> None:
    event(assert_the_same(*domain).value)


VS1 = SAMPLES["unprivileged"].xml
MOUNT = '<filesystem type="mount"><source dir="/srv/data"/><target dir="/mnt"/></filesystem>'
INIT = "<virtsec:init "


def vs1(*changes: tuple[str, str]) -> str:
    """vs1's domain, changed."""
    xml = VS1
    for old, new in changes:
        assert old in xml, old
        xml = xml.replace(old, new, 1)
    return xml


#: The smallest that were found: what each was, and what both are to say of it now.
FOUND: dict[str, tuple[str, Hook]] = {
    "more of virtsec's in the metadata": (
        vs1(("<metadata>", "<metadata><x xmlns='urn:virtsec:other'/>")), Hook.REFUSED),
    "no metadata, and virtsec's emulator": (
        vs1(("urn:virtsec:container", "urn:other")), Hook.REFUSED),
    "nothing of virtsec's but its name": (
        vs1(("urn:virtsec:container", "urn:other"),
            ("/usr/libexec/virtsec/controller</em", "/usr/lib/libvirt/libvirt_lxc</em"),
            ('dir="/var/lib/virtsec/vs1/rootfs"', 'dir="/srv/vs1"')), Hook.FOREIGN),
    "longer than the hook reads": (vs1(("<name>", f"<title>{'x' * 2**20}</title><name>")),
                                   Hook.REFUSED),
    "blanks about a text": (vs1(("<init>/sbin/init<", "<init> /sbin/init<")), Hook.REFUSED),
    "a comment in a text": (vs1(("<name>vs1", "<name>v<!-- x -->s1")), Hook.FINE),
    "an element in a text": (vs1(("<name>vs1", "<name>vs1<b>deny</b>")), Hook.REFUSED),
    "another encoding than its own": (
        "<?xml version='1.0' encoding='iso-8859-1'?>"
        + vs1(("</devices>", f"{MOUNT}</devices>"), ("/srv/data", "/srv/é")), Hook.FINE),
    "a mount's ids are mapped and it is not there": (
        vs1((INIT, f'<virtsec:idmap source="/srv/data"/>{INIT}')), Hook.REFUSED),
    "mounts the other way round than their ids": (
        vs1((INIT, f'<virtsec:idmap source="/b"/><virtsec:idmap source="/srv/data"/>{INIT}'),
            ("</devices>", f"{MOUNT}{MOUNT.replace('/srv/data', '/b').replace('/mnt', '/b')}"
             "</devices>")), Hook.FINE),
    "what is sent is limited at another's port": (
        vs1((INIT, f'<virtsec:egress to="none" port="vs-db"/>{INIT}'),
            ('<target dev="vs-vs1"/>', '<target dev="vs-db"/>')), Hook.REFUSED),
    "what is sent is limited at no port": (
        vs1((INIT, f'<virtsec:egress to="none" port=""/>{INIT}')), Hook.REFUSED),
    "its interface is another's": (
        vs1(('<target dev="vs-vs1"/>', '<target dev="vs-db"/>')), Hook.REFUSED),
}  # fmt: skip


@pytest.mark.parametrize(("xml", "verdict"), FOUND.values(), ids=FOUND)
def test_what_was_found_stays_mended(xml: str, verdict: Hook) -> None:
    assert assert_the_same("vs1", xml) is verdict


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"MiB">512', f'"MiB">{"9" * 5000}'),
        ('static">1', f'static">{"9" * 5000}'),
        ('pids="4096"', f'pids="{"9" * 5000}"'),
        ('pids="4096"', 'pids="٤٠"'),
        ('pids="4096"', 'pids=" 40 "'),
        ('start="1879048192"', f'start="{"9" * 5000}"'),
        ('start="1879048192"', 'start="1_879_048_192"'),
        (INIT, f'<virtsec:base tree="../_bases/web/{"9" * 5000}/tree"/>{INIT}'),
        (INIT, f'<virtsec:base tree="../_bases/../1/tree"/>{INIT}'),
        ("</interface>", '<ip address="fd00::1%a&#10;b" prefix="64"/></interface>'),
    ],
)
def test_no_number_and_no_name_is_taken_that_others_would_read_otherwise(
    old: str, new: str
) -> None:
    found: Any = read(vs1((old, new)))
    assert isinstance(found, BadInput)


@pytest.mark.parametrize("name", ["unprivileged", "privileged"])
def test_no_ids_are_mapped_of_what_is_not_mounted_or_has_the_hosts(name: str) -> None:
    xml = SAMPLES[name].xml.replace(INIT, f'<virtsec:idmap source="/srv/data"/>{INIT}')
    assert isinstance(read(xml), BadInput)
    mounted = read(xml.replace("</devices>", f"{MOUNT}</devices>"))
    assert isinstance(mounted, Container if name == "unprivileged" else BadInput)
