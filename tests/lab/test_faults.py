"""A command that is cut off or fails anywhere on its way loses nothing and leaves nothing.

Each scenario is one command and the state it begins in. It is done undisturbed once, which says
what the host is then, and which points there are: calls that change something, and steps (see
points.py). Then it is done again and again, and SIGKILL ends it at one of them, or that call fails.
Where it was killed, the same command once more, and `doctor --fix`, lead to what the undisturbed
one led to. Where it failed, it says so and the host is as before, or, of a fleet and of what was to
be removed, what was done by then stays. Then the same once more leads there. The same is done at
system calls that Python does not tell of, those of the programs that it runs among them (calls.py).

So many points of each as --points says are drawn by a seed; they are some fifty.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirtd
import pytest
from calls import Call, calls, disturbed
from demo.shell import Result, virtsec
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

#: Of each scenario the system calls that were made, by processes that Python tells nothing of too.
CALLS: dict[Scenario, list[Call]] = {}
#: Those that something happened at.
DISTURBED: list[Call] = []
#: How many system calls are drawn for each that is to be met.
ATTEMPTS = 5
FAILURES = (errno.ENOSPC, errno.EIO, errno.EPERM, errno.ENOMEM, errno.EROFS)


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    """What scenarios need on the host."""
    lay_out()
    warm_up()
    yield
    take_away()


@pytest.fixture
def most(request: pytest.FixtureRequest) -> int:
    """At how many points it is tried."""
    return int(request.config.getoption("--points"))


@pytest.fixture
def points(scenario: Scenario, chance: Chance, tmp_path: Path, most: int) -> list[Point]:
    """Those of the scenario's points that are drawn, at least one."""
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
    done_again(scenario, f"killed at {point}", tmp_path)


def done_again(scenario: Scenario, how: str, tmp_path: Path) -> None:
    """After it was killed: the same command and the doctor lead where it would have led."""
    again = virtsec(*scenario.words.split(), check=False)
    said = virtsec("doctor", "--fix", check=False)
    left = differences(undisturbed(scenario, tmp_path).after, settled(scenario))
    assert left == [], f"{left[:6]} {how}; again: {again}; doctor: {said.stdout}"


def fail(scenario: Scenario, point: Point, number: int, tmp_path: Path) -> None:
    """Have the call fail there; it says so and undoes, or does without it."""
    undisturbed(scenario, tmp_path)
    begin(scenario)
    words = scenario.words.split()
    # The connection is gone by the time of such a call.
    what = libvirtd.restart if point.call.startswith("libvirt ") else Fails(number)
    done = virtsec(*words, check=False, watched=Watch(tmp_path / "again", point, what))
    met = {(each.call, each.place) for each in read(tmp_path / "again") if each.time >= point.time}
    assert (point.call, point.place) in met, f"{point} was not met: {done}"
    undone(scenario, done, f"{os.strerror(number)} at {point}", tmp_path)


def undone(scenario: Scenario, done: Result, how: str, tmp_path: Path) -> None:
    """After something failed: it said so and undid, and leads there the next time."""
    course = undisturbed(scenario, tmp_path)
    assert "Traceback" not in done.stderr, f"{how}: {done.stderr}"
    if done.returncode != 0:
        assert done.returncode == 1, f"{how}: {done}"
        left = differences(course.before, seen(*NAMES))
        moved = scenario.moved and any(scenario.moved in line for line in left)
        assert scenario.stays or moved or left == [], f"{left[:6]} {how}: {done}"
        virtsec(*scenario.words.split())
    left = differences(course.after, settled(scenario))
    assert left == [], f"{left[:6]} {how}: {done}"


def disturb(
    scenario: Scenario,
    what: str,
    then: Callable[[str, Result], None],
    chance: Chance,
    most: int,
    tmp_path: Path,
) -> str:
    """Have it happen at so many system calls that are drawn, and `then` look each time; how many.

    `then` is given what happened and how the command ended.
    """
    file, words = tmp_path / "calls", scenario.words.split()
    undisturbed(scenario, tmp_path)  # `then` compares, when it is too late to begin anew
    if scenario not in CALLS:
        begin(scenario)
        CALLS[scenario] = calls(words, file)
        settled(scenario)
    met = 0
    drawn = chance.some(CALLS[scenario], ATTEMPTS * most)
    for call in chance.random.sample(drawn, len(drawn)):
        begin(scenario)
        done = disturbed(words, file, call, what)
        if done is None:  # what runs beside something else does not always take as many calls
            continue
        DISTURBED.append(call)
        then(f"{what} at {call}", done)
        met += 1
        if met == most:
            break
    return f"{met} of {len(CALLS[scenario])} system calls"


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

    def test_killed_at_a_system_call_and_done_again(
        self,
        scenario: Scenario,
        chance: Chance,
        counted: Callable[[str], None],
        tmp_path: Path,
        most: int,
    ) -> None:
        """Which of its processes it is that is killed is as it comes."""

        def then(how: str, done: Result) -> None:
            assert "Traceback" not in done.stderr, f"{how}: {done.stderr}"
            done_again(scenario, how, tmp_path)

        at = disturb(scenario, "signal=SIGKILL", then, chance, most, tmp_path)
        counted(f"killed at {at}")

    def test_a_system_call_fails_and_it_is_undone(
        self,
        scenario: Scenario,
        chance: Chance,
        counted: Callable[[str], None],
        tmp_path: Path,
        most: int,
    ) -> None:
        def then(how: str, done: Result) -> None:
            undone(scenario, done, how, tmp_path)

        what = f"error={errno.errorcode[chance.random.choice(FAILURES)]}"
        counted(f"{disturb(scenario, what, then, chance, most, tmp_path)} failed")


def test_every_step_is_among_them(lsm: Lsm, tmp_path: Path) -> None:
    met = {each.call for scenario in SCENARIOS for each in undisturbed(scenario, tmp_path).points}
    other = "smack" if lsm is Lsm.SELINUX else "selinux"
    wanted = {
        f"step {each.__name__}" for each in steps() if f".mac.{other}." not in each.__module__
    }
    assert wanted - met == set()


def test_system_calls_are_among_them() -> None:
    """Some scenarios make none but those that Python tells of; together they make these."""
    if not CALLS:
        pytest.skip("no scenario was chosen whose system calls are disturbed")
    names = {each.name for made in CALLS.values() for each in made}
    assert len(CALLS) < len(SCENARIOS) or {"fsync", "syncfs", "unshare", "write"} <= names
    assert len(DISTURBED) >= sum(1 for made in CALLS.values() if made)
