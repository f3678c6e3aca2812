"""What a container may take of the host, in libvirt's words and in those of systemd.

libvirt limits memory and processors. Its word for swap is not borne out by cgroup version 2, for
processes it has none, for block devices one that needs a scheduler few hosts have, and shares of
processors it asks of systemd, which Debian's policy for SELinux refuses it. These are properties of
the container's slice, the root of its cgroup tree: systemd keeps them from boot to boot
(systemd.resource-control(5)).

What libvirt limits is a group that it gives to root inside, who may raise all limits there. So the
slice has every limit, those that libvirt has a word for as well: with cgroup2 mounted as systemd
does, with nsdelegate, nobody inside can write what the top of its tree has (cgroup-v2.rst).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from lxml import etree

from virtsec.runtime.view import group_of
from virtsec.spec import Limits

#: Microseconds in which each vcpu may be busy for as many (libvirt's own default).
PERIOD = 100_000
_MIB = 2**20


def fill(domain: etree._Element, limits: Limits) -> None:
    """Have a definition say what libvirt has a word for; other limits in it stay."""
    _set(domain, "memory", str(limits.memory_mib)).set("unit", "MiB")
    current = domain.find("currentMemory")
    if current is not None:
        domain.remove(current)
    _set(domain, "vcpu", str(limits.vcpus))
    tune = _set(domain, "cputune", None)
    _set(tune, "period", str(PERIOD))
    _set(tune, "quota", str(limits.vcpus * PERIOD))


def properties(limits: Limits) -> Mapping[str, str]:
    """What the container's slice is to have, as `Systemd` shows it: memory in bytes."""
    return {
        "MemoryMax": str(limits.memory_mib * _MIB),
        "CPUQuota": f"{limits.vcpus * 100}%",
        "TasksMax": str(limits.pids),
        "MemorySwapMax": str(limits.swap_mib * _MIB),
        "CPUWeight": "" if limits.cpu_shares is None else str(limits.cpu_shares),
        "IOWeight": "" if limits.io_weight is None else str(limits.io_weight),
    }


def slice_of(name: str) -> str:
    """The unit of systemd's that limits container `name`."""
    return PurePosixPath(group_of(name)).name


def _set(parent: etree._Element, tag: str, text: str | None) -> etree._Element:
    found = parent.find(tag)
    node = etree.SubElement(parent, tag) if found is None else found
    if text is not None:
        node.text = text
    return node
