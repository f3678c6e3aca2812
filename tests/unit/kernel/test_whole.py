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
