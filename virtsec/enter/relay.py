"""Passing on what is read and written between this side and a command inside.

Both ends are pipes, or one terminal, that the command's own process made inside: what comes from
there is bytes to be passed on and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
from collections.abc import Callable, Sequence

from virtsec.errors import Failed

Sink = Callable[[bytes], None]

_CHUNK = 65536
_END_OF_INPUT = b"\x04"  # what a terminal takes for it (termios(3), VEOF)
#: Seconds until it is said once more: who sets a terminal up may throw away what came before.
_AGAIN = 1.0


class Relay:
    """One command's streams, from the door's first message to its last."""

    def __init__(
        self,
        door: socket.socket,
        sinks: Sequence[Sink],
        *,
        content: bytes = b"",
        source: int | None = None,
    ) -> None:
        """The command reads `content`, then what descriptor `source` gives; `sinks` take its output
        and its errors, which a terminal does not keep apart.
        """
        self._door = door
        self._source = source
        self._sinks = sinks
        self._selector = selectors.PollSelector()  # epoll knows no regular files
        self._selector.register(door, selectors.EVENT_READ, lambda _: self._told())
        self._input: int | None = None
        self._terminal: int | None = None
        self._pending = content
        self._outputs: dict[int, Sink] = {}
        self._status: int | None = None
        self._ended = False

    @property
    def terminal(self) -> int | None:
        """Our side of the command's terminal, once it has one."""
        return self._terminal

    def run(self) -> int:
        """Pass on until the command is over; returns its exit status. Raises `Failed`."""
        try:
            while self._status is None:
                over = self._ended and self._terminal is not None
                ready = self._selector.select(_AGAIN if over else None)
                for key, events in ready:
                    key.data(events)
                if over and not ready:
                    self._say_end()
            self._drain()
            return self._status
        finally:
            for descriptor in {*self._outputs, self._input, self._terminal} - {None}:
                assert descriptor is not None
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            self._selector.close()

    def _told(self) -> None:
        """Something comes from the door: the streams' other ends, or the end."""
        try:
            content, descriptors, _, _ = socket.recv_fds(self._door, 1 << 16, 3)
        except ConnectionResetError:
            content, descriptors = b"", []
        if not content:
            raise Failed(
                "The container ended while the command ran.",
                "Start it again, and see `virtsec logs`.",
            )
        said = json.loads(content)
        if "failed" in said:
            raise Failed(f"The command was not run: {said['failed']}.")
        if "exited" in said:
            self._status = int(said["exited"])
            return
        for descriptor in descriptors:
            os.set_blocking(descriptor, False)
        if len(descriptors) == 1:
            self._terminal = self._input = descriptors[0]
            self._outputs = {descriptors[0]: self._sinks[0]}
        else:
            self._input, output, errors = descriptors
            self._outputs = {output: self._sinks[0], errors: self._sinks[1]}
        for descriptor in self._outputs:
            self._selector.register(descriptor, selectors.EVENT_READ, self._handler(descriptor))
        self._write()

    def _handler(self, descriptor: int) -> Callable[[int], None]:
        """What to do when an output, which a terminal's input is too, is ready for something."""

        def ready(events: int) -> None:
            if events & selectors.EVENT_WRITE:
                self._write()
            if events & selectors.EVENT_READ:
                self._pass_on(descriptor)

        return ready

    def _pass_on(self, descriptor: int) -> bool:
        """Pass on what there is of one output; False once there is no more now, or ever."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # a terminal's way to say that nobody has its other side
            data = b""
        if data:
            self._outputs[descriptor](data)
            return True
        self._selector.unregister(descriptor)
        del self._outputs[descriptor]
        if descriptor == self._input:
            self._stop_reading()
            self._input = None
        os.close(descriptor)
        self._terminal = None if descriptor == self._terminal else self._terminal
        return False

    def _read_source(self) -> None:
        assert self._source is not None
        self._pending = os.read(self._source, _CHUNK)
        self._stop_reading()
        if not self._pending:
            self._source = None
        self._write()

    def _write(self) -> None:
        """Give the command what it takes of its input; the rest waits until it takes more."""
        if self._input is None:
            return
        try:
            self._pending = self._pending[os.write(self._input, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:  # it reads no more
            self._pending, self._source = b"", None
        self._watch_input(bool(self._pending))
        if self._pending:
            return
        if self._source is not None:
            self._selector.register(
                self._source, selectors.EVENT_READ, lambda _: self._read_source()
            )
        elif not self._ended:
            self._end_input()

    def _watch_input(self, wanted: bool) -> None:
        """Hear of it when the command takes input; a terminal is read from all the while."""
        assert self._input is not None
        if self._input == self._terminal:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
            self._selector.modify(self._input, events, self._selector.get_key(self._input).data)
        elif wanted and self._input not in self._selector.get_map():
            self._selector.register(self._input, selectors.EVENT_WRITE, lambda _: self._write())
        elif not wanted and self._input in self._selector.get_map():
            self._selector.unregister(self._input)

    def _end_input(self) -> None:
        """Let the command read the end of its input, once."""
        assert self._input is not None
        self._ended = True
        if self._input == self._terminal:
            self._say_end()
        else:
            os.close(self._input)
            self._input = None

    def _say_end(self) -> None:
        """Let who reads from the terminal read the end, as it would again and again of a pipe."""
        assert self._terminal is not None
        # A terminal that takes nothing now has some of it unread, or nobody on its other side.
        with contextlib.suppress(OSError):
            os.write(self._terminal, _END_OF_INPUT)

    def _stop_reading(self) -> None:
        if self._source is not None and self._source in self._selector.get_map():
            self._selector.unregister(self._source)

    def _drain(self) -> None:
        """What was written before the end; a process it left behind may hold the streams open."""
        for descriptor in list(self._outputs):
            while self._pass_on(descriptor):
                pass
