"""What a root is made from, looked at before anything is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

DEFAULT_INIT = PurePosixPath("/sbin/init")


class SourceKind(StrEnum):
    """Where a root comes from."""

    EXISTING = "existing"  #: the directory is at `rootfs` already and becomes the container's
    TREE = "tree"  #: a directory, copied
    TAR = "tar"  #: a tar archive, plain or compressed by gzip, xz or zstd
    DEBIAN = "debian"  #: built by mmdebstrap


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was found fit. `members` counts its files, None where that is not known yet."""

    kind: SourceKind
    members: int | None = None


def inspect_source(
    source: str | None,
    rootfs: PurePosixPath,
    init: PurePosixPath = DEFAULT_INIT,
) -> Source:
    """Look at a source without changing anything.

    Raises `BadInput` when it is missing, no Linux root (there must be /etc, /usr or /bin, and
    `init`) or an archive with members that leave the tree, `Refused` when `rootfs` is taken or
    others may write to the directories above it.
    """
    raise NotImplementedError
