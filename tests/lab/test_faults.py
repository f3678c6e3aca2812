"""A command that is cut off or fails anywhere on its way loses nothing and leaves nothing.

Each scenario is one command and the state it begins in. It is done undisturbed once, which says
what the host is then, and which points there are: calls that change something, and steps (see
points.py). Then it is done again and again, and SIGKILL ends it at one of them, or that call fails.
Where it was killed, the same command once more, and `doctor --fix`, lead to what the undisturbed
one led to. Where it failed, it says so and the host is as before, or, of a fleet and of what was to
be removed, what was done by then stays. Then the same once more leads there.

So many points of each as --points says are drawn by a seed; they are some fifty.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirtd
import pytest
from demo.shell import virtsec
from drawn import Chance
from machine.qemu import Lsm
from points import Fails, Point, Watch, die, read, steps
from scenarios import (
    COURSES,
    NAMES,
    SCENARIOS,
    Scenario,
    begin,
    lay_out,
    settled,
    take_away,
    undisturbed,
    warm_up,
)
from traces import differences, seen

pytestmark = [pytest.mark.stress, pytest.mark.empty]

FAILURES = (errno.ENOSPC, errno.EIO, errno.EPERM, errno.ENOMEM, errno.EROFS)


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    """What scenarios need on the host."""
    lay_out()
    warm_up()
    yield
    take_away()


@pytest.fixture
def points(
    scenario: Scenario, chance: Chance, tmp_path: Path, request: pytest.FixtureRequest
) -> list[Point]:
    """Those of the scenario's points that are drawn, at least one."""
    most = int(request.config.getoption("--points"))
    drawn = chance.some(undisturbed(scenario, tmp_path).points, most)
    assert drawn
    return drawn


def cut_off(scenario: Scenario, point: Point, tmp_path: Path) -> None:
    """Kill it there; done again, it is as if nothing had been."""
    course = undisturbed(scenario, tmp_path)
    begin(scenario)
    assert differences(course.before, seen(*NAMES)) == []
    words = scenario.words.split()
    done = virtsec(*words, check=False, watched=Watch(tmp_path / "again", point, die))
    assert done.returncode == -signal.SIGKILL, f"{point} was not met: {done}"
    again = virtsec(*words, check=False)
    said = virtsec("doctor", "--fix", check=False)
    left = differences(course.after, settled(scenario))
    assert left == [], f"{left[:6]} killed at {point}; again: {again}; doctor: {said.stdout}"


def fail(scenario: Scenario, point: Point, number: int, tmp_path: Path) -> None:
    """Have the call fail there; it says so and undoes, or does without it."""
    course = undisturbed(scenario, tmp_path)
    begin(scenario)
    words = scenario.words.split()
    # The connection is gone by the time of such a call.
    what = libvirtd.restart if point.call.startswith("libvirt ") else Fails(number)
    done = virtsec(*words, check=False, watched=Watch(tmp_path / "again", point, what))
    assert "Traceback" not in done.stderr, f"{point}: {done.stderr}"
    met = {(each.call, each.place) for each in read(tmp_path / "again") if each.time >= point.time}
    assert (point.call, point.place) in met, f"{point} was not met: {done}"
    if done.returncode != 0:
        assert done.returncode == 1, f"{point}: {done}"
        left = differences(course.before, seen(*NAMES))
        assert scenario.stays or left == [], f"{left[:6]} {os.strerror(number)} at {point}: {done}"
        virtsec(*words)
    left = differences(course.after, settled(scenario))
    assert left == [], f"{left[:6]} {os.strerror(number)} at {point}: {done}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
class TestEach:
    """What is found at points of one scenario."""

    def test_killed_and_done_again(
        self,
        scenario: Scenario,
        points: list[Point],
        counted: Callable[[str], None],
        tmp_path: Path,
    ) -> None:
        for point in points:
            cut_off(scenario, point, tmp_path)
        counted(f"killed at {len(points)} of {len(COURSES[scenario].points)} points")

    def test_failing_it_is_undone(
        self,
        scenario: Scenario,
        points: list[Point],
        chance: Chance,
        counted: Callable[[str], None],
        tmp_path: Path,
    ) -> None:
        for point in points:
            fail(scenario, point, chance.random.choice(FAILURES), tmp_path)
        counted(f"{len(points)} of {len(COURSES[scenario].points)} points failed")


def test_every_step_is_among_them(lsm: Lsm, tmp_path: Path) -> None:
    met = {each.call for scenario in SCENARIOS for each in undisturbed(scenario, tmp_path).points}
    other = "smack" if lsm is Lsm.SELINUX else "selinux"
    wanted = {
        f"step {each.__name__}" for each in steps() if f".mac.{other}." not in each.__module__
    }
    assert wanted - met == set()
