"""What is undone when a step fails, or somebody asks virtsec to end, and what is told of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import pytest

from tests.unit.fakes import fake_host
from virtsec.errors import Failed
from virtsec.step import Host, execute


@dataclass(frozen=True)
class Does:
    """A step that remembers its undoing, and may do something in either."""

    log: list[str]
    word: str
    applied: Callable[[], object] = bool
    undone: Callable[[], object] = bool

    def describe(self) -> str:
        return self.word

    def apply(self, host: Host) -> None:
        self.applied()

    def undo(self, host: Host) -> None:
        self.undone()
        self.log.append(self.word)


def fail() -> NoReturn:
    raise Failed("It broke.")


def sent(*numbers: int) -> Callable[[], None]:
    """What sends these signals to this process, all at once."""

    def send() -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    return send


@contextmanager
def handlers(**by_name: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Somebody's own, who uses virtsec as a library."""
    before = {getattr(signal, name): each for name, each in by_name.items()}
    earlier = {number: signal.signal(number, each) for number, each in before.items()}
    try:
        yield
        assert {number: signal.getsignal(number) for number in before} == before
    finally:
        for number, each in earlier.items():
            signal.signal(number, each)
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


def three(
    log: list[str], applied: Callable[[], object], undone: Callable[[], object]
) -> list[Does]:
    """Steps of which the last does something, and the second when it is undone."""
    return [Does(log, "one"), Does(log, "two", undone=undone), Does(log, "three", applied)]


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """As Python's own handler of SIGINT does."""
    raise KeyboardInterrupt(number)


@pytest.mark.parametrize(
    "applied", [fail, sent(signal.SIGINT), sent(signal.SIGHUP, signal.SIGTERM)], ids=str
)
def test_who_asks_again_while_it_is_undone_does_not_cut_that_off(
    applied: Callable[[], object],
) -> None:
    log: list[str] = []
    again = sent(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with (
        handlers(SIGINT=interrupt, SIGTERM=interrupt, SIGHUP=interrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        execute(three(log, applied, again), fake_host())
    assert log == ["three", "two", "one"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, ValueError, Failed])
def test_whatever_an_undo_raises_is_a_note_and_the_others_are_undone(
    raised: type[BaseException],
) -> None:
    def undone() -> NoReturn:
        raise raised("No.") if raised is Failed else raised

    log: list[str] = []
    with pytest.raises(Failed) as error:
        execute(three(log, fail, undone), fake_host())
    assert log == ["three", "one"]
    said = "No." if raised is Failed else raised.__name__
    assert error.value.__notes__ == [f"Could not undo 'two': {said}"]


def test_a_handler_that_only_remembers_is_called_at_once_and_while_it_is_undone_afterwards() -> (
    None
):
    log: list[str] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        log.append(signal.Signals(number).name)

    def applied() -> None:
        sent(signal.SIGTERM)()
        log.append("applied")
        fail()

    with handlers(SIGTERM=remember), pytest.raises(Failed):
        execute(three(log, applied, sent(signal.SIGTERM)), fake_host())
    assert log == ["SIGTERM", "applied", "three", "two", "one", "SIGTERM"]


def test_what_undoes_is_not_ended_by_the_keys_that_all_of_a_terminal_get() -> None:
    log: list[str] = []
    kills_itself = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('whole')"

    def undone() -> None:
        words = (sys.executable, "-c", kills_itself)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        log.append(done.stdout.strip())

    with pytest.raises(Failed):
        execute(three(log, fail, undone), fake_host())
    assert log == ["three", "whole", "two", "one"]


def test_what_a_thread_does_is_undone_likewise() -> None:
    log: list[str] = []
    with ThreadPoolExecutor(1) as pool, pytest.raises(Failed):
        pool.submit(execute, three(log, fail, bool), fake_host()).result()
    assert log == ["three", "two", "one"]
