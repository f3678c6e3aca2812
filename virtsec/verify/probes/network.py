"""The network: other containers, and what the host keeps to itself."""

from __future__ import annotations

import socket
from collections.abc import Callable

from virtsec.verify.probe import Group, NotApplicable, Targets

GROUP = Group("network", "Containers do not talk to each other.")

_PATIENCE = 2.0  # seconds; a refused packet is not answered


def _of(family: int, places: tuple[tuple[str, int], ...]) -> tuple[str, int]:
    """The one to try of this family."""
    for address, port in places:
        if (":" in address) == (family == socket.AF_INET6):
            return address, port
    raise NotApplicable("the other container has no such address")


def _connected(family: int) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        if targets.neighbour is None:
            raise NotApplicable("no other container was named by --against")
        place = _of(family, targets.neighbour.tcp)
        with socket.socket(family) as client:
            client.settimeout(_PATIENCE)
            client.connect(place)
        return f"connected to {place[0]}, port {place[1]}"

    return attack


def _sent(family: int) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        if targets.neighbour is None:
            raise NotApplicable("no other container was named by --against")
        place = _of(family, targets.neighbour.udp)
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(_PATIENCE)
            client.connect(place)
            client.send(b"owned")
            client.recv(16)  # what listens there answers
        return "got an answer"

    return attack


for _version, _family in (("4", socket.AF_INET), ("6", socket.AF_INET6)):
    GROUP.probe(
        f"tcp{_version}-other", f"connect to another container over IPv{_version}", "tcp(7)"
    )(_connected(_family))
    GROUP.probe(f"udp{_version}-other", f"send to another container over IPv{_version}", "udp(7)")(
        _sent(_family)
    )


@GROUP.probe("loopback", "reach what listens on the host's loopback only", "ip(7); CVE-2020-8558")
def _loopback(targets: Targets) -> str:
    if not targets.host.tcp:
        raise NotApplicable("nothing listens there")
    with socket.socket() as client:
        client.settimeout(_PATIENCE)
        client.connect(targets.host.tcp[0])
    return "connected to it"
