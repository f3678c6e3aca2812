"""A file is replaced as a whole, or keeps what it had."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from virtsec.kernel.whole import write_whole


def test_what_was_begun_before_is_no_hindrance_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path, staging = tmp_path / "file", tmp_path / ".file.new"
    path.write_text("before")
    staging.symlink_to(path)
    write_whole(path, b"after", staging, 0o640, (os.getuid(), os.getgid()))
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"after", tmp_path / ".file.new")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_there_already_is_not_written_again_but_what_one_killed_left_goes(
    tmp_path: Path,
) -> None:
    """Killed there, a command left what the same command had no reason to touch again."""
    path, staging = tmp_path / "file", tmp_path / ".file.new"
    write_whole(path, b"the same", staging, 0o640)
    before = path.stat()
    staging.write_text("")
    write_whole(path, b"the same", staging, 0o640)
    assert path.stat() == before
    assert list(tmp_path.iterdir()) == [path]


_NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize(
    "other", ["content", "size", "mode", pytest.param("owner", marks=_NEEDS_ROOT), "link"]
)
def test_whatever_is_otherwise_is_written(tmp_path: Path, other: str) -> None:
    path, staging = tmp_path / "file", tmp_path / ".file.new"
    write_whole(path, b"the same", staging)
    match other:
        case "content":
            path.write_text("THE SAME")
        case "size":
            path.write_text("the same, and more")
        case "mode":
            path.chmod(0o644)
        case "owner":
            os.chown(path, 1, 1)
        case "link":
            path.rename(tmp_path / "elsewhere")
            path.symlink_to("elsewhere")
    write_whole(path, b"the same", staging)
    status = path.lstat()
    assert stat.S_ISREG(status.st_mode)
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (
        0o600, os.geteuid(), os.getegid()
    )  # fmt: skip
    assert path.read_bytes() == b"the same"
