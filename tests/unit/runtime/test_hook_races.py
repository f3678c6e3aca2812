"""A hostile container moves all there is while the hook works, and gains nothing."""

from __future__ import annotations

import mmap
import os
import posix
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.rounds import ROUNDS, attacker, shared_out
from tests.unit.runtime.inits import (
    keep_pristine,
    known,
    label,
    state,
)
from tests.unit.runtime.runtime_samples import Container
from virtsec.runtime import init
from virtsec.runtime.refusal import Refused
from virtsec.runtime.start import Start


def descriptors() -> set[int]:
    """Those open now, without the one that lists them."""
    own = "/proc/self/fd"
    return {int(name) for name in os.listdir(own) if os.path.lexists(f"{own}/{name}")}


@contextmanager
def descriptors_closed() -> Iterator[None]:
    """Close what the hook leaves to the end of its process."""
    before = descriptors()
    yield
    for left in descriptors() - before:
        os.close(left)


def swapped(place: Path, away: Path, other: Path) -> Callable[[], None]:
    """What puts `other` in the place of what is at `place`, kept `away` meanwhile, and back."""

    def swap() -> None:
        os.rename(place, away)
        os.rename(other, place)
        os.rename(place, other)
        os.rename(away, place)

    return swap


class TestRaces:
    """Rounds against an attacker that never stops; both outcomes must have been met in them."""

    def race(
        self,
        stopped: Container,
        canary: Path,
        act: Callable[[Start], None],
        *steps: Callable[[], None],
    ) -> None:
        before, met = state(canary), mmap.mmap(-1, 2)  # shared by all who do rounds
        with known(stopped) as start, attacker(*steps):

            def acts(rounds: int) -> None:
                for _ in range(rounds):
                    with descriptors_closed():
                        try:
                            act(start)
                            met[0] = 1
                        except (Refused, OSError):
                            met[1] = 1
                    assert state(canary) == before

            shared_out(acts, ROUNDS)
        assert met[:] == b"\1\1", "of passed and refused only one was met"

    def test_init_exchanged_for_a_link_to_the_canary(
        self, stopped: Container, canary: Path
    ) -> None:
        link, file = stopped.root / "link", stopped.root / "file"
        link.symlink_to(canary)
        stopped.init.rename(file)

        def put(source: Path) -> Callable[[], None]:
            spare = stopped.init.with_name("spare")

            def step() -> None:
                os.link(source, spare, follow_symlinks=False)
                os.rename(spare, stopped.init)
                spare.unlink(missing_ok=True)

            return step

        put(file)()
        self.race(stopped, canary, label, put(link), put(file))

    def test_init_exchanged_for_a_hard_link_of_the_canary(
        self, stopped: Container, canary: Path
    ) -> None:
        spare, own = stopped.base / "spare", stopped.init.with_name("own")
        os.link(canary, spare)

        self.race(stopped, canary, label, swapped(stopped.init, own, spare))

    def test_a_directory_above_init_exchanged_for_a_link_out(
        self, stopped: Container, canary: Path
    ) -> None:
        outside = stopped.base / "outside" / "systemd"
        outside.mkdir(parents=True)
        (outside / "systemd").symlink_to(canary)
        directory, away, link = (stopped.init.parent, stopped.root / "away", stopped.root / "link")
        link.symlink_to(outside)

        self.race(stopped, canary, label, swapped(directory, away, link))

    def test_pristine_writes_nowhere_else_while_directories_move(
        self, stopped: Container, canary: Path
    ) -> None:
        """The copy is put into a directory of the tree, or nowhere."""
        outside = stopped.base / "outside"
        outside.mkdir()
        os.link(canary, outside / "systemd")
        keep_pristine(stopped, b"the kept one")
        directory, away, link = (stopped.init.parent, stopped.root / "away", stopped.root / "link")
        link.symlink_to(outside)

        def act(start: Start) -> None:
            assert os.listdir(outside) == ["systemd"]
            stopped.pristine.write_bytes(os.urandom(8))
            root = os.open(start.root, os.O_PATH)
            init.restore_init(start, root, init.find_init(start, root))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(posix, "fsync", lambda _: None)  # it would take most of the time
            self.race(stopped, canary, act, swapped(directory, away, link))
        assert os.listdir(outside) == ["systemd"]
