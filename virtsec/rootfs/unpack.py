"""From a feed into a new tree, and from a tree into a feed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from virtsec.errors import RootfsFailed
from virtsec.kernel.mounts import detached_mount
from virtsec.rootfs.archive import TAR
from virtsec.rootfs.confined import READ, UNPACK, Place, confined, follow, is_full
from virtsec.rootfs.feed import Feed
from virtsec.rootfs.members import LEFT_OUT
from virtsec.rootfs.trouble import full
from virtsec.spec import IdRange

#: Attributes that come with a file. Labels are made anew, trusted.* is the host's own business.
_ATTRIBUTES = (
    "--xattrs",
    "--xattrs-include=user.*",
    "--xattrs-include=security.capability",
)
#: With it tar writes an ACL for each file, be it what its mode says anyway: a fifth of all it does.
_ACLS = "--acls"
_OUT = tuple(f"--exclude={pattern}" for pattern in LEFT_OUT)
_EXTRACT = (
    TAR,
    "--extract",
    "--verbose",
    "--quoting-style=escape",
    "--numeric-owner",
    "--same-owner",
    "--same-permissions",
    "--sparse",
    *_ATTRIBUTES,
    "--anchored",
    "--wildcards",
    *_OUT,
    "--warning=no-timestamp",
    "--warning=no-unknown-keyword",
    "--file=-",
)
_CREATE = (
    TAR,
    "--create",
    "--format=posix",
    "--numeric-owner",
    "--sparse",
    *_ATTRIBUTES,
    "--anchored",
    "--wildcards",
    *_OUT,
    "--file=-",
)
#: Instead of all: what is named, by names that end with a NUL, and nothing in it that is not.
_NAMED = ("--no-recursion", "--null", "--verbatim-files-from", "--files-from=-")


def unpack(
    feed: Feed,
    tree: int,
    ids: IdRange | None,
    shown: PurePosixPath,
    advance: Callable[[int], None],
    *,
    birth: Callable[[], None] | None = None,
    acls: bool = True,
) -> None:
    """Unpack a tar stream into the empty directory that `tree` holds, owners shifted to `ids`.

    `advance` is told how many members more are done; `shown` is the tree's name in sentences. ACLs
    come with files only with `acls`. Raises `RootfsFailed`; what is there by then stays.
    """
    mount = detached_mount(tree)
    try:
        words = (*_EXTRACT, _ACLS) if acls else _EXTRACT
        with confined(words, Place(mount, ids, UNPACK, birth), feed.descriptor) as tar:
            complaint = follow(tar, advance)
            failed = tar.returncode != 0 or "Cannot set" in complaint
            if failed and is_full(complaint):
                raise full(shown)
            source = feed.drained()
    finally:
        os.close(mount)
    if source is not None:
        raise RootfsFailed(f"Could not read what goes into {shown}: {source}.")
    if failed:
        raise RootfsFailed(f"Could not fill {shown}: {_first(complaint)}.")


def _first(complaint: str) -> str:
    lines = complaint.splitlines() or ["tar was ended"]
    worst = next((line for line in lines if ": Cannot " in line), lines[0])
    return worst.removeprefix(f"{TAR}: ")


@contextmanager
def _names(paths: Sequence[str]) -> Iterator[int]:
    with os.fdopen(os.memfd_create("names"), "w+b") as file:
        file.writelines(b"./" + os.fsencode(path) + b"\0" for path in paths)
        file.seek(0)
        yield file.fileno()


@contextmanager
def packed(tree: int, ids: IdRange | None, paths: Sequence[str] | None = None) -> Iterator[Feed]:
    """The tree that descriptor `tree` holds, with owners from `ids` counted from 0, as a feed.

    With `paths`, relative to it, only those. What is mounted in the tree is left out; /dev's
    entries are too.
    """
    words = (*_CREATE, _ACLS, *((".",) if paths is None else _NAMED))
    mount = detached_mount(tree)
    try:
        with (
            os.fdopen(os.memfd_create("errors"), "w+b") as errors,
            _names(paths or ()) as names,
            confined(words, Place(mount, ids, READ), names, errors.fileno()) as tar,
        ):
            assert tar.stdout is not None
            yield Feed(tar.stdout.fileno(), tar, errors)
    finally:
        os.close(mount)
