"""Where a command can be cut off: each call of it that changes the host, and each step of a plan.

What the interpreter is about to do it tells its audit hooks (PEP 578): there a point is counted,
and what is to happen at that point happens, just before the call. What libvirt's binding does and
what a step is, it does not tell: their methods are wrapped. A point is named by the call and by the
place in virtsec that makes it, so a tree of many files is a few points, each met many times.
"""

import importlib
import json
import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import virtsec

PACKAGE = str(Path(virtsec.__file__).parent) + os.sep
#: Audit events of calls that change something (https://docs.python.org/3/library/audit_events.html).
CHANGES = {
    *("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.removexattr", "os.rename"),
    *("os.rmdir", "os.setxattr", "os.symlink", "os.truncate", "subprocess.Popen"),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
#: Files that are written to ask.
QUESTIONS = (os.devnull, "/sys/fs/smackfs/access2")
#: Methods of libvirt's binding that only ask.
ASKING = ("get", "list", "lookup", "is", "info", "name", "UUID", "XMLDesc", "ID", "state", "num")

#: What happens at a point of this number of times met: a signal, or the failure of the call.
Happening = Callable[[], None]


@dataclass(frozen=True, order=True)
class Point:
    """A call that changes something, at its `time`-th time (from 1)."""

    call: str
    place: str
    time: int = 1

    def __str__(self) -> str:
        return f"{self.call} by {self.place}" + (f" ({self.time})" if self.time > 1 else "")


def die() -> None:
    """End as by SIGKILL from outside."""
    os.kill(os.getpid(), signal.SIGKILL)


class Fails:
    """Has the call fail with an error number."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self) -> None:
        raise OSError(self._number, os.strerror(self._number))


class Watch(AbstractContextManager[None]):
    """Counts the points that a process meets, and has something happen at one of them."""

    def __init__(self, file: Path, at: Point | None = None, what: Happening = die) -> None:
        """In the end `file` says which points were met."""
        self._file = file
        self._at = at
        self._what = what
        self._met: dict[tuple[str, str], int] = {}
        self._process = 0
        self._busy = False

    def __enter__(self) -> None:
        """Begin with this process: an audit hook is for ever."""
        self._process = os.getpid()
        for step in steps():
            self._wrap(step, "apply", f"step {step.__name__}")
        for kind in _libvirt_kinds():
            for name in vars(kind):
                if not name.startswith(("_", *ASKING)) and callable(getattr(kind, name)):
                    self._wrap(kind, name, f"libvirt {name}")
        sys.addaudithook(self._heard)

    def __exit__(self, *_: object) -> None:
        """Leave what was met for another process: each point's first and last time, in order."""
        self._process = 0
        met = [
            [call, place, time]
            for (call, place), times in self._met.items()
            for time in dict.fromkeys((1, times))
        ]
        self._file.write_text(json.dumps(met))

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and _writes(arguments)):
            self._meet(event)

    def _meet(self, call: str) -> None:
        # A process that was forked for a part of the work is not the command.
        if self._busy or os.getpid() != self._process:
            return
        place = _place(sys._getframe(1))
        if place is None:
            return
        times = self._met[call, place] = self._met.get((call, place), 0) + 1
        if self._at == Point(call, place, times):
            self._busy = True
            self._what()
            self._busy = False

    def _wrap(self, kind: type, name: str, call: str) -> None:
        inner = getattr(kind, name)

        def outer(*arguments: Any, **named: Any) -> Any:
            self._meet(call)
            return inner(*arguments, **named)

        setattr(kind, name, outer)


def read(file: Path) -> list[Point]:
    """What a `Watch` left."""
    return [Point(*each) for each in json.loads(file.read_text())]


def steps() -> list[type]:
    """All kinds of steps there are."""
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(virtsec.__path__, "virtsec."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and all(
                callable(getattr(kind, each, None)) for each in ("describe", "apply", "undo")
            ):
                found[f"{kind.__module__}.{kind.__name__}"] = kind
    found.pop("virtsec.step.Step")
    return list(found.values())


def _libvirt_kinds() -> list[type]:
    import libvirt  # noqa: PLC0415  (the guest's)

    return [libvirt.virConnect, libvirt.virDomain, libvirt.virNetwork]


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    return isinstance(flags, int) and bool(flags & WRITING) and path not in QUESTIONS


def _place(frame: FrameType | None) -> str | None:
    """Who in virtsec called: its file, function and line; None for nobody."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            return f"{file.removeprefix(PACKAGE)}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return None
