"""The host commands work on."""

from __future__ import annotations

from virtsec.host import checks
from virtsec.host.places import Places
from virtsec.step import Host, Progress, Silent

NOT_SET_UP = checks.NOT_SET_UP


def open_host(progress: Progress | None = None, uri: str = "lxc:///") -> Host:
    """Connect to libvirt and find the security module in force.

    Every function that takes a `Host` does so itself where it is given none. Raises `HostNotReady`
    when libvirt cannot be reached or no security module runs.
    """
    from virtsec.domain.connection import Libvirt  # noqa: PLC0415  (slow imports only when needed)
    from virtsec.mac.detect import detect  # noqa: PLC0415

    return Host(libvirt=Libvirt.connect(uri), mac=detect(), progress=progress or Silent())


def installed() -> bool:
    """Whether `virtsec setup` was run. Needs no root."""
    return checks.installed(Places())


def check_ready(host: Host | None = None) -> None:
    """Raise `HostNotReady` with what `virtsec setup` would still have to do, if anything."""
    checks.check_ready(host or open_host())


def domain_names(*, active: bool | None = None) -> list[str]:
    """Every domain of libvirt's LXC driver, or those that run, or do not. Quick.

    Raises `HostNotReady` when libvirt cannot be reached.
    """
    from virtsec.domain.connection import Libvirt  # noqa: PLC0415  (slow imports only when needed)

    records = Libvirt.connect().domains(xml=False)
    return [each.name for each in records if active is None or each.active == active]


def network_names() -> list[str]:
    """libvirt's networks. Raises as `domain_names` does."""
    from virtsec.domain.connection import Libvirt  # noqa: PLC0415  (slow imports only when needed)

    return sorted(Libvirt.connect().networks())
