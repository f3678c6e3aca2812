"""Every inode of a tree becomes the container's own, and none outside does."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.rootfs.rootfs_trees import (
    IDS,
    INIT,
    MARK,
    NET_BIND,
    Recorded,
    acl,
    attribute,
    everything,
    make_tree,
    mark_of,
    snapshot,
)
from virtsec.errors import Refused, RootfsFailed
from virtsec.kernel import filecap
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import change, survey
from virtsec.rootfs import label as label_module
from virtsec.rootfs.label import SHIFT, label_born, label_tree, rest_tree, restore_tree
from virtsec.rootfs.survey import PENDING
from virtsec.spec import IdRange

OTHER = IdRange(2_000_000)


@pytest.fixture(autouse=True, params=["one process", "several"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each promise holds for a tree that is small, and for one that several processes work on."""
    if request.param == "several":
        for module in (survey, change):
            monkeypatch.setattr(module, "SMALL", 0)
    return str(request.param)


class Killed(BaseException):
    """Stands for the process's end."""


def kill_after(monkeypatch: pytest.MonkeyPatch, name: str, calls: int) -> None:
    """Have the `calls`-th call of os.`name` by the writing walk be the last thing it does."""
    real = getattr(os, name)
    left = [calls]

    def counted(*words: object, **named: object) -> object:
        result = real(*words, **named)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return result

    monkeypatch.setattr(os, name, counted)


def label(tree: Path, marks: TreeMarks, ids: IdRange | None = IDS, **more: bool) -> int:
    counts = label_tree(PurePosixPath(tree), ids, marks, INIT, Recorded(), **more)
    return counts.changed


def test_every_inode_is_labelled_and_shifted_whatever_its_kind(
    tree: Path, marks: TreeMarks
) -> None:
    os.mkfifo(tree / "var/fifo")
    os.mknod(tree / "var/node", 0o20600, os.makedev(1, 3))
    before = snapshot(tree)
    label(tree, marks)
    for path in everything(tree):
        init = path == tree / "usr/lib/systemd/systemd"
        expected = b"directory" if path.is_dir() and not path.is_symlink() else b"file"
        assert mark_of(path) == (b"init" if init else expected), path
    after = snapshot(tree, IDS.start)
    assert {k: v[:3] for k, v in after.items()} == {k: v[:3] for k, v in before.items()}


def test_set_id_bits_capabilities_and_acls_survive_the_shift(tree: Path, marks: TreeMarks) -> None:
    label(tree, marks)
    su = (tree / "usr/bin/su").stat()
    assert (su.st_mode & 0o7777, su.st_uid, su.st_gid) == (0o6755, IDS.start, IDS.start + 42)
    value = attribute(tree / "usr/bin/ping", "security.capability")
    assert value is not None
    assert filecap.parse(value) == filecap.FileCapability(NET_BIND.permitted, 0, True, IDS.start)
    shifted = acl(user=IDS.start + 33, group=IDS.start + 4)
    assert attribute(tree / "var/log", "system.posix_acl_default") == shifted
    assert attribute(tree / "usr/bin/su", PENDING) is None
    assert attribute(tree, SHIFT) is None


def test_a_shift_there_and_back_is_the_identity(tree: Path, marks: TreeMarks) -> None:
    before = snapshot(tree)
    label(tree, marks)
    label(tree, marks, OTHER)
    assert snapshot(tree, OTHER.start).keys() == before.keys()
    label(tree, marks, None)
    assert snapshot(tree) == before


def test_in_a_tree_that_was_born_labelled_init_is_all_there_is_to_label(
    tree: Path, marks: TreeMarks
) -> None:
    assert not label_born(PurePosixPath(tree), marks, INIT)
    assert mark_of(tree / "usr/lib/systemd/systemd") is None
    label(tree, marks)
    os.setxattr(tree / "usr/lib/systemd/systemd", MARK, b"file")
    before = {path: mark_of(path) for path in everything(tree)}
    assert label_born(PurePosixPath(tree), marks, INIT)
    assert {path for path in everything(tree) if mark_of(path) != before[path]} == {
        tree / "usr/lib/systemd/systemd"
    }
    assert label(tree, marks) == 0


def test_a_second_walk_writes_nothing(
    tree: Path, marks: TreeMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    label(tree, marks)
    for name in ("setxattr", "removexattr", "chown"):
        monkeypatch.setattr(os, name, None)
    assert label(tree, marks) == 0


def test_only_what_is_wrong_is_written_and_counted(tree: Path, marks: TreeMarks) -> None:
    label(tree, marks)
    (tree / "etc/new").touch()
    os.setxattr(tree / "var/log", MARK, b"wrong")
    progress = Recorded()
    counts = label_tree(PurePosixPath(tree), IDS, marks, INIT, progress)
    assert counts.changed == 2
    assert progress.done[-1] == (f"label {tree}", 2, 2)
    assert (tree / "etc/new").stat().st_uid == IDS.start


#: Of each call as many as one process makes; of several one may make fewer, and not be killed.
KILLS = {"setxattr": (1, 2, 3, 5, 8, 13), "chown": (1, 2, 3, 5, 8, 13), "removexattr": (1, 2, 3)}


@pytest.mark.parametrize(("name", "calls"), [(name, n) for name, at in KILLS.items() for n in at])
def test_a_shift_that_was_killed_is_taken_up_and_loses_nothing(
    tree: Path, marks: TreeMarks, tmp_path: Path, name: str, calls: int, processes: str
) -> None:
    undisturbed = make_tree(tmp_path / "undisturbed")
    label(undisturbed, marks)
    with pytest.MonkeyPatch.context() as patch:
        kill_after(patch, name, calls)
        with suppress(Killed) if processes == "several" else pytest.raises(Killed):
            label(tree, marks)
    label(tree, marks)
    assert snapshot(tree) == snapshot(undisturbed)
    assert [mark_of(p) for p in everything(tree)] == [mark_of(p) for p in everything(undisturbed)]
    assert not any(attribute(path, PENDING) for path in everything(tree))


@pytest.mark.parametrize("then", [IDS, OTHER])
def test_a_shift_killed_between_chown_and_chmod_keeps_the_setuid_bit(
    tree: Path, marks: TreeMarks, then: IdRange, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: str, mode: int, capability: bytes | None) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(change, "_give_back", killed)
        with pytest.raises(Killed):
            label(tree, marks)
    label(tree, marks, then)
    assert (tree / "usr/bin/su").stat().st_mode & 0o7777 == 0o6755
    assert attribute(tree / "usr/bin/ping", "security.capability") is not None


def test_a_killed_shift_can_go_to_another_range_instead(
    tree: Path, marks: TreeMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tree)
    label(tree, marks)
    with monkeypatch.context() as patch:
        kill_after(patch, "chown", 7)
        with pytest.raises(Killed):
            label(tree, marks, OTHER)
    third = IdRange(3_000_000)
    label(tree, marks, third)
    after = snapshot(tree, third.start)
    assert {k: v[:3] for k, v in after.items()} == {k: v[:3] for k, v in before.items()}


def test_undoing_gives_a_tree_back_that_was_there_before(tree: Path, marks: TreeMarks) -> None:
    before = snapshot(tree)
    label(tree, marks, keep_origin=True)
    restore_tree(PurePosixPath(tree), marks, Recorded())
    assert snapshot(tree) == before
    assert not any(mark_of(path) for path in everything(tree))
    assert attribute(tree, SHIFT) is None


def test_undoing_leaves_alone_what_was_not_touched(tree: Path, marks: TreeMarks) -> None:
    label(tree, marks)
    restore_tree(PurePosixPath(tree), marks, Recorded())
    assert mark_of(tree) == b"directory"
    assert tree.stat().st_uid == IDS.start


def test_a_foreign_owner_is_named_and_nothing_is_changed(tree: Path, marks: TreeMarks) -> None:
    os.chown(tree / "var/log/mail", 500_000, 0)
    before = snapshot(tree)
    with pytest.raises(RootfsFailed, match=r"var/log/mail belongs to the id 500000"):
        label(tree, marks)
    assert snapshot(tree) == before
    assert not any(mark_of(path) for path in everything(tree))


def test_a_file_with_a_name_outside_is_refused_before_anything_is_changed(
    tree: Path, marks: TreeMarks, tmp_path: Path
) -> None:
    outside = tmp_path / "shadow"
    outside.write_text("secret")
    os.link(outside, tree / "etc/shadow")
    with pytest.raises(Refused, match="etc/shadow has another name outside the tree"):
        label(tree, marks)
    assert outside.stat().st_uid == 0
    assert not any(mark_of(path) for path in everything(tree))


def test_hard_links_within_the_tree_are_no_obstacle(tree: Path, marks: TreeMarks) -> None:
    label(tree, marks)
    assert (tree / "usr/bin/perl5").stat().st_ino == (tree / "usr/bin/perl").stat().st_ino
    assert (tree / "usr/bin/perl").stat().st_uid == IDS.start


def test_a_link_made_outside_after_the_survey_is_noticed(
    tree: Path, marks: TreeMarks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "shadow"
    outside.write_text("secret")

    def swap_then_change(*words: object) -> None:
        (tree / "etc/passwd").unlink()
        os.link(outside, tree / "etc/passwd")
        change.change(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(label_module, "change", swap_then_change)
    with pytest.raises(RootfsFailed, match="was changed by somebody else"):
        label(tree, marks)
    assert outside.stat().st_uid == 0
    assert mark_of(outside) is None


def test_symlinks_are_labelled_and_never_followed(
    tree: Path, marks: TreeMarks, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    (canary / "below").mkdir(parents=True)
    (tree / "etc/link").symlink_to(canary)
    label(tree, marks)
    assert mark_of(tree / "etc/link") == b"file"
    assert (tree / "etc/link").lstat().st_uid == IDS.start
    for path in everything(canary):
        assert mark_of(path) is None
        assert path.stat().st_uid == 0


def test_what_is_mounted_in_the_tree_is_left_alone(
    mounted: Path, tree: Path, marks: TreeMarks, tmp_path: Path
) -> None:
    (mounted / "file").touch()
    outer = tmp_path  # the mount point is one of the tree's directories here
    make_tree(outer)
    label(outer, marks)
    assert mark_of(mounted) is None
    assert (mounted / "file").stat().st_uid == 0
    assert mark_of(outer / "etc") == b"directory"


def test_a_tree_deeper_than_a_path_may_be_long_is_walked(tree: Path, marks: TreeMarks) -> None:
    name = "d" * 200
    top = os.open(tree / "var", os.O_PATH)
    current = top
    depth = 40
    for _ in range(depth):
        os.mkdir(name, dir_fd=current)
        current = os.open(name, os.O_PATH, dir_fd=current)
    label(tree, marks)
    assert os.fstat(current).st_uid == IDS.start


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "dangling", "outside"])
def test_an_init_that_is_no_file_of_the_tree_is_refused(
    tree: Path, marks: TreeMarks, tmp_path: Path, kind: str
) -> None:
    init = tree / "usr/lib/systemd/systemd"
    init.unlink()
    outside = tmp_path / "host-init"
    outside.touch()
    if kind == "directory":
        init.mkdir()
    elif kind == "fifo":
        os.mkfifo(init)
    elif kind == "dangling":
        init.symlink_to("/nowhere")
    elif kind == "outside":
        init.symlink_to(os.path.relpath(outside, init.parent))
    with pytest.raises(RootfsFailed, match="has no init"):
        label(tree, marks)
    assert mark_of(outside) is None
    assert not any(mark_of(path) for path in everything(tree))


def test_an_init_replaced_meanwhile_takes_the_label_over(tree: Path, marks: TreeMarks) -> None:
    label(tree, marks)
    old = tree / "usr/lib/systemd/systemd"
    old.rename(tree / "usr/lib/systemd/old")
    old.write_text("new init")
    label(tree, marks)
    assert mark_of(old) == b"init"
    assert mark_of(tree / "usr/lib/systemd/old") == b"file"


def test_a_tree_at_rest_has_no_label_left_and_its_owners_still(
    tree: Path, marks: TreeMarks
) -> None:
    label(tree, marks)
    rest_tree(PurePosixPath(tree), marks, Recorded())
    assert not any(mark_of(path) for path in everything(tree))
    assert tree.stat().st_uid == IDS.start


def test_a_tree_that_others_could_swap_is_refused(
    tree: Path, marks: TreeMarks, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    try:
        with pytest.raises(Refused, match=r"others than root may change"):
            label(tree, marks)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_may_not_be_changed_is_named(
    tree: Path, marks: TreeMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.setxattr

    def immutable(path: str, *words: bytes) -> None:
        if os.path.realpath(path) == str(tree / "etc/passwd"):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        real(path, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "setxattr", immutable)
    with pytest.raises(RootfsFailed, match=r"change .*/etc/passwd: Operation not permitted\.$"):
        label(tree, marks)


def test_a_file_system_without_attributes_gets_a_sentence(tree: Path, marks: TreeMarks) -> None:
    bad = TreeMarks({"nosuch.name": b"x"}, {"nosuch.name": b"x"}, {"nosuch.name": b"x"}, {})
    with pytest.raises(RootfsFailed, match="keeps no extended attributes"):
        label(tree, bad)
