"""Removing a directory that may not be empty."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from virtsec.kernel.rmdir import remove_empty


def test_what_has_something_in_it_stays(tmp_path: Path) -> None:
    (tmp_path / "somebodys").touch()
    remove_empty(PurePosixPath(tmp_path))
    assert (tmp_path / "somebodys").exists()


def test_what_is_empty_goes_and_what_is_gone_is_no_error(tmp_path: Path) -> None:
    place = PurePosixPath(tmp_path / "empty")
    Path(place).mkdir()
    remove_empty(place)
    assert not Path(place).exists()
    remove_empty(place)


def test_what_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    """Else whoever asked for it would be told that it is gone."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        remove_empty(PurePosixPath(tmp_path / "file"))
