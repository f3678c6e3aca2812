"""Terminals, shared memory, messages and sockets between processes."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable

from virtsec.attacks.probe import Aim, Group, NotApplicable, Position, Targets, Tried, tried
from virtsec.attacks.probes import calls

GROUP = Group("terminals and messages", "Nobody outside is spoken to or overheard.")


def _type(aim: Aim, targets: Targets) -> str:
    del targets
    terminal = os.open(f"/proc/self/fd/{aim.pty}", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    os.write(terminal, b"owned")
    return "wrote to it"


def _shm(aim: Aim, targets: Targets) -> str:
    del targets
    calls.call("shmat", aim.shm, ctypes.c_void_p(0), 0)
    return "has it in its memory"


def _abstract(aim: Aim, targets: Targets) -> str:
    del targets
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(b"\0" + aim.abstract.encode())
    return "connected to it"


def _socket(aim: Aim, targets: Targets) -> str:
    del targets
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(f"/proc/self/fd/{aim.tree}/socket")
    return "connected to it"


_TRIED: tuple[Tried, ...] = (
    ("pty", "write to a terminal of {who}", "article: ptys; pty(7)", Position.INSIDE, _type),
    ("socket", "connect to a socket of {who}", "unix(7)", Position.INSIDE, _socket),
    ("abstract", "connect to an abstract socket of {who}", "CVE-2020-15257", Position.ESCAPED,
     _abstract),
    ("shm", "attach shared memory of {who}", "shmat(2)", Position.ESCAPED, _shm),
)  # fmt: skip
for _at_host in (True, False):
    tried(GROUP, "", _TRIED, _at_host)


def _daemon(path: str, kind: int) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.settimeout(2)
            try:
                client.connect(f"/proc/self/fd/{targets.run}/{path}")
            except FileNotFoundError:
                raise NotApplicable("it does not run here") from None
        return "connected to it"

    return attack


for _identity, _path, _what, _kind in (
    ("dbus", "dbus/system_bus_socket", "the host's D-Bus", socket.SOCK_STREAM),
    ("libvirt", "libvirt/libvirt-sock", "libvirtd", socket.SOCK_STREAM),
    ("journal", "systemd/journal/stdout", "the host's journal", socket.SOCK_STREAM),
    ("systemd", "systemd/private", "the host's systemd", socket.SOCK_STREAM),
    ("udev", "udev/control", "the host's udev", socket.SOCK_SEQPACKET),
):
    GROUP.probe(f"daemon-{_identity}", f"connect to {_what}", "unix(7)")(_daemon(_path, _kind))
