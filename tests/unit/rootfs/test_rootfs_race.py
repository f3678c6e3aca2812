"""A process that owns the tree renames while virtsec walks: nothing outside is ever touched."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.rootfs.rootfs_trees import IDS, INIT, MARK, Recorded, everything, make_tree, mark_of
from tests.unit.rounds import ROUNDS, attacker, shared_out
from virtsec.errors import RootfsFailed, VirtsecError
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import label as label_module
from virtsec.rootfs import walk
from virtsec.rootfs.change import change
from virtsec.rootfs.label import label_tree
from virtsec.rootfs.remove import remove_tree

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100


def meanwhile(work: Callable[[], None]) -> AbstractContextManager[None]:
    """An attacker who goes on when something is not there."""

    def step() -> None:
        with suppress(OSError):
            work()

    return attacker(step)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host that looks like the tree's."""
    place = tmp_path / "canary"
    (place / "deep").mkdir(parents=True)
    for name in ("file", "deep/file"):
        (place / name).write_text("host")
    return place


def swap_with(tree: Path, canary: Path) -> Callable[[], None]:
    """Put a symlink to the canary in the place of a directory, and back."""
    victim, link = tree / "var/victim", tree / "var/link"
    (victim / "deep").mkdir(parents=True)
    for name in ("file", "deep/file"):
        (victim / name).touch()
    link.symlink_to(canary)
    exchange(victim, link)  # an attacker who cannot would go on all the same
    assert victim.is_symlink()
    exchange(victim, link)
    return lambda: exchange(victim, link)


def exchange(first: Path, second: Path) -> None:
    """Both names at once (renameat2(2), RENAME_EXCHANGE). Raises OSError."""
    names = [os.fsencode(first), os.fsencode(second)]
    if LIBC.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], 2):
        raise OSError(ctypes.get_errno(), f"{first} was not exchanged for {second}")


def untouched(canary: Path) -> bool:
    return (
        all(mark_of(path) is None and path.lstat().st_uid == 0 for path in everything(canary))
        and (canary / "deep/file").read_text() == "host"
    )


def test_a_directory_swapped_for_a_link_leads_the_walk_nowhere(
    tmp_path: Path, canary: Path, marks: TreeMarks, as_root: None
) -> None:
    def walks(rounds: int) -> None:
        tree = make_tree(tmp_path / f"tree of {os.getpid()}")
        with meanwhile(swap_with(tree, canary)):
            for number in range(rounds):
                with suppress(OSError):
                    for path in everything(tree):
                        os.removexattr(path, MARK, follow_symlinks=False)
                ids = (IDS, None)[number % 2]
                with suppress(VirtsecError):
                    label_tree(PurePosixPath(tree), ids, marks, INIT, Recorded())
                assert untouched(canary)
        label_tree(PurePosixPath(tree), IDS, marks, INIT, Recorded())
        assert all(mark_of(path) for path in everything(tree))

    shared_out(walks, ROUNDS)


def test_a_directory_swapped_at_the_worst_moment_leads_nowhere(
    tree: Path, canary: Path, marks: TreeMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = swap_with(tree, canary)

    def swapped_before(*words: object) -> None:
        swap()
        change(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(label_module, "change", swapped_before)
    with pytest.raises(RootfsFailed, match="was changed by somebody else"):
        label_tree(PurePosixPath(tree), IDS, marks, INIT, Recorded())
    assert untouched(canary)


def test_a_directory_swapped_while_the_tree_is_read_is_noticed(
    tree: Path, canary: Path, marks: TreeMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = swap_with(tree, canary)
    read: list[str] = []
    real = walk.descend

    def swapped_once(root: walk.Root, path: str) -> int:
        read.append(path)
        if path == "var/victim/deep":
            swap()
        return real(root, path)

    monkeypatch.setattr(walk, "descend", swapped_once)
    with pytest.raises(RootfsFailed, match="was changed by somebody else"):
        label_tree(PurePosixPath(tree), IDS, marks, INIT, Recorded())
    assert "var/victim/deep" in read


def test_a_file_swapped_for_a_hard_link_of_the_hosts_is_not_changed(
    tmp_path: Path, canary: Path, marks: TreeMarks, as_root: None
) -> None:
    def walks(rounds: int) -> None:
        tree = make_tree(tmp_path / f"tree of {os.getpid()}")
        victim, other = tree / "var/victim", tree / "var/other"
        victim.touch()

        def swap() -> None:
            os.link(canary / "file", other)
            other.rename(victim)
            other.touch()
            other.rename(victim)

        swap()  # raises where the attack cannot be made
        with meanwhile(swap):
            for number in range(rounds):
                ids = (IDS, None)[number % 2]
                with suppress(VirtsecError):
                    label_tree(PurePosixPath(tree), ids, marks, INIT, Recorded())
                assert untouched(canary)

    shared_out(walks, ROUNDS)


def test_removal_is_led_nowhere_either(tmp_path: Path, canary: Path, as_root: None) -> None:
    def removals(rounds: int) -> None:
        tree = tmp_path / f"tree of {os.getpid()}"
        for _ in range(rounds):
            (tree / "var").mkdir(parents=True)
            with meanwhile(swap_with(tree, canary)), suppress(VirtsecError):
                remove_tree(PurePosixPath(tree))
            assert untouched(canary)
            with suppress(VirtsecError):
                remove_tree(PurePosixPath(tree))

    shared_out(removals, ROUNDS)
