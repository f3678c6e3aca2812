"""What users write, as parts of a spec. Raises `BadInput`; touches nothing."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)
from pathlib import PurePosixPath
from typing import TypeVar

from virtsec.errors import BadInput
from virtsec.names import check_name, check_port
from virtsec.numbers import number
from virtsec.spec import (
    ApartBy,
    Egress,
    Exposed,
    InitPolicy,
    Link,
    Mount,
    Network,
    NetworkKind,
    Transport,
)

Word = TypeVar("Word", bound=StrEnum)

_SIZE = re.compile(r"([0-9]+)(?:([kmgt])(?:i?b)?)?", re.IGNORECASE)
_PARTS = re.compile(r"(?:^|:)((?:\\[\\:]|[^:])*)")  # between colons
_ESCAPED = re.compile(r"\\([\\:])")
_KIB = {"k": 1, "m": 2**10, "g": 2**20, "t": 2**30}


def memory(text: str) -> int:
    """MiB in `512M`, `1G`, `2GiB` or, as libvirt's users write it too, `512`."""
    found = _SIZE.fullmatch(text.strip())
    size = (number(found[1]) or 0) * _KIB[(found[2] or "m").lower()] if found else 0
    if not size or size % _KIB["m"]:
        raise BadInput(
            f"{text!r} is not an amount of memory.", "Write whole MiB or GiB, such as 512M or 1G."
        )
    return size // _KIB["m"]


def swap(text: str) -> int:
    """MiB as `memory` has them, or none at all."""
    return 0 if text.strip() == "0" else memory(text)


def mount(text: str) -> Mount:
    """`SRC:DST`, with `:ro` for one that cannot be written through and `:idmap` for the host's ids.

    Both are told apart by a comma. In a path a colon is written `\\:`, and a backslash before
    either `\\\\`.
    """
    *ends, last = (_ESCAPED.sub(r"\1", part) for part in _PARTS.findall(text))
    words = set(last.split(",")) if len(ends) == 2 else set()
    named = bool(words) and words <= {"ro", "rw", "idmap"}
    parts = ends if named else [*ends, last]
    if len(parts) != 2 or not all(part.startswith("/") for part in parts) or words >= {"ro", "rw"}:
        raise BadInput(
            f"{text!r} is not a mount.",
            "Write SRC:DST, SRC:DST:ro or SRC:DST:idmap with absolute paths, such as "
            "/srv/web:/var/www:ro, and `\\:` for a colon in one.",
        )
    source, target = map(PurePosixPath, parts)
    return Mount(source, target, read_only="ro" in words, idmap="idmap" in words)


def address(text: str) -> IPv4Interface | IPv6Interface:
    """An address with its prefix, such as `192.168.122.10/24`."""
    try:
        if "/" not in text:
            raise ValueError
        return ip_interface(text)
    except ValueError:
        raise BadInput(
            f"{text!r} is not an address with a prefix.",
            "Write it such as 192.168.122.10/24 or fd00::10/64.",
        ) from None


def gateway(text: str) -> IPv4Address | IPv6Address:
    """The address of a router."""
    try:
        return ip_address(text)
    except ValueError:
        raise BadInput(
            f"{text!r} is not an address.", "Write the router's address, such as 192.168.122.1."
        ) from None


def _one_of(words: type[Word], text: str, what: str, remedy: str) -> Word:
    """The word of an enumeration that `text` is; `what` it is otherwise."""
    try:
        return words(text)
    except ValueError:
        raise BadInput(f"{text!r} is {what}.", remedy) from None


def apart_by(text: str) -> ApartBy:
    """`type` or `category`."""
    remedy = "Use 'type' (the default) or 'category', the same types for many containers."
    return _one_of(ApartBy, text, "no confinement", remedy)


def egress(text: str) -> Egress:
    """`none`, `lan` or `all`."""
    remedy = "Choose 'none', 'lan' (local addresses) or 'all'."
    return _one_of(Egress, text, "no egress", remedy)


def exposed(text: str) -> Exposed:
    """A port of the host and one of the container: `8080:80`."""
    at, colon, port = text.partition(":")
    if not colon:
        raise BadInput(
            f"{text!r} does not say which port is to be which.",
            "Write the host's port and the container's, such as 8080:80.",
        )
    return Exposed(check_port(at), check_port(port))


def init_policy(text: str) -> InitPolicy:
    """`own` or `pristine`."""
    return _one_of(InitPolicy, text, "not an init policy", "Choose 'own' or 'pristine'.")


def network(
    network: str | None,
    bridge: str | None,
    no_network: bool,
    addresses: Sequence[str],
    router: str | None,
) -> Network:
    """The interface that `--network`, `--bridge`, `--no-network` and their company ask for."""
    if sum((network is not None, bridge is not None, no_network)) > 1:
        raise BadInput(
            "A container has one interface or none.",
            "Give one of --network, --bridge and --no-network.",
        )
    if no_network:
        if addresses or router:
            raise BadInput(
                "Without a network there is nothing to give an address to.",
                "Leave out --address and --gateway, or --no-network.",
            )
        return Network(NetworkKind.NONE, "")
    return Network(
        NetworkKind.NETWORK if bridge is None else NetworkKind.BRIDGE,
        bridge or network or "default",
        tuple(address(text) for text in addresses),
        None if router is None else gateway(router),
    )


def inside(text: str) -> tuple[str, str] | None:
    """Container and path of `NAME:PATH`; None for a path of the host."""
    name, colon, path = text.partition(":")
    if not colon or "/" in name or not path:
        return None
    return check_name(name), path


def moment(text: str, now: datetime.datetime | None = None) -> datetime.datetime:
    """A time of this host's clock: date and time, a date, or a time of today."""
    try:
        if ":" in text and "-" not in text:
            today = (now or datetime.datetime.now()).date()
            return datetime.datetime.combine(today, datetime.time.fromisoformat(text)).astimezone()
        return datetime.datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise BadInput(f"{text!r} is not a time.", "Say 2026-11-26 12:30, or 12:30.") from None


def link(to: str, text: str) -> Link:
    """A port of container `to`: `5432/tcp`, `53/udp`, or `5432` for TCP."""
    number, slash, protocol = text.partition("/")
    if slash and protocol not in list(Transport):
        raise BadInput(
            f"{text!r} is not a port that can be linked.", "Write it such as 5432/tcp or 53/udp."
        )
    return Link(check_name(to), check_port(number), Transport(protocol or "tcp"))
