"""The host commands work on."""

from __future__ import annotations

from virtsec.step import Host, Progress, Silent


def open_host(progress: Progress | None = None, uri: str = "lxc:///") -> Host:
    """Connect to libvirt and find the security module in force.

    Raises `HostNotReady` when libvirt cannot be reached or no security module runs.
    """
    from virtsec.domain.connection import Libvirt  # noqa: PLC0415  (slow imports only when needed)
    from virtsec.mac.detect import detect  # noqa: PLC0415

    return Host(libvirt=Libvirt.connect(uri), mac=detect(), progress=progress or Silent())
