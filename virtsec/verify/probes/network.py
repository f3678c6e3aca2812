"""The network: other containers, and what the host keeps to itself."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from virtsec.verify.probe import Group, NotApplicable, Targets
from virtsec.verify.probes import calls

GROUP = Group("network", "Containers do not talk to each other.")

_PATIENCE = 1.5  # seconds; a refused packet is not answered


def _reached(family: int, kind: int, places: tuple[tuple[str, int], ...]) -> socket.socket:
    """A socket connected to one of the places of this family."""
    of_family = [each for each in places if (":" in each[0]) == (family == socket.AF_INET6)]
    if not of_family:
        raise NotApplicable("the other container has no such address")
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


@GROUP.probe("loopback", "reach what listens on the host's loopback only", "ip(7); CVE-2020-8558")
def _loopback(targets: Targets) -> str:
    if not targets.host.tcp:
        raise NotApplicable("nothing listens there")
    with socket.socket() as client:
        client.settimeout(_PATIENCE)
        client.connect(targets.host.tcp[0])
    return "connected to it"
