"""The network: other containers, and what the host keeps to itself."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable

from virtsec.attacks.probe import Group, NotApplicable, Targets
from virtsec.attacks.probes import calls, frames

GROUP = Group("network", "Containers do not talk to each other.")

_PATIENCE = 1.5  # seconds; a refused packet is not answered
#: Addresses that are nobody's: of a link (made locally, RFC 7042), and what packets are said to be
#: from; a router's, as a rule.
_MADE_UP, _EVERYBODY = "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"
_ROUTER6 = "fe80::1"
_ON_ITS_WAY = 0.3  # seconds


def _reached(family: int, kind: int, places: tuple[tuple[str, int], ...]) -> socket.socket:
    """A socket connected to one of the places of this family."""
    of_family = _of_family(family, places)
    refused = OSError(errno.ENETUNREACH, "no way leads there")
    for address, port in of_family:
        for route in _routes(address):
            client = socket.socket(family, kind)
            client.settimeout(_PATIENCE)
            try:
                client.connect(calls.place_of(route, port))
                if kind == socket.SOCK_DGRAM:
                    client.send(b"owned")
                    client.recv(16)  # what listens there answers
            except OSError as error:
                client.close()
                refused = error
            else:
                return client
    raise refused


def _of_family(family: int, places: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    found = [each for each in places if (":" in each[0]) == (family == socket.AF_INET6)]
    if not found:
        raise NotApplicable("the other container has no such address")
    return found


def _routes(address: str) -> list[str]:
    """The address itself; one of a link over each of this namespace's interfaces."""
    plain, _, scope = address.partition("%")
    if not scope:
        return [address]
    return [f"{plain}%{name}" for _, name in socket.if_nameindex() if name != "lo"]


def _tried(family: int, kind: int) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        if targets.neighbour is None:
            raise NotApplicable("no other container was named by --against")
        places = targets.neighbour.tcp if kind == socket.SOCK_STREAM else targets.neighbour.udp
        with _reached(family, kind, places):
            return "connected to it" if kind == socket.SOCK_STREAM else "got an answer"

    return attack


for _version, _family in (("4", socket.AF_INET), ("6", socket.AF_INET6)):
    GROUP.probe(
        f"tcp{_version}-other", f"connect to another container over IPv{_version}", "tcp(7)"
    )(_tried(_family, socket.SOCK_STREAM))
    GROUP.probe(f"udp{_version}-other", f"send to another container over IPv{_version}", "udp(7)")(
        _tried(_family, socket.SOCK_DGRAM)
    )


def _pretended(family: int) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        if targets.neighbour is None:
            raise NotApplicable("no other container was named by --against")
        sent, refused = 0, OSError(errno.ENETUNREACH, "no way leads there")
        for scoped, port in _of_family(family, targets.neighbour.silent):
            address = scoped.partition("%")[0]
            packet = frames.datagram(b"owned", (_router_near(address), 53), (address, port))
            for _, interface in socket.if_nameindex():
                if interface == "lo":
                    continue
                try:
                    frames.send(interface, (_MADE_UP, _EVERYBODY), packet)
                    sent += 1
                except OSError as error:
                    refused = error
        if not sent:
            raise refused
        time.sleep(_ON_ITS_WAY)
        raise TimeoutError  # it is the other side that sees whether it came

    return attack


def _router_near(address: str) -> str:
    """What a router in the network of `address` could be called."""
    if ":" in address:
        return _ROUTER6
    network, _, last = address.rpartition(".")
    return f"{network}.{2 if last == '1' else 1}"


for _version, _family in (("4", socket.AF_INET), ("6", socket.AF_INET6)):
    GROUP.probe(
        f"spoofed{_version}-other",
        f"send to another container over IPv{_version} in a router's name, by a frame made by hand",
        "packet(7)",
    )(_pretended(_family))


@GROUP.probe("loopback", "reach what listens on the host's loopback only", "ip(7); CVE-2020-8558")
def _loopback(targets: Targets) -> str:
    if not targets.host.tcp:
        raise NotApplicable("nothing listens there")
    with socket.socket() as client:
        client.settimeout(_PATIENCE)
        client.connect(targets.host.tcp[0])
    return "connected to it"
