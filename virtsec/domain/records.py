"""What libvirt says of its domains and networks, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface


class DomainState(StrEnum):
    """State of a domain, in virsh's words."""

    RUNNING = "running"
    SHUTOFF = "shut off"
    PAUSED = "paused"
    CRASHED = "crashed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """One domain. `xml` is its definition, as its next start takes it."""

    name: str
    uuid: str
    state: DomainState
    xml: str
    live_xml: str | None  #: what it runs with now; None when it does not run
    persistent: bool
    autostart: bool
    pid: int | None  #: of its controller (libvirt's domain id), when it runs

    @property
    def active(self) -> bool:
        """Whether it runs, paused or not."""
        return self.pid is not None


@dataclass(frozen=True, slots=True)
class NetworkState:
    """One of libvirt's networks."""

    name: str
    active: bool
    autostart: bool
    bridge: str | None = None
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()  #: the host's own on that network
