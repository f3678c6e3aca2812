"""A stranger on a container's network: sends datagrams in whoever's name, to whom it likes.

Run as `python3 stranger.py send TEXT SOURCE-MAC TARGET-MAC SOURCE PORT TARGET PORT` in a network
namespace, with powers that no container has. The whole frame is made here: nothing of what it says
of its sender has to be true.
"""

import socket
import struct
import sys

INTERFACE = "eth0"
UDP = 17
ETHERTYPES = {socket.AF_INET: 0x0800, socket.AF_INET6: 0x86DD}


def checksum(data: bytes) -> int:
    """The Internet's (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(text: bytes, source: str, source_port: int, target: str, target_port: int) -> bytes:
    """A packet of IPv4 or IPv6 with a datagram of UDP in it."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    one, other = (socket.inet_pton(family, each) for each in (source, target))
    length = 8 + len(text)
    pseudo = one + other + (
        struct.pack("!II", length, UDP) if family == socket.AF_INET6
        else struct.pack("!BBH", 0, UDP, length)
    )  # fmt: skip
    head = struct.pack("!HHH", source_port, target_port, length)
    udp = head + struct.pack("!H", checksum(pseudo + head + b"\0\0" + text) or 0xFFFF) + text
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, length, UDP, 64) + one + other + udp
    fields = (0x45, 0, 20 + length, 0, 0, 64, UDP)
    head = struct.pack("!BBHHHBBH", *fields, 0) + one + other
    return struct.pack("!BBHHHBBH", *fields, checksum(head)) + one + other + udp


def send(text: str, mac: str, to: str, source: str, port: str, target: str, at: str) -> None:
    """Put one such frame on the wire."""
    packet = datagram(text.encode(), source, int(port), target, int(at))
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    macs = b"".join(bytes.fromhex(each.replace(":", "")) for each in (to, mac))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((INTERFACE, 0))
        wire.send(macs + struct.pack("!H", ETHERTYPES[family]) + packet)


if __name__ == "__main__":
    send(*sys.argv[2:])
