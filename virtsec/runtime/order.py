"""What the two sides of the door say to each other, and the socket they say it through.

Outside is virtsec's own process on the host, inside the door (`virtsec.runtime.door`). Messages to
it are an `Order`, then signals; from it come the other ends of the command's input and output, and
how it ended. All are JSON:

    {"order": …}  →                 ← {"streams": 3} with three descriptors, or 1: a terminal
    {"signal": 15}  →               ← {"exited": 0}, or {"failed": "a sentence"}
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

MESSAGE = 1 << 17  # bytes an order has at most; below what a socket takes at once
RUN, PACK, UNPACK = "run", "pack", "unpack"


class Failed(Exception):
    """Why nobody enters, in one sentence."""


@dataclass(frozen=True)
class Order:
    """What is wanted: run `command` beside process `init`, which was `started` then (proc(5)).

    With another task than RUN the command's words are the arguments of that function of
    `virtsec.runtime.parcel`, which copies files.
    """

    init: int
    started: int
    model: str  #: the security module
    label: str  #: init's, which it takes on
    command: tuple[str, ...]  #: empty: the user's own shell, as a login has it
    user: str  #: a name or number known inside, or `number:number`
    directory: str | None  #: None: the user's home
    environment: dict[str, str]  #: added to what a login has
    terminal: tuple[int, int] | None  #: rows and columns, where it is to have one
    task: str = RUN


def socket_pair(model: str, label: str) -> tuple[socket.socket, socket.socket]:
    """Both ends of what door and outside speak through; keeps messages apart.

    The command has taken on its label when it sends its streams through it. Under SELinux the
    socket is the container's own, as categories keep it from writing to any other.
    """
    if model != "selinux":
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    attribute = Path("/proc/thread-self/attr/sockcreate")
    attribute.write_text(label)
    try:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    finally:
        attribute.write_text("\n")  # from here on as before


def send(outside: socket.socket, message: dict[str, object], *descriptors: int) -> None:
    """Send a message out, with descriptors."""
    socket.send_fds(outside, [json.dumps(message).encode()], descriptors)
