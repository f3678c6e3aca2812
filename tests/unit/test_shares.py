"""Several processes do the work of one, and nothing of them stays."""

from __future__ import annotations

import os
import signal
from itertools import chain

import pytest

from tests.unit.processes import children
from virtsec.errors import Failed
from virtsec.shares import dealt, spread


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
