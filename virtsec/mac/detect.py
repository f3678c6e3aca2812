"""Which security module is in force on this host."""

from __future__ import annotations

from virtsec.errors import HostNotReady
from virtsec.mac.protocol import MacModule
from virtsec.mac.selinux import kernel as selinux
from virtsec.mac.selinux.module import SELinux


def detect() -> MacModule:
    """The module in force; raises `HostNotReady` when it is none that virtsec knows."""
    if selinux.active():
        return SELinux()
    raise HostNotReady(
        "Neither SELinux nor Smack is in force on this host.",
        "Boot with 'security=selinux selinux=1' and a policy installed.",
    )
