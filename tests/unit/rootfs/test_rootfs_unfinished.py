"""A directory that is being made has its note from the start, or is not there."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from virtsec.rootfs import unfinished


def test_it_has_the_note_from_when_it_has_its_name(tmp_path: Path) -> None:
    place = PurePosixPath(tmp_path / "tree")
    unfinished.make(place)
    assert unfinished.is_unfinished(place)
    assert os.listdir(tmp_path) == ["tree"]


def test_where_it_cannot_have_its_name_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/somebodys").touch()
    with pytest.raises(OSError, match="not empty"):
        unfinished.make(PurePosixPath(tmp_path / "tree"))
    assert os.listdir(tmp_path) == ["tree"]
    assert os.listdir(tmp_path / "tree") == ["somebodys"]


def test_what_a_run_that_was_cut_off_left_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".tree").mkdir()
    unfinished.make(PurePosixPath(tmp_path / "tree"))
    assert os.listdir(tmp_path) == ["tree"]
