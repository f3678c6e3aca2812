"""What a command inside and this side say to each other arrives whole, and ends when it is over."""

from __future__ import annotations

import json
import os
import pty
import socket
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from virtsec.enter.relay import Relay
from virtsec.errors import Failed

Inside = Callable[[int, int, int], int]


@contextmanager
def command(inside: Inside) -> Iterator[socket.socket]:
    """The door: `inside` is called with the command's three streams, and returns its status."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def run() -> None:
        (own_in, far_in), (far_out, own_out), (far_err, own_err) = (os.pipe() for _ in range(3))
        socket.send_fds(theirs, [b'{"streams": 3}'], [far_in, far_out, far_err])
        for descriptor in (far_in, far_out, far_err):
            os.close(descriptor)
        status = inside(own_in, own_out, own_err)
        theirs.send(json.dumps({"exited": status}).encode())
        for descriptor in (own_in, own_out, own_err):
            os.close(descriptor)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join()
        theirs.close()


def read_all(descriptor: int) -> bytes:
    """What comes until the end."""
    found = b""
    while data := os.read(descriptor, 1 << 16):
        found += data
    return found


def write_all(descriptor: int, data: bytes) -> None:
    """Write, waiting for the reader."""
    while data:
        data = data[os.write(descriptor, data) :]


def relayed(
    inside: Inside, content: bytes = b"", source: int | None = None
) -> tuple[int, bytes, bytes]:
    """Status, output and errors of a command."""
    output, errors = bytearray(), bytearray()
    with command(inside) as door:
        relay = Relay(door, (output.extend, errors.extend), content=content, source=source)
        return relay.run(), bytes(output), bytes(errors)


def test_input_output_errors_and_status_each_have_their_way() -> None:
    def inside(given: int, output: int, errors: int) -> int:
        write_all(output, read_all(given).upper())
        write_all(errors, b"oh\n")
        return 7

    assert relayed(inside, b"words") == (7, b"WORDS", b"oh\n")


def test_more_than_a_pipe_holds_goes_both_ways() -> None:
    much = os.urandom(1 << 20)

    def inside(given: int, output: int, errors: int) -> int:
        del errors
        while data := os.read(given, 1000):
            write_all(output, data)
        return 0

    assert relayed(inside, much) == (0, much, b"")


def test_input_comes_from_a_file_too(tmp_path: Path) -> None:
    """epoll(7) takes no regular files; a shell's redirection gives one."""
    path = tmp_path / "input"
    path.write_bytes(b"x" * 200_000)

    def inside(given: int, output: int, errors: int) -> int:
        del errors
        write_all(output, str(len(read_all(given))).encode())
        return 0

    with path.open("rb") as file:
        assert relayed(inside, source=file.fileno()) == (0, b"200000", b"")


def test_a_command_that_does_not_read_is_not_waited_for() -> None:
    def inside(given: int, output: int, errors: int) -> int:
        del given, errors
        write_all(output, b"done")
        return 0

    assert relayed(inside, os.urandom(1 << 20)) == (0, b"done", b"")


def test_what_it_left_running_does_not_hold_us_up() -> None:
    held: list[int] = []

    def inside(given: int, output: int, errors: int) -> int:
        del given, errors
        held.append(os.dup(output))
        write_all(output, b"started")
        return 0

    assert relayed(inside) == (0, b"started", b"")
    os.close(held[0])


def test_a_terminal_is_one_stream_for_all_and_reads_the_end_of_its_input() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    master, slave = pty.openpty()
    socket.send_fds(theirs, [b'{"streams": 1}'], [master])
    os.close(master)
    output = bytearray()

    def inside() -> None:
        assert os.read(slave, 100) == b"line\n"
        assert os.read(slave, 100) == b""
        os.write(slave, b"bye\n")
        theirs.send(b'{"exited": 0}')

    thread = threading.Thread(target=inside)
    thread.start()
    assert Relay(ours, (output.extend, output.extend), content=b"line\n").run() == 0
    thread.join()
    assert output.replace(b"\r\n", b"\n").endswith(b"bye\n")
    os.close(slave)
    ours.close()
    theirs.close()


def test_the_end_of_its_input_is_read_by_who_threw_away_what_came_before() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    master, slave = pty.openpty()
    socket.send_fds(theirs, [b'{"streams": 1}'], [master])
    os.close(master)

    def inside() -> None:
        assert os.read(slave, 100) == b""
        # As a shell does that makes the terminal its own.
        termios.tcflush(slave, termios.TCIFLUSH)
        assert os.read(slave, 100) == b""
        theirs.send(b'{"exited": 3}')

    thread = threading.Thread(target=inside)
    thread.start()
    assert Relay(ours, (lambda _: None, lambda _: None)).run() == 3
    thread.join()
    os.close(slave)
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    ("message", "sentence"),
    [(b'{"failed": "it has no user x"}', "it has no user x"), (b"", "The container ended")],
)
def test_why_it_was_not_run_is_one_sentence(message: bytes, sentence: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if message:
        theirs.send(message)
    theirs.close()
    with pytest.raises(Failed, match=sentence), ours:
        Relay(ours, (print, print)).run()
