"""A stranger on a container's network: sends datagrams in whoever's name, to whom it likes.

Run as `python3 stranger.py send TEXT SOURCE-MAC TARGET-MAC SOURCE PORT TARGET PORT` in a network
namespace, with powers that no container has.
"""

import sys

from virtsec.attacks.probes import frames


def send(text: str, mac: str, to: str, source: str, port: str, target: str, at: str) -> None:
    """Put one such frame on the wire."""
    packet = frames.datagram(text.encode(), (source, int(port)), (target, int(at)))
    frames.send("eth0", (mac, to), packet)


if __name__ == "__main__":
    send(*sys.argv[2:])
