"""Devices: nodes are not to be made, and those of the host not to be opened."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable

from virtsec.attacks.probe import Group, NotApplicable, Targets, permitted
from virtsec.attacks.probes import calls

GROUP = Group("devices", "A container has no device but what every container has.")

#: name, what it is; the nodes are the host's, in a directory that leaked, for everybody to open
_NODES = (
    ("disk", "the host's disk"),
    ("mem", "the machine's memory"),
    ("port", "the machine's ports"),
    ("kmsg", "the kernel's log"),
    ("fuse", "file systems of its own making"),
    ("loop-control", "loop devices"),
    ("tun", "network interfaces of its own making"),
    ("hwrng", "the machine's random numbers"),
    ("tty0", "the host's screen"),
)


def _node(name: str, targets: Targets) -> int:
    if name not in targets.nodes:
        raise NotApplicable("this host has no such device")
    return targets.nodes[name]


def _open(name: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        node = _node(name, targets)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        os.close(os.open(f"/proc/self/fd/{node}", flags))
        return "opened it"

    return attack


def _make(name: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        status = os.fstat(_node(name, targets))
        kind = stat.S_IFMT(status.st_mode)
        with tempfile.TemporaryDirectory(dir=calls.scratch()) as place:
            os.mknod(f"{place}/node", kind | 0o600, status.st_rdev)
        return "made it"

    return attack


for _name, _what in _NODES:
    GROUP.probe(f"open-{_name}", f"open {_what}", "cgroup-v2.rst, device controller")(_open(_name))
for _name, _what in _NODES[:3]:
    GROUP.probe(f"mknod-{_name}", f"make a device node of {_what}", "article: mknod")(_make(_name))


@GROUP.probe("mount-disk", "mount the host's disk", "mount(2)")
def _mount(targets: Targets) -> str:
    node = _node("disk", targets)
    with tempfile.TemporaryDirectory(dir=calls.scratch()) as place:
        for kind in ("ext4", "xfs", "btrfs"):
            mounted = False

            def attempt(kind: str = kind) -> None:
                nonlocal mounted
                calls.mount(f"/proc/self/fd/{node}", place, kind, 1)  # MS_RDONLY
                mounted = True

            try:
                permitted(attempt, errno.ENODEV, errno.EINVAL)  # a file system of another kind
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                return "it would be mounted, were it not mounted writable already"
            if mounted:
                calls.umount(place)
                return f"mounted it as {kind}"
    raise NotApplicable("it holds a file system of another kind")
