"""Where an archive's bytes come from: a descriptor for tar to read, and the program behind it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from virtsec.kernel.privilege import die_with_parent

#: The environment of every program run here.
CLEAN: Mapping[str, str] = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
}
NOBODY = 65534
_KEPT_ERRORS = 16384


@dataclass(frozen=True, slots=True)
class Feed:
    """Bytes to be read from `descriptor`, written by `process` where there is one."""

    descriptor: int
    process: subprocess.Popen[bytes] | None = None
    errors: IO[bytes] | None = None

    def drained(self) -> str | None:
        """As `failure`, after reading what nobody else will: the program could not end before."""
        if self.process is not None:
            while os.read(self.descriptor, 1 << 16):
                pass
        return self.failure()

    def failure(self) -> str | None:
        """Wait for the program; what it said last when it failed, None when it did not.

        Being told that nobody reads on (SIGPIPE) is no failure: tar stops at an archive's end.
        """
        if self.process is None or self.process.wait() in (0, -signal.SIGPIPE):
            return None
        lines = [line for line in self.complaint().splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.process.returncode}"

    def complaint(self) -> str:
        """The last 16 KiB of what the program wrote to its standard error."""
        if self.errors is None:
            return ""
        self.errors.seek(max(0, os.fstat(self.errors.fileno()).st_size - _KEPT_ERRORS))
        return self.errors.read().decode("utf-8", "replace")


@contextmanager
def program(
    words: Sequence[str],
    stdin: int = subprocess.DEVNULL,
    *,
    nobody: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Feed]:
    """A program's output as a feed; it is ended when the block is left before it is done.

    `words[0]` is an absolute path. With `nobody` it runs as nobody: it reads hostile input.
    """
    user = NOBODY if nobody and os.geteuid() == 0 else None
    with os.fdopen(os.memfd_create("errors"), "w+b") as errors:
        process = subprocess.Popen(
            words,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**CLEAN, **(environment or {})},
            cwd="/",
            user=user,
            group=user,
            extra_groups=None if user is None else (),
            preexec_fn=_end_with_virtsec,  # noqa: PLW1509 - one system call, no lock taken
        )
        assert process.stdout is not None
        try:
            yield Feed(process.stdout.fileno(), process, errors)
        finally:
            process.stdout.close()
            end(process)


def _end_with_virtsec() -> None:
    die_with_parent(signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that is still running, and wait until it is gone.

    Its children go first: the one of `unshare` is the first process of a namespace, and `unshare`
    ends when all of that namespace is gone.
    """
    while process.poll() is None:
        for number in _children(process.pid) or [process.pid]:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)


def _children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
