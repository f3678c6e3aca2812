"""One virtsec at a time."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.unit.fakes import Recorder
from virtsec.errors import Refused
from virtsec.host.lock import host_lock, remove_lock
from virtsec.step import Silent


def test_the_second_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    place, order = tmp_path / "virtsec", []
    waiting = Recorder()

    def second() -> None:
        with host_lock(waiting, place):
            order.append("second")

    with host_lock(Silent(), place):
        thread = threading.Thread(target=second)
        thread.start()
        while not waiting.begun:
            pass
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert (waiting.begun, waiting.ended) == (["wait for another virtsec"], 1)


def test_who_waited_for_a_lock_that_is_taken_away_holds_the_next_one(tmp_path: Path) -> None:
    place, held, done = tmp_path / "virtsec", threading.Event(), threading.Event()
    waiting, third = Recorder(), Recorder()

    def second() -> None:
        with host_lock(waiting, place):
            held.set()
            done.wait(10)

    with host_lock(Silent(), place):
        thread = threading.Thread(target=second)
        thread.start()
        while not waiting.begun:
            pass
        remove_lock(place)
    assert held.wait(10)
    last = threading.Thread(target=lambda: host_lock(third, place).__enter__())
    last.start()
    while not third.begun:  # it waits for the second, and does not come in beside it
        assert last.is_alive()
    done.set()
    thread.join(10)
    last.join(10)


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), host_lock(Silent(), tmp_path / "virtsec"):
        raise RuntimeError
    waiting = Recorder()
    with host_lock(waiting, tmp_path / "virtsec"):
        assert waiting.begun == []


def test_the_directory_is_for_root_alone(tmp_path: Path) -> None:
    with host_lock(Silent(), tmp_path / "virtsec"):
        assert (tmp_path / "virtsec").stat().st_mode & 0o777 == 0o700


def test_a_directory_others_may_write_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "virtsec"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(Refused), host_lock(Silent(), place):
        pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "virtsec").symlink_to(tmp_path / "there")
    with pytest.raises(Refused), host_lock(Silent(), tmp_path / "virtsec"):
        pass
    (tmp_path / "real").mkdir(mode=0o700)
    os.symlink(tmp_path / "there" / "victim", tmp_path / "real" / "lock")
    with pytest.raises((Refused, OSError)), host_lock(Silent(), tmp_path / "real"):
        pass
    assert not (tmp_path / "there" / "victim").exists()
