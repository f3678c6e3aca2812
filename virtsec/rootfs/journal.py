"""A container's journal, read from outside as data that its root may have made up.

Nothing of it is opened by a program with the host's rights: its files are copied, and journalctl
reads the copies as nobody. What it prints is still the container's words.
"""

from __future__ import annotations

import os
import stat
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput, HostNotReady, NotFound
from virtsec.kernel.openat2 import open_beneath, open_in_root
from virtsec.kernel.private import private_directory
from virtsec.rootfs.feed import NOBODY, program
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.walk import opened

JOURNALCTL = "/usr/bin/journalctl"
_PLACE = "var/log/journal"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
#: Bytes of journals that are read at most, the newest first.
LIMIT = 256 << 20
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries are wanted, in journalctl's own words."""

    lines: int | None = None
    units: Sequence[str] = ()
    since: str | None = None
    until: str | None = None
    output: str = "short"

    def words(self) -> list[str]:
        """As options of journalctl."""
        return [
            f"--output={self.output}",
            *([] if self.lines is None else [f"--lines={self.lines}"]),
            *(f"--unit={unit}" for unit in self.units),
            *([] if self.since is None else [f"--since={self.since}"]),
            *([] if self.until is None else [f"--until={self.until}"]),
        ]


def read_journal(rootfs: PurePosixPath, query: Query, write: Callable[[str], None]) -> int:
    """Give `write` the wanted entries of the journal in the tree at `rootfs`.

    Returns how many files were too much to read. Raises `NotFound` when the container keeps no
    journal in its tree, `BadInput` when journalctl does not understand the query.
    """
    with explained("read the journal in", rootfs), _copies(rootfs) as (copies, left_out):
        files = [f"--file={path}" for path in copies]
        words = [JOURNALCTL, "--no-pager", "--quiet", *query.words(), *files]
        local = {"TZ": os.environ.get("TZ", ":/etc/localtime")}
        try:
            with program(words, nobody=True, environment=local) as feed:
                decoder = getincrementaldecoder("utf-8")("replace")
                while data := os.read(feed.descriptor, _CHUNK):
                    write(decoder.decode(data))
                failed = feed.failure()
        except FileNotFoundError:
            raise HostNotReady(f"There is no {JOURNALCTL}.", "Run `apt install systemd`.") from None
        if failed is not None:
            raise BadInput(f"journalctl says: {failed.rstrip('.')}.", "See journalctl(1).")
        return left_out


@contextmanager
def _copies(rootfs: PurePosixPath) -> Iterator[tuple[list[Path], int]]:
    """Copies of the journal's files for user nobody, and how many files were too much.

    In a directory: journalctl refuses a file that has no name, as one in memory (EIDRM).
    """
    held = _held(rootfs)
    try:
        with private_directory("virtsec-journal-") as place:
            room, left_out = LIMIT, 0
            copies: list[Path] = []
            for _, size, descriptor in sorted(held, reverse=True):
                if size > room:
                    left_out += 1
                else:
                    room -= size
                    copies.append(place / f"{len(copies)}.journal")
                    _copy(descriptor, size, copies[-1])
            os.chown(place, NOBODY, NOBODY)
            yield copies, left_out
    finally:
        for _, _, descriptor in held:
            os.close(descriptor)


def _held(rootfs: PurePosixPath) -> list[tuple[float, int, int]]:
    """The journal's files: when each was changed last, its size, and a descriptor of it."""
    found: list[tuple[float, int, int]] = []
    with opened(rootfs) as root:
        try:
            place = open_in_root(root.descriptor, _PLACE, _DIRECTORY)
        except OSError:
            place = None
        if place is not None:
            try:
                for name in os.listdir(place):  # noqa: PTH208  (a descriptor)
                    with suppress(OSError):  # no directory, or gone
                        found += _files(open_beneath(place, name, _DIRECTORY))
            finally:
                os.close(place)
    if not found:
        raise NotFound(
            f"There is no journal in {rootfs}/{_PLACE}.",
            "One in memory is read by `virtsec exec` and `journalctl` in it, while it runs.",
        )
    return found


def _files(directory: int) -> list[tuple[float, int, int]]:
    found: list[tuple[float, int, int]] = []
    try:
        for name in os.listdir(directory):
            if not name.endswith(".journal"):
                continue
            with suppress(OSError):
                descriptor = open_beneath(directory, name, os.O_RDONLY | os.O_NONBLOCK)
                status = os.fstat(descriptor)
                if stat.S_ISREG(status.st_mode):
                    found.append((status.st_mtime, status.st_size, descriptor))
                else:
                    os.close(descriptor)
    finally:
        os.close(directory)
    return found


def _copy(source: int, size: int, copy: Path) -> None:
    """Copy so many bytes from the start of `source`, for everybody who gets there to read."""
    with copy.open("xb", buffering=0) as file:
        start = 0
        while start < size and (sent := os.sendfile(file.fileno(), source, start, size - start)):
            start += sent
    copy.chmod(0o444)
