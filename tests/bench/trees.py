"""Labelling and unpacking of trees."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from bench.paired import Row, seconds

from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs.label import label_tree
from virtsec.rootfs.walk import Root, directories, opened
from virtsec.shares import dealt, spread
from virtsec.step import Silent

FILES, DIRECTORIES = 100_000, 1_000
TIMES = 3
#: SELinux's types that any policy has: two by turns for each side.
TYPES = {"ours": ("usr_t", "etc_t"), "theirs": ("tmp_t", "var_t"), "least": ("bin_t", "lib_t")}


def make(tree: Path) -> None:
    """`FILES` empty files in `DIRECTORIES` directories, and an init."""
    for number in range(DIRECTORIES):
        directory = tree / f"d{number}"
        directory.mkdir(parents=True)
        for other in range(FILES // DIRECTORIES):
            (directory / f"f{other}").touch()
    (tree / "init").touch()


def label(place: Path) -> Iterator[Row]:
    """A tree that is labelled for the first time, and one where all is right; in `place`."""
    tree = place / "labelled"
    make(tree)

    def ours(kind: str) -> float:
        value = {"security.selinux": f"system_u:object_r:{kind}:s0\0".encode()}
        marks = TreeMarks(files=value, directories=value, init=value, rest=value)
        init = PurePosixPath("/init")
        return seconds(lambda: label_tree(PurePosixPath(tree), None, marks, init, Silent()))

    def theirs(kind: str) -> float:
        words = ("chcon", "-R", f"system_u:object_r:{kind}:s0", str(tree))
        return seconds(lambda: subprocess.run(words, check=True))

    def least(kind: str) -> float:
        value = f"system_u:object_r:{kind}:s0\0".encode()
        return seconds(lambda: least_calls(tree, value))

    floor: dict[str, list[float]] = {"first": [], "again": []}
    try:
        theirs("mnt_t")  # the tree is in the page cache from here on
        first: dict[str, list[float]] = {"ours": [], "theirs": []}
        again: dict[str, list[float]] = {"ours": [], "theirs": []}
        for turn in range(TIMES):
            for side, work in (("ours", ours), ("theirs", theirs)):
                kind = TYPES[side][turn % 2]
                first[side].append(work(kind))
                again[side].append(work(kind))
                check_labelled(tree, kind)
            kind = TYPES["least"][turn % 2]
            floor["first"].append(least(kind))
            check_labelled(tree, kind)
            floor["again"].append(seconds(partial(in_shares, tree, _read_labels)))
    finally:
        shutil.rmtree(tree)
    for what, limit, found, possible in (
        ("first time, warm", 0.6, first, floor["first"]),
        ("nothing to change", 0.4, again, floor["again"]),
    ):
        yield Row(
            work=f"label {FILES:,} files, {what}",
            against="chcon -R",
            limit=limit,
            ours=tuple(found["ours"]),
            theirs=tuple(found["theirs"]),
            floor=tuple(possible),
        )


def check_labelled(tree: Path, kind: str) -> None:
    """Raise AssertionError unless a file in each of its directories has the type `kind`."""
    for number in range(DIRECTORIES):
        path = tree / f"d{number}/f{number % (FILES // DIRECTORIES)}"
        label = os.getxattr(path, "security.selinux").decode()
        assert f":{kind}:" in label, (path, label)


def least_calls(tree: Path, value: bytes) -> None:
    """What labels files that a hostile process may exchange, by all processors, and no decision.

    Each inode is read first, its label and how many names it has, for nothing is changed before all
    is known; then it is held, looked at once more, and changed by what holds it.
    """
    in_shares(tree, _read_all)
    in_shares(tree, partial(_write_all, value))


def in_shares(tree: Path, work: Callable[[list[str]], None]) -> None:
    """Do it with the names in each of a tree's directories, by all processors.

    Each directory is opened from the root's descriptor, as another could take its place meanwhile,
    and is asked which of its names are directories.
    """
    with opened(PurePosixPath(tree)) as root:
        shares = dealt([each.name for each in tree.iterdir() if each.is_dir()])
        list(spread(partial(_in_each, root, work), shares))


def _in_each(root: Root, work: Callable[[list[str]], None], share: list[str]) -> None:
    """Done by a process of its own, which may be anywhere."""
    for directory in directories(root, deque(share)):
        os.fchdir(directory.descriptor)
        work([each.name for each in directory.entries])


def _read_labels(names: list[str]) -> None:
    for name in names:
        os.getxattr(name, "security.selinux", follow_symlinks=False)


def _read_all(names: list[str]) -> None:
    for name in names:
        os.getxattr(name, "security.selinux", follow_symlinks=False)
        os.lstat(name)


def _write_all(value: bytes, names: list[str]) -> None:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    for name in names:
        held = os.open(name, flags)
        os.fstat(held)
        os.setxattr(f"/proc/self/fd/{held}", "security.selinux", value)
        os.close(held)
