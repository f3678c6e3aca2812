"""Labelling and unpacking of trees."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bench.paired import Row, seconds

from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs.label import label_tree
from virtsec.step import Silent

FILES, DIRECTORIES = 100_000, 1_000
TIMES = 3
#: SELinux's types that any policy has: two by turns for each side.
TYPES = {"ours": ("usr_t", "etc_t"), "theirs": ("tmp_t", "var_t")}


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

    try:
        theirs("mnt_t")  # the tree is in the page cache from here on
        first: dict[str, list[float]] = {"ours": [], "theirs": []}
        again: dict[str, list[float]] = {"ours": [], "theirs": []}
        for turn in range(TIMES):
            for side, work in (("ours", ours), ("theirs", theirs)):
                kind = TYPES[side][turn % 2]
                first[side].append(work(kind))
                again[side].append(work(kind))
    finally:
        shutil.rmtree(tree)
    for what, limit, found in (("first time, warm", 0.6, first), ("nothing to change", 0.4, again)):
        yield Row(
            work=f"label {FILES:,} files, {what}",
            against="chcon -R",
            limit=limit,
            ours=tuple(found["ours"]),
            theirs=tuple(found["theirs"]),
        )
