"""One running guest: qemu, its console, its agent, and how it is noticed that it died.

Nothing here waits for a fixed time. An emulated machine is slow, and unevenly so, as long as other
work shares the processors; what counts is that it still gives signs of life. While it boots that
is its console, afterwards the agent's heartbeat.
"""

import json
import math
import os
import selectors
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from .console import Console
from .errors import GuestDied
from .progress import Progress
from .qemu import PORTS, Hardware
from .run import bound_to_us, run
from .terminal import Terminal

SILENCE = 300.0
"""Seconds without a sign of life after which a guest is taken for dead."""

LAST_WORDS = 2.0
"""Seconds that a console may go on after a fatal line: they tell why."""

ATTEMPTS = 3
"""How often to boot when it was the emulator that failed."""

TICK = 1.0
CHUNK = 65536

AGENT = Path(__file__).parent / "inside/agent.py"

Event = dict[str, Any]


@dataclass(frozen=True)
class Exit:
    """How what ran in the guest ended."""

    status: int
    """Its exit status, or 128+n when signal n killed it."""
    again: str = ""
    """``reboot`` or ``reset`` if it wants to run again after that, else empty."""


def job_disk(image: Path, fill: Callable[[Path], None]) -> None:
    """Make the disk that brings the agent and whatever ``fill`` puts into an empty directory.

    That directory becomes the guest's ``/root/lab``.
    """
    tree = image.with_suffix(".tree")
    payload = tree / "payload"
    payload.mkdir(parents=True)
    shutil.copy(AGENT, tree / "agent.py")
    fill(payload)
    used = sum(path.lstat().st_size for path in tree.rglob("*"))
    files = sum(1 for _ in tree.rglob("*"))
    # Blocks and inodes are rounded up for each file; sparse, so generosity is free.
    size = 2 * used + files * 8192 + (16 << 20)
    options = ["-q", "-t", "ext4", "-O", "^has_journal", "-N", str(2 * files + 1024)]
    run(["/usr/sbin/mke2fs", *options, "-E", "root_owner=0:0", "-d", tree, image, f"{size >> 10}k"])
    shutil.rmtree(tree)


class Machine:
    """A guest from power-on to power-off. Use it as a context manager: leaving kills it."""

    def __init__(self, hardware: Hardware, root: Path, job: Path, console_log: Path) -> None:
        """Start qemu on ``root``, a qcow2 it may write to, with ``job`` as second disk."""
        self._hardware = hardware
        self._root = root
        self._job = job
        self._console_log = console_log
        self._sink: Callable[[bytes], None] = lambda _: None
        self._logs: BinaryIO | None = None
        self.boots = 0
        """How often this guest was started; tells a script whether it runs again."""
        self._power_on()

    def _power_on(self) -> None:
        self.boots += 1
        self._console = Console(self._console_log)
        self._events: list[Event] = []
        self._streamed = 0
        self._logged = 0
        self._lines = b""
        self._alive = False  # the agent has spoken
        self._quiet = 0.0
        self._fatal_for = 0.0
        self._selector = selectors.DefaultSelector()
        ends = {}
        self._sockets = {}
        for name in PORTS:
            self._sockets[name], ends[name] = socket.socketpair()
        command = self._hardware.command(
            self._root,
            self._job,
            self._console_log,
            {name: end.fileno() for name, end in ends.items()},
        )
        self._qemu = subprocess.Popen(
            bound_to_us(command, "KILL"),
            stdin=subprocess.DEVNULL,
            stdout=self._console.fileno(),
            stderr=self._console.fileno(),
            pass_fds=[end.fileno() for end in ends.values()],
            # Ctrl-C is for us; we take qemu down in order.
            start_new_session=True,
        )
        for end in ends.values():
            end.close()
        self._watch(self._sockets["control"].fileno(), self._on_control)
        self._watch(self._sockets["stream"].fileno(), self._on_stream)
        self._watch(self._sockets["logs"].fileno(), self._on_logs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def wait_for_agent(self) -> Event:
        """Wait until the guest is up, and return its agent's ``hello``. Raises GuestDied."""
        (hello,) = self._until("hello")
        return hello

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        sink: Callable[[bytes], None],
        terminal: Terminal | None = None,
    ) -> Exit:
        """Run ``argv`` in the guest's ``/root/lab``; its output goes to ``sink`` as it comes.

        Raises GuestDied.
        """
        running = self.reports(argv, env=env, sink=sink, terminal=terminal, wanted=False)
        while True:
            try:
                next(running)
            except StopIteration as end:
                return cast(Exit, end.value)

    def reports(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        sink: Callable[[bytes], None],
        terminal: Terminal | None = None,
        patience: float = math.inf,
        wanted: bool = True,
    ) -> Generator[Any, None, Exit]:
        """Run ``argv`` as ``run`` does, yield what it reports, and return how it ended.

        A report is a line of JSON that the program writes to ``$LAB_REPORT_FD``. When none comes
        for ``patience`` seconds, GuestDied is raised although the guest may live.
        """
        self._sink = sink
        before = self._streamed
        self._tell(
            "run",
            argv=[*argv],
            env={"LAB_BOOT": str(self.boots), **(env or {})},
            cwd="/root/lab",
            tty=terminal is not None,
            reports=wanted,
        )
        with self._typing(terminal):
            for event in self._until("exit", "report", patience=patience):
                if event["event"] == "report":
                    yield json.loads(event["line"])
                else:
                    while self._streamed < before + int(event["bytes"]):
                        self._step()
                    return Exit(int(event["status"]), event["again"])
        raise AssertionError("the last event is `exit`")

    def send_signal(self, number: int) -> None:
        """Send a signal to what runs in the guest."""
        self._tell("signal", number=number)

    def collect_logs(self, archive: Path) -> None:
        """Fetch the guest's logs into ``archive``, a gzipped tar. Raises GuestDied."""
        with archive.open("wb") as self._logs:
            before = self._logged
            self._tell("logs")
            for event in self._until("logs"):
                while self._logged < before + int(event["bytes"]):
                    self._step()
        self._logs = None

    def reboot(self, how: str) -> None:
        """Start the guest again with its disk as it is, and wait until it is up.

        ``how`` is ``reboot``, or ``reset`` for what a power cut does. Raises GuestDied.
        """
        self.halt(how)
        self.kill()
        self._power_on()
        self.wait_for_agent()

    def halt(self, how: str = "poweroff") -> None:
        """Take the guest down by ``poweroff``, ``reboot`` or ``reset``; wait for qemu to end."""
        self._tell("halt", how=how)
        self._alive = False  # from here on the console is all that speaks
        while self._qemu.poll() is None:
            self._step(going_down=True)

    def unplug(self) -> None:
        """Stop qemu, and leave it to whoever waits for the guest to notice; from any thread."""
        self._qemu.kill()

    def kill(self) -> None:
        """Pull the plug."""
        if self._qemu.poll() is None:
            self._qemu.kill()
        self._qemu.wait()
        self._selector.close()
        for end in self._sockets.values():
            end.close()
        self._console.close()

    # What follows is one loop that reads whatever comes, and those who wait for something of it.

    def _until(self, *names: str, patience: float = math.inf) -> Iterator[Event]:
        """Yield events of these ``names``; the first of ``names`` is the last one yielded."""
        waited = 0.0
        while True:
            while self._events:
                waited = 0.0
                event = self._events.pop(0)
                if event["event"] in names:
                    yield event
                if event["event"] == names[0]:
                    return
            waited += self._step()
            if waited > patience:
                self._died(f"it lives, but what runs in it got nowhere for {patience:.0f} s")

    def _step(self, *, going_down: bool = False) -> float:
        """Take in what has come within a second; raise GuestDied if the guest is no more.

        Returns the seconds that have passed for the guest.
        """
        started = time.monotonic()
        for key, _ in self._selector.select(TICK):
            self._take_in(key)
        if self._console.poll() and not self._alive:
            self._quiet = 0.0
        # No more than two ticks: while this process itself was stopped, so was the guest.
        passed = min(time.monotonic() - started, 2 * TICK)
        self._quiet += passed
        if self._console.fatal is not None:
            self._fatal_for += passed
        if self._qemu.poll() is not None:
            self._drain()
            if not going_down and not self._events:
                self._died(self._why_qemu_ended())
        elif self._console.fatal is not None and self._fatal_for > LAST_WORDS:
            self._died(self._console.fatal)
        elif self._quiet > SILENCE:
            since = f"no sign of life for {SILENCE:.0f} s"
            self._died(since + ("" if self._alive else " while it booted or went down"))
        return passed

    def _take_in(self, key: selectors.SelectorKey) -> None:
        """Read what one of the ports has, and hand it on; at its end it is watched no more."""
        try:
            data = os.read(key.fd, CHUNK)
        except ConnectionResetError:
            data = b""
        if data:
            key.data(data)
        else:
            self._selector.unregister(key.fd)

    def _drain(self) -> None:
        """Read what is left once qemu has ended."""
        self._console.poll()
        while self._selector.get_map() and (ready := self._selector.select(0)):
            for key, _ in ready:
                self._take_in(key)

    def _died(self, reason: str) -> None:
        fault = self._console.emulation_fault
        raise GuestDied(reason, self._console.tail(), blameless=fault)

    def _why_qemu_ended(self) -> str:
        if self._console.fatal is not None:
            return self._console.fatal
        status = self._qemu.returncode
        if status < 0:
            return f"qemu was killed by {signal.Signals(-status).name}"
        return "it was powered off or reset" if status == 0 else f"qemu exited with status {status}"

    def _watch(self, descriptor: int, handler: Callable[[bytes], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, handler)

    def _on_control(self, data: bytes) -> None:
        self._quiet = 0.0
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "hello":
                self._alive = True
            if event["event"] != "beat":
                self._events.append(event)

    def _on_stream(self, data: bytes) -> None:
        self._quiet = 0.0
        self._streamed += len(data)
        self._sink(data)

    def _on_logs(self, data: bytes) -> None:
        self._quiet = 0.0
        self._logged += len(data)
        if self._logs is not None:
            self._logs.write(data)

    def _tell(self, what: str, **values: object) -> None:
        try:
            self._sockets["control"].sendall(json.dumps({"do": what, **values}).encode() + b"\n")
        except BrokenPipeError:
            # qemu is gone; the next step says how.
            return

    @contextmanager
    def _typing(self, terminal: Terminal | None) -> Iterator[None]:
        """Pass on what is typed at ``terminal``, and its size, while the body runs."""
        if terminal is None:
            yield
            return

        def typed(data: bytes) -> None:
            self._sockets["stream"].sendall(terminal.checked(data))

        self._tell("resize", rows=terminal.rows, columns=terminal.columns)
        self._watch(terminal.descriptor, typed)
        terminal.on_resize = lambda rows, columns: self._tell("resize", rows=rows, columns=columns)
        try:
            with terminal:
                yield
        finally:
            if terminal.descriptor in self._selector.get_map():
                self._selector.unregister(terminal.descriptor)


def powered_on(
    hardware: Hardware,
    root: Path,
    job: Path,
    console_log: Path,
    *,
    fresh_root: Callable[[Path], None],
    progress: Progress,
) -> Machine:
    """Start a guest and wait for its agent; ``fresh_root`` makes ``root`` for each attempt.

    Raises GuestDied, but for the one fault that is known to be qemu's: then it tries again.
    """
    for attempt in range(1, ATTEMPTS + 1):
        root.unlink(missing_ok=True)
        fresh_root(root)
        machine = Machine(hardware, root, job, console_log)
        try:
            machine.wait_for_agent()
        except BaseException as error:
            machine.kill()
            if not isinstance(error, GuestDied) or not error.blameless or attempt == ATTEMPTS:
                raise
            progress.stage(f"a known fault of qemu's emulation ({error.reason}): booting again")
        else:
            return machine
    raise AssertionError("the last attempt returns or raises")
