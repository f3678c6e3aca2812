"""A directory that is being made has its note from the start, or is not there."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.rootfs.rootfs_trees import IDS, INIT, make_archive
from virtsec.errors import Refused
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import steps, unfinished
from virtsec.rootfs.sources import default_source
from virtsec.rootfs.steps import FillTree, LeaveTree, RemoveTree
from virtsec.step import Host, execute


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


def test_a_tree_that_was_left_is_never_replaced(
    tmp_path: Path, marks: TreeMarks, host: Host
) -> None:
    """Though its definition was cut off: the container may have worked with it for long."""
    place = PurePosixPath(tmp_path / "tree")
    unfinished.make(place)
    Path(place, "precious").touch()
    execute([LeaveTree(place)], host)
    assert default_source(place) is None
    source = str(make_archive(tmp_path / "x.tar"))
    with pytest.raises(Refused, match="is there already"):
        execute([FillTree(place, source, IDS, INIT, "vs1", marks)], host)
    assert os.listdir(place) == ["precious"]


def test_a_tree_that_was_left_stays_so_when_its_container_stays(tmp_path: Path, host: Host) -> None:
    place = PurePosixPath(tmp_path / "tree")
    for noted in (True, False):
        if noted:
            unfinished.make(place)
        step = LeaveTree(place)
        step.apply(host)
        step.undo(host)
        assert not unfinished.is_unfinished(place)


def test_of_a_tree_that_is_gone_nothing_is_left(tmp_path: Path, host: Host) -> None:
    execute([LeaveTree(PurePosixPath(tmp_path / "tree"))], host)
    assert os.listdir(tmp_path) == []


def test_of_what_was_cut_off_as_it_went_nobody_takes_the_rest_for_a_tree(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = PurePosixPath(tmp_path / "tree")
    (tmp_path / "tree/etc").mkdir(parents=True)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, "remove_tree", cut_off)
        with pytest.raises(KeyboardInterrupt):
            execute([RemoveTree(place)], host)
    assert unfinished.is_going(place)
    execute([LeaveTree(place)], host)
    assert unfinished.is_going(place)
    assert default_source(place) is not None
    unfinished.begin(place)
    assert unfinished.is_unfinished(place)
    assert not unfinished.is_going(place)
