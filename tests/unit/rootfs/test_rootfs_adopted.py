"""A tree that was adopted gets every label back that it had, also when that is interrupted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.rootfs.rootfs_trees import (
    IDS,
    INIT,
    MARK,
    Recorded,
    attribute,
    everything,
    make_tree,
    mark_of,
    snapshot,
)
from tests.unit.rootfs.test_rootfs_label import Killed, kill_after
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs.label import give_back_tree, label_tree
from virtsec.rootfs.note import NOTE
from virtsec.spec import IdRange


@pytest.fixture
def theirs(tree: Path) -> Path:
    """A tree in which not every inode has a label, and not all the same."""
    for path in everything(tree):
        os.setxattr(path, MARK, b"theirs", follow_symlinks=False)
    os.setxattr(tree / "etc/passwd", MARK, b"secret")
    os.removexattr(tree / "usr/bin/su", MARK)
    return tree


def adopt(tree: Path, marks: TreeMarks, ids: IdRange | None = None) -> None:
    label_tree(PurePosixPath(tree), ids, marks, INIT, Recorded(), noting=True)


def release(tree: Path, ids: IdRange | None = None) -> None:
    give_back_tree(PurePosixPath(tree), ids, Recorded())


def labels(tree: Path) -> dict[Path, bytes | None]:
    return {path: mark_of(path) for path in everything(tree)}


def test_every_label_comes_back_and_no_note_is_left(theirs: Path, marks: TreeMarks) -> None:
    before, inodes = labels(theirs), snapshot(theirs)
    adopt(theirs, marks)
    assert set(labels(theirs).values()) == {b"directory", b"file", b"init"}
    adopt(theirs, marks)  # again notes nothing of ours
    release(theirs)
    assert labels(theirs) == before
    assert snapshot(theirs) == inodes
    assert not any(attribute(path, NOTE) for path in everything(theirs))


def test_what_was_made_meanwhile_is_labelled_as_the_root_is(theirs: Path, marks: TreeMarks) -> None:
    adopt(theirs, marks)
    (theirs / "etc/new").touch()
    os.setxattr(theirs / "etc/new", MARK, b"file")
    (theirs / "etc/passwd").rename(theirs / "etc/shadow")
    release(theirs)
    assert mark_of(theirs / "etc/new") == b"theirs"
    assert mark_of(theirs / "etc/shadow") == b"secret"


def test_owners_come_back_with_them(theirs: Path, marks: TreeMarks) -> None:
    before, inodes = labels(theirs), snapshot(theirs)
    adopt(theirs, marks)
    label_tree(PurePosixPath(theirs), IDS, marks, INIT, Recorded())  # set --unprivileged
    release(theirs)
    assert labels(theirs) == before
    assert snapshot(theirs) == inodes


@pytest.mark.parametrize("name", ["setxattr", "removexattr"])
@pytest.mark.parametrize("calls", [1, 2, 3, 5, 8, 13, 21])
def test_killed_anywhere_it_is_taken_up(
    theirs: Path, marks: TreeMarks, tmp_path: Path, name: str, calls: int
) -> None:
    before = labels(theirs)
    undisturbed = make_tree(tmp_path / "undisturbed")
    adopt(undisturbed, marks)
    with suppress(Killed), pytest.MonkeyPatch.context() as patch:  # it removes but one attribute
        kill_after(patch, name, calls)
        adopt(theirs, marks)
    adopt(theirs, marks)
    assert list(labels(theirs).values()) == list(labels(undisturbed).values())
    with pytest.raises(Killed), pytest.MonkeyPatch.context() as patch:
        kill_after(patch, name, calls)
        release(theirs)
    release(theirs)
    assert labels(theirs) == before
    assert not any(attribute(path, NOTE) for path in everything(theirs))
