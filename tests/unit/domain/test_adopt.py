"""A domain somebody else made, as the hook will have it, and nothing else of it changed."""

from __future__ import annotations

import pytest

from tests.unit.samples import seclabel, selinux_label
from virtsec.domain.adopt import adopted, called, described, ids_of
from virtsec.domain.document import parse
from virtsec.domain.metadata import CONTROLLER, Container, read
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput, Refused
from virtsec.spec import IdRange

#: As virt-install 5.0 and libvirt 11.3 have it.
THEIRS = """<domain type='lxc'>
  <name>web</name>
  <uuid>8c0d5e0e-0000-4000-8000-00000000000f</uuid>
  <title>Somebody's</title>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/13"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='KiB'>1048576</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <resource>
    <partition>/machine</partition>
  </resource>
  <os>
    <type arch='x86_64'>exe</type>
    <init>/sbin/init</init>
  </os>
  <features>
    <privnet/>
  </features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <emulator>/usr/lib/libvirt/libvirt_lxc</emulator>
    <filesystem type='mount' accessmode='passthrough'>
      <source dir='/srv/web'/>
      <target dir='/'/>
    </filesystem>
    <interface type='network'>
      <mac address='00:16:3e:00:00:01'/>
      <source network='default'/>
    </interface>
    <console type='pty'>
      <target type='lxc' port='0'/>
    </console>
  </devices>
</domain>
"""
LABEL = selinux_label("web")


def adopt(xml: str = THEIRS, *, remember: bool = True) -> tuple[Container, str]:
    return adopted(xml, LABEL, seclabel(LABEL), CONTROLLER, remember=remember)


def test_the_hook_takes_it_and_the_metadata_says_what_it_is() -> None:
    container, xml = adopt()
    assert not differences("web", xml)
    assert read(xml) == container
    assert container.before == THEIRS
    assert container.spec.privileged
    assert container.spec.limits.memory_mib == 1024
    assert container.spec.limits.vcpus == 2
    assert str(container.spec.rootfs) == "/srv/web"
    assert container.identity.label == LABEL


def test_what_is_not_ours_stays() -> None:
    domain = parse(adopt()[1], "it")
    assert domain.findtext("title") == "Somebody's"
    assert domain.findtext("uuid") == "8c0d5e0e-0000-4000-8000-00000000000f"
    assert [node.tag.partition("}")[2] for node in domain.iterfind("metadata/*")] == [
        "libosinfo", "container",
    ]  # fmt: skip
    mac = domain.find("devices/interface/mac")
    assert mac is not None
    assert mac.get("address") == "00:16:3e:00:00:01"


def test_one_with_ids_of_its_own_keeps_them() -> None:
    ids = "".join(f"<{kind} start='0' target='100000' count='65536'/>" for kind in ("uid", "gid"))
    container, xml = adopt(THEIRS.replace("<os>", f"<idmap>{ids}</idmap><os>"))
    assert container.identity.ids == IdRange(100000)
    assert not container.spec.privileged
    assert not differences("web", xml)


def test_made_from_a_file_there_is_nothing_to_go_back_to() -> None:
    assert adopt(remember=False)[0].before is None


def test_another_name_is_another_domain() -> None:
    domain = parse(called(THEIRS, "shop"), "it")
    assert domain.findtext("name") == "shop"
    assert domain.find("uuid") is None
    assert called(THEIRS, "web") == called(THEIRS, None) == THEIRS


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("<console", "<hostdev mode='capabilities' type='misc'/><console", "<hostdev> would hand"),
        ("type='network'>", "type='direct'>", "its interface has type direct|has type direct"),
        ("<target dir='/'/>", "<target dir='/proc'/>", "has no root of its own"),
        ("type='lxc'>", "type='kvm'>", "is of type kvm, not lxc"),
    ],
)
def test_what_no_container_may_have_is_refused(before: str, after: str, sentence: str) -> None:
    with pytest.raises((Refused, BadInput), match=sentence):
        adopt(THEIRS.replace(before, after, 1))


def test_ids_that_are_not_one_range_are_refused() -> None:
    odd = "<idmap><uid start='0' target='100000' count='65536'/></idmap><os>"
    with pytest.raises(BadInput, match="is not one range of ids"):
        ids_of(THEIRS.replace("<os>", odd))
    assert described(THEIRS).name == "web"
