"""Which security module is in force on this host."""

from __future__ import annotations

from pathlib import Path

from virtsec.errors import HostNotReady
from virtsec.mac.protocol import MacModule
from virtsec.mac.selinux import kernel as selinux
from virtsec.mac.smack.kernel import Smackfs

#: The modules that run, by name and in order; of those compiled in only they count.
LIST = Path("/sys/kernel/security/lsm")


def detect(listed: Path = LIST) -> MacModule:
    """The module in force; raises `HostNotReady` when it is none that virtsec knows."""
    try:
        running = listed.read_text().strip().split(",")
    except OSError:  # securityfs is not mounted: what each module mounts itself tells as much
        running = ["selinux", "smack"]
    # Each is a good part of all that a command loads: only the one in force is.
    if "selinux" in running and selinux.active():
        from virtsec.mac.selinux.module import SELinux  # noqa: PLC0415

        return SELinux()
    if "smack" in running and Smackfs().there():
        from virtsec.mac.smack.module import Smack  # noqa: PLC0415

        return Smack()
    raise HostNotReady(
        "Neither SELinux nor Smack is in force on this host.",
        "Boot with 'security=selinux selinux=1' and a policy installed, or with 'security=smack'.",
    )
