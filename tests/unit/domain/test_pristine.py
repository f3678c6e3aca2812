"""The kept copy of init."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.fakes import fake_host
from virtsec.domain.keep import PRISTINE
from virtsec.domain.pristine import DropInit, KeepInit, kept
from virtsec.errors import BadInput, VirtsecError


def tree(tmp_path: Path) -> KeepInit:
    root = tmp_path / "root"
    (root / "sbin").mkdir(parents=True)
    (root / "usr").mkdir()
    (root / "usr/init").write_bytes(b"program")
    (root / "sbin/init").symlink_to("/usr/init")
    return KeepInit(
        "vs1", PurePosixPath(root), PurePosixPath("/sbin/init"), PurePosixPath(tmp_path, "store")
    )


def test_init_is_kept_as_the_container_sees_it(tmp_path: Path) -> None:
    step = tree(tmp_path)
    step.apply(fake_host())
    step.apply(fake_host())
    copy = tmp_path / "store/vs1" / PRISTINE
    assert copy.read_bytes() == b"program"
    assert copy.stat().st_mode & 0o077 == 0
    assert [path.name for path in copy.parent.iterdir()] == [PRISTINE]


def test_undo_and_drop_leave_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    step = tree(tmp_path)
    step.apply(fake_host())
    step.undo(fake_host())
    DropInit("vs1", step.store).apply(fake_host())
    assert not (tmp_path / "store/vs1").exists()


def test_drop_takes_away_what_one_that_was_killed_left(tmp_path: Path) -> None:
    step = tree(tmp_path)
    step.apply(fake_host())
    (tmp_path / "store/vs1" / f"{PRISTINE}.new").write_bytes(b"prog")
    DropInit("vs1", step.store).apply(fake_host())
    assert not (tmp_path / "store/vs1").exists()


def test_the_former_copy_is_back_when_another_is_undone(tmp_path: Path) -> None:
    step = tree(tmp_path)
    step.apply(fake_host())
    (tmp_path / "root/usr/other").write_bytes(b"another")
    other = replace(step, init=PurePosixPath("/usr/other"), before=kept("vs1", step.store))
    other.apply(fake_host())
    assert kept("vs1", step.store) == b"another"
    other.undo(fake_host())
    assert kept("vs1", step.store) == b"program"
    step.undo(fake_host())
    assert kept("vs1", step.store) is None


def test_the_copy_is_back_when_its_removal_is_undone(tmp_path: Path) -> None:
    """From the tree it cannot be taken again: the container may have put another init there."""
    step = tree(tmp_path)
    step.apply(fake_host())
    (tmp_path / "root/usr/init").write_bytes(b"another")
    drop = DropInit("vs1", step.store, before=kept("vs1", step.store))
    drop.apply(fake_host())
    assert kept("vs1", step.store) is None
    drop.undo(fake_host())
    assert kept("vs1", step.store) == b"program"


def test_a_tree_beside_the_copy_stays(tmp_path: Path) -> None:
    step = tree(tmp_path)
    step.apply(fake_host())
    (tmp_path / "store/vs1/rootfs").mkdir()
    step.undo(fake_host())
    assert (tmp_path / "store/vs1/rootfs").is_dir()


def test_a_link_to_the_hosts_files_copies_none_of_them(tmp_path: Path) -> None:
    step = tree(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root/sbin/init").unlink()
    (tmp_path / "root/sbin/init").symlink_to(tmp_path / "secret")
    with pytest.raises(VirtsecError):
        step.apply(fake_host())
    assert not (tmp_path / "store").exists()


def test_a_directory_is_no_init_to_keep(tmp_path: Path) -> None:
    step = tree(tmp_path)
    (tmp_path / "root/usr/init").unlink()
    (tmp_path / "root/usr/init").mkdir()
    with pytest.raises(BadInput):
        step.apply(fake_host())
