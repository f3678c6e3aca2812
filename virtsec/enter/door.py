"""Opening the door of a running container."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import functools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from virtsec.enter.relay import Relay, Sink
from virtsec.errors import BadInput
from virtsec.kernel.signals import handled
from virtsec.runtime.order import MESSAGE, PACK, RUN, UNPACK, Order, socket_pair

#: Signals that end or stop what runs here; without a terminal they are meant for the command.
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

DOOR = "virtsec.runtime.door"
_MFD_EXEC = 0x0010  # linux/memfd.h
_ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@dataclass(frozen=True, slots=True)
class Target:
    """A running container, as the door needs to know it."""

    init: int  #: process id of its init
    started: int  #: when that started, in the kernel's ticks
    model: str  #: the security module
    label: str  #: of its processes


@dataclass(frozen=True, slots=True)
class Command:
    """What to run inside: `words` as they are given, empty for the user's login shell."""

    words: Sequence[str]
    user: str = "root"
    directory: str | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended; 128 + n when signal n killed it."""

    status: int
    output: bytes
    errors: bytes


def run(target: Target, command: Command, content: bytes = b"") -> Completed:
    """Run a command inside with `content` as its input. Raises `Failed` when it cannot be."""
    output, errors = bytearray(), bytearray()
    with opened(target, _order(target, command, None)) as door:
        status = Relay(door, (output.extend, errors.extend), content=content).run()
    return Completed(status, bytes(output), bytes(errors))


def pack(target: Target, path: str, user: str, sink: Sink) -> str:
    """Give `sink` a tar stream of `path` inside, made by `user`; why it could not be, else empty.

    Raises `Failed` when nobody enters.
    """
    command = Command((path,), user)
    return _copied(target, command, PACK, None, sink)


def unpack(target: Target, path: str, name: str, user: str, source: int) -> str:
    """Unpack the tar stream that descriptor `source` gives, all of it called `name`, inside.

    At or into `path`, as `user`. Returns why it could not be, else empty; raises `Failed` when
    nobody enters.
    """
    command = Command((path, name), user)
    return _copied(target, command, UNPACK, source, lambda _: None)


def _copied(target: Target, command: Command, task: str, source: int | None, sink: Sink) -> str:
    errors = bytearray()
    with opened(target, _order(target, command, None, task)) as door:
        status = Relay(door, (sink, errors.extend), source=source).run()
    said = errors.decode("utf-8", "replace").strip().removeprefix("virtsec: ")
    return (said or f"the copy ended with status {status}") if status else ""


def attach(target: Target, command: Command, *, terminal: bool) -> int:
    """Run a command inside on this process's own input and output; returns its exit status.

    With `terminal` it gets one inside that follows the size of ours. Raises `Failed` when it
    cannot be run.
    """
    with opened(target, _order(target, command, _size() if terminal else None)) as door:
        relay = Relay(door, (writer(1), writer(2)), source=0)
        with _as_terminal(relay) if terminal else _passing_signals(door):
            return relay.run()


def _order(
    target: Target, command: Command, size: tuple[int, int] | None, task: str = RUN
) -> bytes:
    order = Order(
        target.init,
        target.started,
        target.model,
        target.label,
        tuple(command.words),
        command.user,
        command.directory,
        dict(command.environment),
        size,
        task,
    )
    message = json.dumps({"order": dataclasses.asdict(order)}).encode()
    if len(message) > MESSAGE:
        raise BadInput(
            f"The command and its environment are longer than {MESSAGE} bytes.",
            "Give what is long as its input.",
        )
    return message


@functools.cache
def _sealed_interpreter() -> int:
    """A descriptor of a copy of this Python that nobody can change (memfd_create(2)).

    One copy serves this process for all it runs.

    A script inside that names /proc/self/exe as its interpreter has the kernel execute the program
    that runs it: here that is this copy, and never a file of the host's (CVE-2019-5736).
    """
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        descriptor = os.memfd_create("virtsec-door", flags | _MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # before Linux 6.3 all may be executed
            raise
        descriptor = os.memfd_create("virtsec-door", flags)
    with Path("/proc/self/exe").open("rb") as program:
        while os.sendfile(descriptor, program.fileno(), None, 1 << 24):
            pass
    os.fchmod(descriptor, 0o500)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ALL_SEALS)
    return descriptor


@contextlib.contextmanager
def opened(
    target: Target, order: bytes, program: str = DOOR, kept: Sequence[int] = ()
) -> Iterator[socket.socket]:
    """Our end of the socket of `program`, with the order given; it is gone afterwards.

    The descriptors in `kept` are open there by the same numbers; the door closes them.
    """
    ours, theirs = socket_pair(target.model, target.label)
    with ours:
        with theirs:
            python = _sealed_interpreter()
            door = subprocess.Popen(
                [sys.executable, "-I", "-m", program, str(theirs.fileno())],
                executable=f"/proc/self/fd/{python}",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), python, *kept],
                cwd="/",
                env={},
                # Ctrl-C at our terminal is for the command, which has another.
                start_new_session=True,
            )
        try:
            ours.send(order)
            yield ours
        finally:
            ours.close()  # whatever still runs inside is told by it
            door.wait()


@contextlib.contextmanager
def _passing_signals(door: socket.socket) -> Iterator[None]:
    """Have the command get the signals that we get."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            door.send(json.dumps({"signal": number}).encode())

    with handled(_PASSED_ON, pass_on):
        yield


@contextlib.contextmanager
def _as_terminal(relay: Relay) -> Iterator[None]:
    """Have our terminal pass on every key, and the one inside follow its size."""

    def resize(_number: int, _frame: FrameType | None) -> None:
        if relay.terminal is not None:
            size = struct.pack("HHHH", *_size(), 0, 0)
            fcntl.ioctl(relay.terminal, termios.TIOCSWINSZ, size)

    settings = termios.tcgetattr(0) if os.isatty(0) else None
    with handled([signal.SIGWINCH], resize):
        if settings is not None:
            tty.setraw(0)
        try:
            yield
        finally:
            if settings is not None:
                termios.tcsetattr(0, termios.TCSADRAIN, settings)


def _size() -> tuple[int, int]:
    """Rows and columns of our terminal."""
    columns, rows = os.get_terminal_size(1) if os.isatty(1) else (80, 24)
    return rows, columns


def writer(descriptor: int) -> Sink:
    """Write all to a descriptor, waiting for whoever reads it."""

    def write(data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    return write
