"""System calls of a command and of what it runs, of which Python tells nothing: strace(1) tampers.

Where Python tells of a call, points.py is finer: it names the place. Here a call is named by the
file that it is about, and counted for each process by itself; so what happens at a call happens to
whichever process comes so far.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from demo.shell import Result, run

#: What changes a host beneath Python's audit hooks.
ABOUT_FILES = (
    *("write", "pwrite64", "copy_file_range", "sendfile", "fallocate", "ftruncate"),
    *("fsync", "fdatasync", "syncfs", "renameat2"),
    *("mount", "umount2", "move_mount", "mount_setattr", "open_tree"),
)
ABOUT_NONE = ("unshare", "setns", "fsopen")
_LINE = re.compile(r"(?P<process>\d+) +(?P<name>\w+)\((?P<arguments>.*)")
_FILE = re.compile(r'<(/[^>]*)>|"(/[^"]*)"')
#: What is written there is said to somebody, or asks the kernel something.
_SAID = ("/dev/", "/sys/fs/smackfs/access2", "/sys/fs/selinux/access", "/sys/fs/selinux/context")
#: What has a process's number, or a terminal's, is not met again.
_OWN = re.compile(r"^(/proc)?/\d+(/|$)")


@dataclass(frozen=True, order=True)
class Call:
    """A process's call of this name about this file, at its `time`-th time (from 1)."""

    name: str
    file: str  #: empty where the call is about none
    time: int

    def __str__(self) -> str:
        return f"{self.name}(2) number {self.time} of a process about {self.file or 'itself'}"


def calls(words: list[str], log: Path) -> list[Call]:
    """Those that a command and what it runs make, each one's first and last; it is run for it."""
    _traced(words, log, ())
    times: Counter[tuple[str, str, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        if (begun := _LINE.match(line)) is None:
            continue
        name, named = begun["name"], _FILE.search(begun["arguments"])
        file = (named[1] or named[2]) if named and name in ABOUT_FILES else ""
        if file.startswith(_SAID) or _OWN.search(file) or (name in ABOUT_FILES) != bool(file):
            continue  # what is no file is somebody who listens
        times[begun["process"], name, file] += 1
    return sorted(
        {Call(name, file, time) for (_, name, file), last in times.items() for time in (1, last)}
    )


def disturbed(words: list[str], log: Path, call: Call, what: str) -> Result | None:
    """Run it with `what` happening at that call; None where no process came so far.

    `what` is strace's notation: `error=ENOSPC`, or `signal=SIGKILL`.
    """
    about = ("--trace-path", call.file) if call.file else ()
    done = _traced(words, log, (*about, "--inject", f"{call.name}:{what}:when={call.time}"))
    said = log.read_text(errors="replace")
    return done if "(INJECTED)" in said or "killed by SIGKILL" in said else None


def _traced(words: list[str], log: Path, options: tuple[str, ...]) -> Result:
    options = ("--follow-forks", "--decode-fds=path", "--quiet=attach", *options)
    traced = ("--trace", ",".join((*ABOUT_FILES, *ABOUT_NONE)), "--output", str(log))
    # On one processor: going to and fro between two that are emulated takes twenty times as long.
    return run("taskset", "-c", "0", "strace", *options, *traced, "virtsec", *words, check=False)
