"""Tar archives: recognised by their first bytes, listed by tar, read through a decompressor."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput, HostNotReady, NotFound
from virtsec.rootfs.feed import Feed, program
from virtsec.rootfs.members import Members

TAR = "/usr/bin/tar"
_LIST = (
    TAR,
    "--list",
    "--verbose",
    "--numeric-owner",
    "--acls",
    "--quoting-style=c",
    "--absolute-names",  # as they are in the archive; nothing is unpacked
    "--warning=no-timestamp",
    "--file=-",
)
_BLOCK = 512
_MAGIC_AT, _MAGIC = 257, b"ustar"
_SUM_FIELD = slice(148, 156)


class Compression(Enum):
    """How an archive is packed: its first bytes, the program and the package that unpack it."""

    GZIP = (b"\x1f\x8b", "/usr/bin/gzip", "gzip")
    XZ = (b"\xfd7zXZ\x00", "/usr/bin/xz", "xz-utils")
    ZSTD = (b"\x28\xb5\x2f\xfd", "/usr/bin/zstd", "zstd")

    def __init__(self, magic: bytes, path: str, package: str) -> None:
        self.magic = magic
        self.path = path
        self.package = package


def recognise(head: bytes) -> Compression | None:
    """The compression that an archive's first 512 bytes tell; None for plain tar; pure.

    Raises `ValueError` when it is no archive.
    """
    for compression in Compression:
        if head.startswith(compression.magic):
            return compression
    if head[_MAGIC_AT:].startswith(_MAGIC) or _is_old_header(head):
        return None
    raise ValueError("neither tar nor compressed")


def _is_old_header(head: bytes) -> bool:
    """Whether it is a header of tar before POSIX, which has a checksum and no magic."""
    if len(head) < _BLOCK:
        return False
    try:
        told = int(head[_SUM_FIELD].strip(b" \0"), 8)
    except ValueError:
        return False
    field = head[_SUM_FIELD]
    return told == sum(head[:_BLOCK]) - sum(field) + len(field) * ord(" ")


@contextmanager
def opened_archive(path: Path) -> Iterator[Feed]:
    """The plain tar stream that the archive at `path` holds.

    Raises `NotFound`, `BadInput` when it is no archive, `HostNotReady` without a decompressor.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no {path}.", "Name a directory or a tar archive.") from None
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}.", "Name another."
        ) from error
    try:
        wrong = BadInput(
            f"{path} is neither a directory nor a tar archive (plain, gzip, xz or zstd).",
            "Name a directory or a tar archive.",
        )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise wrong
        try:
            compression = recognise(os.pread(descriptor, _BLOCK, 0))
        except ValueError:
            raise wrong from None
        if compression is None:
            yield Feed(descriptor)
            return
        if not Path(compression.path).exists():
            raise HostNotReady(
                f"{path} is compressed and this host has no {compression.path}.",
                f"Install it with `apt install {compression.package}`.",
            )
        words = (compression.path, "--decompress", "--stdout")
        with program(words, descriptor, nobody=True) as feed:
            yield feed
    finally:
        os.close(descriptor)


def check_archive(path: Path, init: PurePosixPath) -> Members:
    """Look at every member. Raises `BadInput` when the archive may not or cannot be unpacked."""
    members = Members(str(path))
    with opened_archive(path) as feed, program(_LIST, feed.descriptor, nobody=True) as listing:
        with os.fdopen(os.dup(listing.descriptor), "rb") as lines:
            for line in lines:
                members.add(line)
        damage = listing.failure()
        damage = feed.drained() or damage
    if damage is not None:
        raise BadInput(f"{path} is damaged: {damage}.", "Fetch or make the archive again.")
    members.check_root(init)
    return members
