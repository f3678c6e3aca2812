"""`virsh edit` goes on working; what breaks confinement is refused, and put back it starts."""

import re

import pytest
from demo.containers import Small
from demo.shell import virsh, virtsec

Edit = tuple[str, str]

OPENVSWITCH = "<virtualport type='openvswitch'/>"
#: By what the edit does: a pattern in the XML, and what it becomes.
WEAKENING: dict[str, Edit] = {
    "adds mac_admin": (r"(<capabilities policy='deny'>)", r"\1<mac_admin state='on'/>"),
    "adds mac_override": (r"(<capabilities policy='deny'>)", r"\1<mac_override state='on'/>"),
    "keeps all capabilities": (r"<capabilities policy='deny'>", "<capabilities policy='allow'>"),
    "makes the host's root its root": (r"(<source dir=')[^']*('/>\s*<target dir='/'/>)", r"\1/\2"),
    "removes its own network": (r"<interface.*?</interface>|<privnet/>", ""),
    "removes the controller": (
        r"<emulator>[^<]*</emulator>",
        "<emulator>/usr/lib/libvirt/libvirt_lxc</emulator>",
    ),
    "removes the id map": (r"<idmap>.*?</idmap>", ""),
    "shares the other containers' part of the cgroup tree": (
        r"<partition>[^<]*</partition>",
        "<partition>/machine</partition>",
    ),
    "hands in a disk": (
        r"(</devices>)",
        r"<hostdev mode='capabilities' type='storage'><source><block>/dev/vda</block></source>"
        r"</hostdev>\1",
    ),
    "has libvirt look a user up inside": (r"(</init>)", r"\1<inituser>1000</inituser>"),
    "hands in a clock": (
        r"<clock[^>]*/>",
        "<clock offset='utc'><timer name='rtc' present='yes'/></clock>",
    ),
    "mounts in a mount": (
        r"(</devices>)",
        r"<filesystem type='mount'><source dir='/srv'/><target dir='/mnt/inner'/></filesystem>\1",
    ),
    "has the container say what is mounted": (
        r"(</devices>)",
        r"<filesystem type='bind'><source dir='/etc'/><target dir='/inner'/></filesystem>\1",
    ),
    "takes its network from the card": (r"(<interface[^>]*>)", r"\1" + OPENVSWITCH),
    "removes virtsec's metadata": (r"<metadata>.*?</metadata>", ""),
}

#: Where libvirt sets the label.
SELINUX: dict[str, Edit] = {
    "removes the seclabel": (r"<seclabel.*?</seclabel>", ""),
    "has libvirt choose the label": (
        r"<seclabel.*?</seclabel>",
        "<seclabel type='dynamic' model='selinux' relabel='yes'/>",
    ),
    "asks for no label": (r"<seclabel.*?</seclabel>", "<seclabel type='none' model='selinux'/>"),
    "takes another container's label": (r"(<label>[^<]*:)c\d+,c\d+(</label>)", r"\1c0,c1\2"),
}

#: Where the controller sets it, by the metadata.
SMACK: dict[str, Edit] = {
    "asks libvirt for no label": (r"(</domain>)", r"<seclabel type='none'/>\1"),
    "takes the host's label": (r"process=['\"]small['\"]", "process='_'"),
    "takes another container's label": (
        r"(label [^>]*)process=['\"]small['\"]",
        r"\1process='vs1'",
    ),
}


@pytest.fixture(scope="module")
def definition(small: Small) -> str:
    """The XML of small as it should be, the container shut off."""
    small.stop()
    return virsh("dumpxml", "--inactive", "small").stdout


@pytest.mark.parametrize("what", list(WEAKENING))
def test_an_edit_that_weakens_confinement_is_refused(what: str, definition: str) -> None:
    refused(*WEAKENING[what], definition)


@pytest.mark.selinux
@pytest.mark.parametrize("what", list(SELINUX))
def test_an_edit_of_the_label_libvirt_sets_is_refused(what: str, definition: str) -> None:
    refused(*SELINUX[what], definition)


@pytest.mark.smack
@pytest.mark.parametrize("what", list(SMACK))
def test_an_edit_of_the_label_the_controller_sets_is_refused(what: str, definition: str) -> None:
    refused(*SMACK[what], definition)


def refused(pattern: str, replacement: str, definition: str) -> None:
    """Edit small so, see that neither virsh nor virtsec starts it, and put it back."""
    edited, count = re.subn(pattern, replacement, definition, flags=re.DOTALL)
    assert count, "the edit changed nothing"
    virsh("define", "/dev/stdin", stdin=edited)
    try:
        done = virsh("start", "small", check=False)
        assert done.returncode != 0, "it started"
        sentence = done.stderr.partition("virtsec: ")[2]
        assert sentence.strip(), done.stderr
        assert "Traceback" not in done.stderr
        ours = virtsec("start", "small", check=False)
        # 2 where the metadata itself is no good.
        assert ours.returncode in (2, 3), ours.stderr
    finally:
        virsh("define", "/dev/stdin", stdin=definition)


def test_put_back_it_starts(definition: str, small: Small) -> None:
    virsh("define", "/dev/stdin", stdin=definition)
    small.start()
    assert small.confined()


def test_an_edit_that_weakens_nothing_is_accepted_and_kept(small: Small) -> None:
    small.stop()
    before = virsh("dumpxml", "--inactive", "small").stdout
    title = "<title>The small one</title>"
    edited = re.sub(r"(<metadata>)", rf"{title}\1", before)
    edited = edited.replace(
        "<metadata>", "<metadata><mine:note xmlns:mine='urn:mine'>kept</mine:note>"
    )
    virsh("define", "/dev/stdin", stdin=edited)
    small.start()
    assert small.confined()
    after = virsh("dumpxml", "small").stdout
    assert title in after
    assert "kept" in after
