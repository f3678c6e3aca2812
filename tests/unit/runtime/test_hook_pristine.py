"""An init that is put back at each start, whatever became of it."""

from __future__ import annotations

import os
import posix
import stat
from pathlib import Path

import pytest

from tests.unit.runtime.inits import (
    FILE,
    HOST,
    INIT,
    assert_refused,
    exchange_init,
    keep_pristine,
    known,
    state,
)
from tests.unit.runtime.runtime_samples import Container, label_of
from virtsec.runtime import init
from virtsec.runtime.judgement import prepare


class TestPristine:
    def test_a_changed_init_is_put_back(self, stopped: Container) -> None:
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert stopped.init.read_bytes() == b"the kept one"
        assert label_of(stopped.init) == INIT
        assert stat.S_IMODE(stopped.init.stat().st_mode) == 0o755
        assert [path.name for path in stopped.init.parent.iterdir()] == ["systemd"]

    def test_an_init_that_is_the_same_stays_the_same_inode(self, stopped: Container) -> None:
        keep_pristine(stopped, stopped.init.read_bytes())
        before = stopped.init.stat().st_ino
        assert stopped.start().status == 0
        assert stopped.init.stat().st_ino == before
        assert label_of(stopped.init) == INIT

    @pytest.mark.parametrize(
        "now",
        [b"", b"the kept one and more", b"the kept", b"x" * 3_000_000],
        ids=["empty", "longer", "shorter", "far longer"],
    )
    def test_any_difference_counts(self, now: bytes, stopped: Container) -> None:
        stopped.init.write_bytes(now)
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert stopped.init.read_bytes() == b"the kept one"

    def test_a_start_that_was_killed_left_nothing_in_the_way(self, stopped: Container) -> None:
        stopped.init.with_name(init.TEMPORARY).write_bytes(b"half")
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert stopped.init.read_bytes() == b"the kept one"
        assert not stopped.init.with_name(init.TEMPORARY).exists()

    def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(
        self, stopped: Container, canary: Path
    ) -> None:
        before = state(canary)
        stopped.init.with_name(init.TEMPORARY).symlink_to(canary)
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert state(canary) == before

    def test_a_link_put_there_at_the_last_moment_is_not_followed(
        self, stopped: Container, canary: Path
    ) -> None:
        """As if the attacker won the race between looking and creating."""
        before = state(canary)
        stopped.init.with_name(init.TEMPORARY).symlink_to(canary)
        keep_pristine(stopped, b"the kept one")
        with known(stopped) as start, pytest.MonkeyPatch.context() as patch:
            patch.setattr(posix, "listdir", lambda _: [])
            with pytest.raises(FileExistsError):
                prepare(start)
        assert state(canary) == before

    def test_a_directory_moved_at_the_last_moment_is_not_followed(self, stopped: Container) -> None:
        """As if the attacker won the race between finding init and opening its directory."""
        outside = stopped.base / "outside"
        outside.mkdir()
        keep_pristine(stopped, b"the kept one")
        readlink = os.readlink

        def swap(path: str) -> str:
            found = readlink(path)
            if found == str(stopped.init):
                stopped.init.parent.rename(stopped.root / "away")
                stopped.init.parent.symlink_to(outside)
            return found

        with known(stopped) as start, pytest.MonkeyPatch.context() as patch:
            patch.setattr(posix, "readlink", swap)
            with pytest.raises(OSError, match="symbolic links"):
                prepare(start)
        assert stopped.init.parent.is_symlink()
        assert os.listdir(outside) == []

    def test_when_it_cannot_be_written_the_old_one_stays_and_nothing_starts(
        self, stopped: Container
    ) -> None:
        keep_pristine(stopped, b"the kept one")
        stopped.init.with_name(init.TEMPORARY).mkdir()
        assert_refused(stopped)
        assert stopped.init.read_bytes() == b"#!/bin/true\n"
        assert label_of(stopped.init) == FILE

    def test_a_failure_half_way_leaves_no_file(self, stopped: Container) -> None:
        keep_pristine(stopped, b"the kept one")
        with known(stopped) as start, pytest.MonkeyPatch.context() as patch:

            def full(*_: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(init, "put_label", full)
            with pytest.raises(OSError, match="No space"):
                prepare(start)
        assert [path.name for path in stopped.init.parent.iterdir()] == ["systemd"]
        assert stopped.init.read_bytes() == b"#!/bin/true\n"

    def test_without_a_copy_nothing_starts(self, stopped: Container) -> None:
        keep_pristine(stopped, b"")
        stopped.pristine.unlink()
        assert_refused(stopped, "init.pristine")

    def test_a_copy_that_others_may_write_is_none(self, stopped: Container) -> None:
        keep_pristine(stopped, b"the kept one")
        stopped.pristine.chmod(0o666)
        assert_refused(stopped, "others than root")

    def test_a_linked_copy_is_none(self, stopped: Container, canary: Path) -> None:
        keep_pristine(stopped, b"")
        stopped.pristine.unlink()
        stopped.pristine.symlink_to(canary)
        assert_refused(stopped, "symbolic link")

    def test_an_init_of_the_host_is_not_exchanged_either(
        self, stopped: Container, canary: Path
    ) -> None:
        keep_pristine(stopped, b"the kept one")
        exchange_init(stopped)
        os.link(canary, stopped.init)
        assert_refused(stopped, HOST)
        assert stopped.init.samefile(canary)
