"""Ports of containers at the host's own addresses: sockets of systemd's, and its own proxy.

systemd listens, and systemd-socket-proxyd(8) carries what comes to the container's static address.
No packet filter of somebody else's has to let anything through, and nobody can tell from outside
whether the container has an address that is routed. What asks from a container is not let in (see
`virtsec.mac.packets.traffic`): containers ask each other by links.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_REUSEADDR,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)

from virtsec.errors import BadInput
from virtsec.spec import ContainerSpec, Exposed
from virtsec.step import Host

_PREFIX = "virtsec-expose-"
_UNIT = re.compile(rf"{_PREFIX}(.+)-[0-9]+\.(?:socket|service)")
_SOCKET = """\
# Written by virtsec; `virtsec set {name} --unexpose {exposed.at}` takes it away.
[Unit]
Description=Port {exposed.port} of the container {name}, at port {exposed.at} of this host

[Socket]
ListenStream={exposed.at}
BindIPv6Only=both

[Install]
WantedBy=sockets.target
"""
_SERVICE = """\
# Written by virtsec; `virtsec set {name} --unexpose {exposed.at}` takes it away.
[Unit]
Description=Proxy to port {exposed.port} of the container {name}

[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd --exit-idle-time=5min {target}
SELinuxContext=system_u:system_r:virtsec_proxy_t:s0
DynamicUser=yes
CapabilityBoundingSet=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
"""


def units(spec: ContainerSpec) -> Mapping[str, str]:
    """The texts of the units that expose a container's ports, by name; pure."""
    return dict(_units(spec))


def _units(spec: ContainerSpec) -> Iterator[tuple[str, str]]:
    if not spec.exposed:
        return
    address = min(spec.network.addresses, key=lambda each: each.version).ip
    host = f"[{address}]" if address.version == 6 else str(address)
    for exposed in spec.exposed:
        stem = f"{_PREFIX}{spec.name}-{exposed.at}"
        words = {"name": spec.name, "exposed": exposed, "target": f"{host}:{exposed.port}"}
        yield f"{stem}.socket", _SOCKET.format(**words)
        yield f"{stem}.service", _SERVICE.format(**words)


def installed(name: str, host: Host) -> Mapping[str, str]:
    """The units of container `name` that this host has."""
    found = host.systemd.unit_files(_PREFIX)
    whose = {unit: _UNIT.fullmatch(unit) for unit in found}
    return {unit: found[unit] for unit, match in whose.items() if match and match[1] == name}


def names(host: Host) -> set[str]:
    """The containers that this host has units of."""
    return {each[1] for each in map(_UNIT.fullmatch, all_installed(host)) if each}


def all_installed(host: Host) -> Mapping[str, str]:
    """The units of all containers that this host has."""
    found = host.systemd.unit_files(_PREFIX)
    return {unit: text for unit, text in found.items() if _UNIT.fullmatch(unit)}


def _socket_of(unit: str) -> str:
    """The socket that goes with either unit of a port."""
    return f"{unit.rpartition('.')[0]}.socket"


def check_free(ports: Collection[Exposed]) -> None:
    """Raise `BadInput` for a port of the host that something listens on already."""
    for exposed in ports:
        with _unbound() as one:
            one.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            try:
                one.bind(("", exposed.at))
            except OSError as error:
                raise BadInput(
                    f"Port {exposed.at} of this host cannot be listened on: {error.strerror}.",
                    "Choose another one, or see `ss -ltnp`.",
                ) from None


def _unbound() -> socket:
    """A socket for what systemd listens on for a port: IPv6 and IPv4, or what there is of them."""
    try:
        one = socket(AF_INET6, SOCK_STREAM)
    except OSError:  # the kernel has no IPv6 (ipv6.disable=1)
        return socket(AF_INET, SOCK_STREAM)
    one.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
    return one


def is_exposed(name: str, spec: ContainerSpec | None, host: Host) -> bool:
    """Whether the host has the units of these ports and no others, and listens at them."""
    wanted = {} if spec is None else units(spec)
    sockets = (unit for unit in wanted if unit.endswith(".socket"))
    return installed(name, host) == wanted and all(map(host.systemd.active, sockets))


@dataclass(frozen=True, slots=True)
class Expose:
    """Have the ports that a container exposes at the host's addresses, and no others of it."""

    name: str
    before: ContainerSpec | None  #: None where it exposes nothing
    after: ContainerSpec | None

    def describe(self) -> str:
        """See `Step.describe`."""
        ports = ", ".join(map(str, self.after.exposed)) if self.after else ""
        return f"expose {ports or 'no port'} of {self.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        self._put(self.after, host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        self._put(self.before, host)

    def _put(self, spec: ContainerSpec | None, host: Host) -> None:
        wanted = {} if spec is None else units(spec)
        found = installed(self.name, host)
        gone = [unit for unit in found if unit not in wanted]
        new = {
            unit: text
            for unit, text in wanted.items()
            if found.get(unit) != text or not host.systemd.active(_socket_of(unit))
        }
        host.systemd.put_units(gone, new, host.mac.restore)


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take units away that are left of containers."""

    texts: Mapping[str, str]  #: by name

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"take away {', '.join(sorted(self.texts))}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.systemd.put_units([*self.texts], {}, host.mac.restore)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.systemd.put_units([], self.texts, host.mac.restore)
