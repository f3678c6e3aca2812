"""Several processes do the work of one, and nothing of them stays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path

import pytest

from tests.unit.processes import children
from virtsec.errors import Failed
from virtsec.shares import dealt, spread, work_through


@pytest.fixture
def others() -> set[str]:
    """Children that are none of these tests' making."""
    return children()


def test_all_is_dealt_once_and_nothing_makes_no_share() -> None:
    pieces = list(range(1000))
    assert sorted(chain.from_iterable(dealt(pieces))) == pieces
    assert dealt([]) == []
    assert list(spread(sum, [])) == []


def test_every_share_is_worked_on_by_another_process(others: set[str]) -> None:
    shares = dealt(list(range(1000)))
    said = list(spread(lambda share: (sum(share), os.getpid()), shares))
    assert sum(total for total, _ in said) == 499_500
    assert os.getpid() not in {process for _, process in said}
    assert children() == others


def test_what_is_raised_there_is_raised_here_and_the_others_end(others: set[str]) -> None:
    def work(share: list[int]) -> None:
        if 7 in share:
            raise Failed("It went wrong.", "Mend it.")
        signal.pause()

    with pytest.raises(Failed, match=r"It went wrong\.") as caught:
        list(spread(work, [[7], [8]]))
    assert caught.value.remedy == "Mend it."
    assert children() == others


def test_one_that_is_killed_is_missed(others: set[str]) -> None:
    def work(share: list[int]) -> None:
        if 7 in share:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(Failed, match="ended by somebody else"):
        list(spread(work, [[7], [8]]))
    assert children() == others


def test_of_each_share_all_is_heard_that_a_process_of_its_own_says(others: set[str]) -> None:
    heard: list[tuple[int, int]] = []
    work_through(
        lambda share: [(each, os.getpid()) for each in share],
        [[1, 2], [3]],
        heard.append,
        nullcontext(),
    )
    at = dict(heard)
    assert sorted(at) == [1, 2, 3]
    assert at[1] == at[2] != at[3]
    assert os.getpid() not in at.values()
    assert children() == others


def undoing(share: list[int], place: Path) -> Iterator[str]:
    """Works on a share until it is interrupted, and says then what it undid."""
    yield f"began {share}"
    (place / str(share[0])).touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        yield f"undid {share}"
        raise


def begun(place: Path, count: int) -> None:
    """Wait until so many have begun."""
    while len(list(place.iterdir())) < count:
        time.sleep(0.01)


def test_interrupted_each_undoes_what_it_had_begun_and_is_heard(
    others: set[str], tmp_path: Path
) -> None:
    def work(share: list[int]) -> Iterator[str]:
        if share == [0]:
            begun(tmp_path, 2)
            os.kill(os.getppid(), signal.SIGINT)
        yield from undoing(share, tmp_path)

    heard: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        work_through(work, [[0], [1], [2]], heard.append, nullcontext())
    assert {"undid [1]", "undid [2]"} <= {*heard}
    assert children() == others


def test_what_one_raises_interrupts_the_others_and_is_raised_here(
    others: set[str], tmp_path: Path
) -> None:
    def work(share: list[int]) -> Iterator[str]:
        if share == [0]:
            begun(tmp_path, 1)
            raise Failed("It went wrong.", "Mend it.")
        yield from undoing(share, tmp_path)

    heard: list[str] = []
    with pytest.raises(Failed, match=r"It went wrong\."):
        work_through(work, [[0], [1]], heard.append, nullcontext())
    assert heard[-1] == "undid [1]"
    assert children() == others


def test_what_one_would_have_said_that_is_killed_is_missing(others: set[str]) -> None:
    def work(share: list[int]) -> Iterator[int]:
        for each in share:
            if each == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            yield each

    heard: list[int] = []
    work_through(work, [[6, 7, 8], [9]], heard.append, nullcontext())
    assert sorted(heard) == [6, 9]
    assert children() == others
