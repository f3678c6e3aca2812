"""The half of the edge to libvirt that is about networks."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any, Self

from virtsec.domain import faults
from virtsec.domain.records import NetworkState
from virtsec.errors import VirtsecError


class Networks:
    """libvirt's networks. Raises as `virtsec.domain.connection.Libvirt` does."""

    def __init__(self, library: Any, connect: Callable[[], Any]) -> None:
        """Connect by `connect`, and again where libvirt's daemon was started anew meanwhile."""
        self._error = library.libvirtError
        self._connect = connect
        self._latest: Any | None = connect()

    def anew(self) -> Self:
        """The same by a connection of its own, for a forked process: two of them cannot use one."""
        other = copy(self)
        other._latest = None
        return other

    @property
    def _connection(self) -> Any:
        """A connection that is open: what undoes a step has to reach libvirt after it was gone."""
        # libvirt's client knows whether it is, once a call has failed.
        if self._latest is None or not self._latest.isAlive():
            self._latest = self._connect()
        return self._latest

    def networks(self) -> dict[str, NetworkState]:
        """Every network by name; none where the host has no network driver."""
        try:
            handles = self._connection.listAllNetworks(0)
        except self._error as error:
            if error.get_error_code() == faults.NO_SUPPORT:
                return {}
            raise self._told(error, "list networks") from None
        states = (self._call("read a network", _network_state, handle) for handle in handles)
        return {state.name: state for state in states}

    def leases(self) -> dict[str, tuple[str, ...]]:
        """Addresses leased now by libvirt's DHCP servers, by MAC address in lower case.

        One round trip for each active network, whatever the number of domains.
        """
        found: dict[str, tuple[str, ...]] = {}
        for network in self.networks().values():
            if network.active:
                handle = self._network(network.name)
                for lease in self._call("read DHCP leases", handle.DHCPLeases):
                    mac = (lease.get("mac") or "").lower()
                    found[mac] = (*found.get(mac, ()), lease["ipaddr"])
        return found

    def network_xml(self, name: str) -> str:
        """The definition of network `name`."""
        network = self._network(name)
        text: str = self._call(f"read network {name}", network.XMLDesc, _NETWORK_XML_INACTIVE)
        return text

    def define_network(self, xml: str) -> None:
        """Make a persistent network of `xml`."""
        self._call("define the network", self._connection.networkDefineXML, xml)

    def undefine_network(self, name: str) -> None:
        """Forget the definition of network `name`."""
        self._call(f"undefine network {name}", self._network(name).undefine)

    def start_network(self, name: str) -> None:
        """Start network `name`."""
        self._call(f"start network {name}", self._network(name).create)

    def stop_network(self, name: str) -> None:
        """Stop network `name`; containers on it lose their connection."""
        self._call(f"stop network {name}", self._network(name).destroy)

    def set_network_autostart(self, name: str, on: bool) -> None:
        """Whether network `name` starts with the host."""
        self._call(f"set autostart of network {name}", self._network(name).setAutostart, int(on))

    def _network(self, name: str) -> Any:
        return self._call(f"look up network {name}", self._connection.networkLookupByName, name)

    def _call(self, doing: str, function: Callable[..., Any], *args: object) -> Any:
        try:
            return function(*args)
        except self._error as error:
            raise self._told(error, doing) from None

    def _told(self, error: Any, doing: str) -> VirtsecError:
        """The error of ours for libvirt's `error` when `doing` failed."""
        message = error.get_error_message() or str(error)
        return faults.translate(error.get_error_code(), message, doing)


_NETWORK_XML_INACTIVE = 1  # VIR_NETWORK_XML_INACTIVE


def _network_state(handle: Any) -> NetworkState:
    active = bool(handle.isActive())
    bridge, addresses = read_network(handle.XMLDesc(0))
    return NetworkState(
        name=handle.name(),
        active=active,
        autostart=bool(handle.autostart()),
        bridge=bridge,
        addresses=addresses,
    )


def read_network(xml: str) -> tuple[str | None, tuple[IPv4Interface | IPv6Interface, ...]]:
    """The bridge of a network's XML, None for another kind of switch, and the host's addresses."""
    from virtsec.domain.document import parse  # noqa: PLC0415  (lxml only where needed)

    root = parse(xml, "a network's definition")
    bridge = root.find("bridge")
    addresses = []
    for node in root.iterfind("ip"):
        size = node.get("prefix") or node.get("netmask")
        if node.get("address") and size:
            addresses.append(ip_interface(f"{node.get('address')}/{size}"))
    if bridge is None or root.find("virtualport") is not None:
        return None, tuple(addresses)
    return bridge.get("name"), tuple(addresses)
