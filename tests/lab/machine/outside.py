"""pytest's plugin on the host: runs the laboratory's tests in guests and reports them as if local.

Tests are collected here, then run in the order they were collected in by a pytest in the guest:
each security module has two guests, SELinux beside Smack one, and others for what begins with
nothing and for what begins without a container; as many at a time as this machine has room for.
Here, ``pytest_runtest_protocol`` of each test waits for what the guest has to say about it. So
selection, ``-x``, reports and exit status are pytest's own.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .boot import Machine
from .errors import GuestDied, LabError
from .progress import Progress
from .qemu import Lsm
from .run import run
from .session import Laboratory, Request, environment
from .wheel import CHECKOUT

PATIENCE = 2000.0
"""Seconds within which a phase of a test has to end, three times what the slowest takes."""

LONG_PATIENCE = 8 * 3600.0
"""The same for what is marked ``stress``."""

FAULTS = 2
"""How often to go on in a fresh guest when it was the emulator that failed."""

TAIL_LINES = 40

ROOM = 4 << 30
"""Bytes of memory to have for each guest that runs at the same time as another."""

ONE_PROCESSOR = (
    # libvirt forgets a domain when a processor goes while it reads its definitions.
    "systemctl is-system-running --wait >/dev/null;"
    "for each in /sys/devices/system/cpu/cpu*/online; do echo 0 >$each; done"
)

AFTER = {"before_reset": "", "after_reset": "reset", "last": ""}
"""Markers of tests that run after all others, in this order, and how the guest reboots before."""

POWER_LOST = "power_lost"
"""Marker of tests after each of which the guest loses power, and is started again for the rest."""

SECOND = "test_smack.py"
"""The first file of those, by name, that a second guest runs."""

LAST_EMPTY = "test_power.py"
"""The file of those that begin without a container that runs in a guest of its own."""

LONGEST = (5, 4, 1, 2, 3)
"""Those guests' numbers, by how long they take."""

Part = tuple[Lsm, int]
"""A security module, and which of its guests: counted from 1."""


def lsm_of(item: pytest.Item) -> Lsm:
    """Return the security module that ``item`` is to run under."""
    callspec = item.callspec  # type: ignore[attr-defined]
    return Lsm(callspec.params["lsm"])


def phase_of(item: pytest.Item) -> int:
    """Return 0 for a test without a marker of `AFTER`, else which of them it has, from 1."""
    phases = [n for n, name in enumerate(AFTER, 1) if item.get_closest_marker(name)]
    return max(phases, default=0)


def part_of(item: pytest.Item) -> Part:
    """Return where ``item`` runs; what comes after a reboot is about containers of both parts."""
    if is_bare(item):
        return lsm_of(item), 3
    if item.get_closest_marker("empty") is not None:
        return lsm_of(item), 5 if item.path.name == LAST_EMPTY else 4
    # Without what is tested once it is half as much, and containers are made and started but once.
    whole = lsm_of(item) is Lsm.SELINUX and item.config.getoption("--lsm") == "all"
    late = phase_of(item) > 0 or item.path.name >= SECOND
    return lsm_of(item), 2 if late and not whole else 1


def is_long(item: pytest.Item) -> bool:
    """Tell whether ``item`` runs with ``--stress`` only."""
    return item.get_closest_marker("stress") is not None


@dataclass(frozen=True)
class Sitting:
    """Tests that one pytest in the guest runs, and how the guest reboots before; empty: not."""

    reboot: str
    items: list[pytest.Item]


def sittings(items: Sequence[pytest.Item]) -> list[Sitting]:
    """Return what to run between one reboot and the next, in order."""
    reboots = ["", *AFTER.values()]
    found: list[Sitting] = []
    before: pytest.Item | None = None
    for item in items:
        lost = before is not None and before.get_closest_marker(POWER_LOST) is not None
        if before is None or lost or phase_of(item) != phase_of(before):
            found.append(Sitting("reset" if lost else reboots[phase_of(item)], []))
        found[-1].items.append(item)
        before = item
    return found


def is_bare(item: pytest.Item) -> bool:
    """Tell whether ``item`` runs in a guest of its own that has nothing of virtsec's."""
    return item.get_closest_marker("bare") is not None


def fill(payload: Path, items: Sequence[pytest.Item]) -> None:
    """Put the checkout, but for virtsec itself, and the wanted tests' ids into ``payload``.

    virtsec is left out so that tests see the installed one.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = CHECKOUT / name
        if name and not name.startswith("virtsec/") and source.is_file():
            target = payload / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for number, sitting in enumerate(sittings(items)):
        wanted = [item.nodeid for item in sitting.items]
        (payload / f"items-{number}.json").write_text(json.dumps(wanted))


class GuestRun:
    """Tests of one security module in one guest, from its boot to its end."""

    def __init__(
        self,
        request: Request,
        items: Sequence[pytest.Item],
        laboratory: Laboratory,
        logs: Path,
        options: Sequence[str],
        *,
        alone: bool,
    ) -> None:
        """Get a guest up, `alone` or beside others. Raises LabError, GuestDied among them."""
        self.lsm = request.lsm
        self._sittings = sittings(items)
        self._options = options
        self.logs = logs
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._done: dict[str, list[Any]] = {}
        self._finished: set[str] = set()
        self._collected: set[str] | None = None
        self._sitting = -1
        self._running: Generator[Any, None, object] | None = None
        self._request = request
        self._alone = alone
        self._context: AbstractContextManager[Machine] = laboratory.machine(
            request, lambda payload: fill(payload, items), logs / "console.log"
        )
        self._machine = self._context.__enter__()
        self._share_processors()
        laboratory.progress.stage(f"{len(items)} tests in the guest ({request.lsm})")

    def reports(self, item: pytest.Item) -> list[Any]:
        """Return the serialised reports of ``item`` once it is over in the guest.

        Raises LabError when it was not run there, GuestDied when the guest is no more.
        """
        while self._sitting < 0 or item not in self._sittings[self._sitting].items:
            self._enter(self._sitting + 1)
        assert self._running is not None
        while item.nodeid not in self._finished:
            missing = self._collected is not None and item.nodeid not in self._collected
            message = None if missing else next(self._running, None)
            if message is None:
                raise LabError(
                    f"the guest's pytest did not run this test; the end of what it said:\n"
                    f"{b''.join(self._tail).decode(errors='replace')}"
                )
            self._take(message)
        return self._done.pop(item.nodeid)

    def _enter(self, number: int) -> None:
        """Start the guest's pytest on the tests of a sitting, after a reboot where it needs one."""
        # None in a fresh guest that has only the tests of a later phase to run.
        for message in self._running or ():
            self._take(message)
        sitting = self._sittings[number]
        items = sitting.items
        if sitting.reboot:
            self._machine.reboot(sitting.reboot)
            self._share_processors()
        self._sitting = number
        paths = {str(item.path.relative_to(CHECKOUT)): None for item in items}
        self._collected = None
        self._running = self._machine.reports(
            ["python3", "-m", "pytest", *self._options, f"--lsm={self.lsm}", *paths],
            env={**environment(self._request), "LAB_ITEMS": f"items-{number}.json"},
            sink=self._say,
            patience=LONG_PATIENCE if any(map(is_long, items)) else PATIENCE,
        )

    def _share_processors(self) -> None:
        """Leave the guest one processor where there are others: emulated, two get in their way."""
        if not self._alone:
            self._machine.run(["sh", "-c", ONE_PROCESSOR], sink=self._say)

    def _take(self, message: Any) -> None:
        if "collected" in message:
            self._collected = set(message["collected"])
        elif "report" in message:
            self._done.setdefault(message["report"]["nodeid"], []).append(message["report"])
        else:
            self._finished.add(message["finish"])

    def _say(self, data: bytes) -> None:
        with (self.logs / "pytest.txt").open("ab") as out:
            out.write(data)
        self._tail.extend(data.splitlines(keepends=True))

    def keep_logs(self) -> None:
        """Bring the guest's logs out. Raises GuestDied."""
        archive = self.logs / "logs.tar.gz"
        self._machine.collect_logs(archive)
        run(["tar", "-C", self.logs, "-xzf", archive])
        archive.unlink()

    def close(self) -> None:
        """Pull the plug."""
        self._context.__exit__(None, None, None)

    def interrupt(self) -> None:
        """Make whoever waits for the guest get GuestDied; may be called by another thread."""
        self._machine.unplug()


class PartRun(threading.Thread):
    """The tests of one part, run by a thread of its own: in one guest, or in more where one dies.

    A guest keeps one processor busy, however many it has: parts run beside each other.
    """

    def __init__(
        self,
        items: Sequence[pytest.Item],
        boot: Callable[[Sequence[pytest.Item]], GuestRun],
        room: threading.Semaphore,
        say: Callable[[str], None],
    ) -> None:
        """Prepare to run `items`, the rest of which `boot` gets a guest for when one is needed."""
        super().__init__(name=f"tests of {part_of(items[0])}", daemon=True)
        self._items = items
        self._boot = boot
        self._room = room
        self._say = say
        self._outcomes: queue.Queue[list[Any] | LabError] = queue.Queue()
        self._guest: GuestRun | None = None
        self._dead: LabError | None = None
        self._faults = 0
        self._failed = False
        self._stopped = False
        self._at: tuple[str, float] | None = None

    def outcome(self) -> list[Any] | LabError:
        """Wait for what the next of the tests came to: its serialised reports, or why none."""
        return self._outcomes.get()

    def stop(self) -> None:
        """Let no guest of it be left."""
        self._stopped = True
        if self.is_alive() and self._at is not None:
            name, since = self._at
            self._say(f"lab: stopped {time.monotonic() - since:.0f} s after {name} began")
        guest = self._guest
        if guest is not None:
            guest.interrupt()
            self.join()

    def run(self) -> None:
        """Run all tests, in order."""
        with self._room:
            for index in range(len(self._items)):
                self._at = self._items[index].nodeid, time.monotonic()
                try:
                    outcome = self._outcome(index)
                except BaseException as error:  # the other thread must not wait for ever
                    outcome = LabError(f"the laboratory failed: {error!r}")
                self._outcomes.put(outcome)
            self._end()

    def _outcome(self, index: int) -> list[Any] | LabError:
        item = self._items[index]
        while self._dead is None:
            if self._stopped:
                self._dead = LabError("the run was stopped")
                break
            try:
                if self._guest is None:
                    self._guest = self._boot(self._items[self._beginning(index) :])
                reports = self._guest.reports(item)
            except GuestDied as error:
                self._end(dead=True)
                if error.blameless and self._faults < FAULTS:
                    self._faults += 1
                    self._say(f"lab: a known fault of qemu's ({error.reason}): a fresh guest")
                    continue
                self._dead = LabError(f"the guest died earlier: {error.reason}")
                return error
            except LabError as error:
                self._failed = True
                if self._guest is None:
                    self._dead = LabError("there is no guest, see the first error")
                return error
            self._failed = self._failed or any(data["outcome"] == "failed" for data in reports)
            return reports
        return LabError(f"not run: {self._dead}")

    def _beginning(self, index: int) -> int:
        """From which test on a fresh guest goes, to come to this one: what lost power before it."""
        before = self._items[index - 1] if index else None
        return index - 1 if before and before.get_closest_marker(POWER_LOST) else index

    def _end(self, *, dead: bool = False) -> None:
        guest, self._guest = self._guest, None
        if guest is None:
            return
        try:
            if self._failed and not dead:
                guest.keep_logs()
        except LabError as error:
            self._say(f"lab: its logs are lost: {error}")
        finally:
            guest.close()
        if (dead or self._failed) and not self._stopped:
            self._say(f"lab: logs of the guest are in {guest.logs}")


class Outside:
    """The plugin: see the module."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._laboratory = Laboratory(progress=Progress(self._write))
        self._runs: dict[Part, PartRun] = {}

    def _write(self, line: str) -> None:
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        reporter.ensure_newline()
        reporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Bring the tests into the order they run in: by part, by reboot, else as they are.

        What takes long comes first, which of two parts is the second, and where nothing confines
        last: the last guests are small ones, and end together.
        """
        mine = [item for item in items if is_ours(item)]
        modules = list(Lsm)

        def order(item: pytest.Item) -> tuple[bool, int, int, int]:
            lsm, part = part_of(item)
            return not lsm.confines, LONGEST.index(part), modules.index(lsm), phase_of(item)

        mine.sort(key=order)
        items[:] = [item for item in items if not is_ours(item)] + mine

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Report what the guest says about ``item``."""
        if not is_ours(item):
            return None
        if not self._runs:
            self._start([each for each in item.session.items if is_ours(each)])
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if nextitem is None or not is_ours(nextitem) or part_of(nextitem) != part_of(item):
            self._runs[part_of(item)].join()
        return True

    def pytest_sessionfinish(self) -> None:
        """Leave no guest behind, however the session ends."""
        for each in self._runs.values():
            each.stop()

    def _start(self, items: Sequence[pytest.Item]) -> None:
        """Start the tests of each part, those that are reported first before the others."""
        # Whoever ends a run that takes too long is told what took it: as by Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        room = threading.Semaphore(at_a_time())
        for part in dict.fromkeys(map(part_of, items)):
            mine = [item for item in items if part_of(item) == part]
            self._runs[part] = PartRun(mine, self._boot, room, self._write)
        for each in self._runs.values():
            each.start()

    def _reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        outcome = self._runs[part_of(item)].outcome()
        if isinstance(outcome, LabError):
            return [_error(item, str(outcome))]
        return [
            self._config.hook.pytest_report_from_serializable(config=self._config, data=report)
            for report in outcome
        ]

    def _boot(self, items: Sequence[pytest.Item]) -> GuestRun:
        lsm, part = part_of(items[0])
        logs = CHECKOUT / ".lab-logs" / f"{lsm}-{part}"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        style = self._config.getoption("tbstyle")
        options = ["-q", "-p", "no:cacheprovider", f"--tb={style}"]
        for drawn in ("--seed", "--points"):
            options.append(f"{drawn}={self._config.getoption(drawn)}")
        if self._config.getoption("showlocals"):
            options.append("--showlocals")
        request = Request(
            lsm,
            memory=self._config.getoption("--memory"),
            setup=not self._config.getoption("--no-setup"),
            wheel=self._config.getoption("--wheel"),
            bare=is_bare(items[0]),
        )
        alone = len(self._runs) == 1
        return GuestRun(request, items, self._laboratory, logs, options, alone=alone)


def at_a_time() -> int:
    """Return how many guests this machine has processors and memory for, at least one."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvail"))
    return max(1, min(len(os.sched_getaffinity(0)), available // ROOM))


def is_ours(item: pytest.Item) -> bool:
    """Tell whether ``item`` is one of the laboratory's tests, to run in a guest."""
    return (CHECKOUT / "tests/lab") in item.path.parents


def _error(item: pytest.Item, text: str) -> pytest.TestReport:
    """Return what pytest shows as an error of ``item``, not as a failure."""
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=text,
        when="setup",
    )
