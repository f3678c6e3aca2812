"""Datagrams put together by hand: nothing of what they say of their sender has to be true."""

from __future__ import annotations

import socket
import struct

_UDP = 17
_ETHERTYPES = {socket.AF_INET: 0x0800, socket.AF_INET6: 0x86DD}


def send(interface: str, link: tuple[str, str], packet: bytes) -> None:
    """Put a packet on the wire, between two link-layer addresses. Raises `OSError`."""
    family = socket.AF_INET6 if packet[0] >> 4 == 6 else socket.AF_INET
    source, target = (bytes.fromhex(each.replace(":", "")) for each in link)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        wire.send(target + source + struct.pack("!H", _ETHERTYPES[family]) + packet)


def datagram(text: bytes, source: tuple[str, int], target: tuple[str, int]) -> bytes:
    """A packet of IPv4 or IPv6 with a datagram of UDP in it, from one address and port to another.

    See RFC 768, RFC 791 and RFC 8200.
    """
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    ends = b"".join(socket.inet_pton(family, address) for address, _ in (source, target))
    length = 8 + len(text)
    head = struct.pack("!HHH", source[1], target[1], length)
    if family == socket.AF_INET6:
        pseudo = ends + struct.pack("!II", length, _UDP)
        before = struct.pack("!IHBB", 6 << 28, length, _UDP, 64) + ends
    else:
        pseudo = ends + struct.pack("!BBH", 0, _UDP, length)
        before = _header(20 + length, ends, 0)
        before = _header(20 + length, ends, _checksum(before))
    whole = _checksum(pseudo + head + b"\0\0" + text) or 0xFFFF  # 0 would mean that there is none
    return before + head + struct.pack("!H", whole) + text


def _header(length: int, ends: bytes, checksum: int) -> bytes:
    return struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, 64, _UDP, checksum) + ends


def _checksum(data: bytes) -> int:
    """The Internet's (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
