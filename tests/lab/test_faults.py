"""A command that is cut off or fails anywhere on its way loses nothing and leaves nothing.

Each scenario is one command and the state it begins in. It is done undisturbed once, which says
what the host is then, and which points there are: calls that change something, and steps (see
points.py). Then it is done again and again, and SIGKILL ends it at one of them, or that call fails.
Where it was killed, the same command once more, and `doctor --fix`, lead to what the undisturbed
one led to. Where it failed, it says so and the host is as before, or, of a fleet and of what was to
be removed, what was done by then stays. Then the same once more leads there.

Points are drawn by a seed.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import libvirtd
import pytest
from demo.containers import ALIKE, BUSYBOX, Small, prepare
from demo.shell import run, virsh, virtsec
from drawn import Chance
from machine.qemu import Lsm
from points import Fails, Point, Watch, die, read, steps
from traces import differences, seen

WORK = Path("/srv/faults")
TREE, ARCHIVE, FLEET = WORK / "tree", WORK / "f1.tar.zst", WORK / "fleet.yaml"
BASE = "faulty"
NAMES = ("f1", "f2", "f3", BASE)
BASES = Path("/var/lib/virtsec/_bases")
FOREIGN = f"""<domain type='lxc'><name>theirs</name><memory>65536</memory>
<os><type>exe</type><init>/sbin/init</init></os>
<devices><filesystem><source dir='{TREE}'/><target dir='/'/></filesystem></devices></domain>"""
#: How many points of each scenario are drawn.
POINTS = 20
FAILURES = (errno.ENOSPC, errno.EIO, errno.EPERM, errno.ENOMEM, errno.EROFS)


@dataclass(frozen=True)
class Scenario:
    """A command, and those that come before it."""

    words: str
    before: tuple[str, ...] = ()
    stays: bool = False  #: what is done by the time that a call fails

    def __str__(self) -> str:
        return self.words.split(" /")[0].replace(" ", "-")


OWN = f"define f1 --from {BUSYBOX} --memory 64M"
#: Without a policy of its own, which takes half a minute to load under SELinux.
DEFINE = f"{OWN} {' '.join(ALIKE)}"
OTHER = f"define f2 --from {BUSYBOX} --memory 64M {' '.join(ALIKE)}"
MAKE = f"base create {BASE} --from {BUSYBOX}"
SCENARIOS = (
    Scenario(
        f"{OWN} --address 192.168.122.91/24 --expose 8091:80 --egress lan --pids 99 --autostart"
    ),
    Scenario("undefine f1 --storage", (OWN,), stays=True),
    Scenario("undefine f1", (DEFINE,)),
    Scenario("label f1", (DEFINE,)),
    Scenario("set f1 --memory 80M --files 99", (DEFINE,)),
    Scenario("set f1 --egress none", (DEFINE,)),
    Scenario("start f1", (DEFINE,)),
    Scenario("link f1 f2 --port 80/tcp", (DEFINE, OTHER)),
    Scenario("unlink f1 f2", (DEFINE, OTHER, "link f1 f2 --port 80/tcp")),
    Scenario(MAKE),
    Scenario(f"base refresh {BASE} --from {BUSYBOX}", (MAKE,), stays=True),
    Scenario(f"base remove {BASE}", (MAKE,), stays=True),
    Scenario(f"define f1 --base {BASE} --memory 64M {' '.join(ALIKE)}", (MAKE,)),
    Scenario(
        "start f1 --follow",
        (
            MAKE,
            f"define f1 --base {BASE} {' '.join(ALIKE)}",
            f"base refresh {BASE} --from {BUSYBOX}",
        ),
    ),
    Scenario("clone f1 f3", (DEFINE,)),
    Scenario("rename f1 f3", (DEFINE,)),
    Scenario(f"export f1 {ARCHIVE}", (DEFINE,)),
    Scenario(f"import {ARCHIVE} --name f3", (DEFINE, f"export f1 {ARCHIVE}")),
    Scenario("adopt theirs"),
    Scenario("release theirs", ("adopt theirs",)),
    # By the command itself: test_whole_fleet ends those that make containers for it.
    Scenario(f"fleet apply --parallel 1 {FLEET}", stays=True),
    Scenario(f"fleet destroy {FLEET}", (f"fleet apply {FLEET}",), stays=True),
    Scenario("verify f1", (DEFINE, "start f1")),
    # Last: the others need a host that is set up.
    Scenario("setup --remove", ("setup",)),
    Scenario("setup", ("setup --remove",)),
)


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    """What scenarios need on the host."""
    prepare()
    WORK.mkdir()
    TREE.mkdir()
    run("tar", "xpf", str(BUSYBOX), "-C", str(TREE))
    FLEET.write_text(
        f"version: 1\ndefaults: {{memory: 64M, from: {BUSYBOX}, confinement: category}}\n"
        f"bases:\n  {BASE}: {{from: {BUSYBOX}}}\n"
        f"containers:\n  - {{name: f1, base: {BASE}}}\n  - {{name: f2}}\n"
        "links:\n  - {from: f1, to: f2, port: 80/tcp}\n"
    )
    virsh("define", "/dev/stdin", stdin=FOREIGN)
    clear()
    # Directories that libvirt and systemd make for the first of all.
    virtsec(*SCENARIOS[0].words.split())
    virtsec("start", "f1")
    yield
    clear()
    virsh("undefine", "theirs")
    run("rm", "-rf", str(WORK))
    virtsec("setup")


def clear() -> None:
    """Take away all that a scenario makes."""
    there = virsh("list", "--all", "--name").stdout.split()
    for name in set(NAMES) & set(there):
        virsh("destroy", name, check=False)
        virtsec("undefine", name, "--storage")
    virtsec("release", "theirs", check=False)
    if BASES.joinpath(BASE).exists():
        virtsec("base", "remove", BASE, check=False)
    # What `undefine` leaves without --storage, and what a test left that was cut off itself.
    run("rm", "-rf", *(str(BASES.parent / each) for each in ("f1", "f2", "f3", f"_bases/{BASE}")))
    ARCHIVE.unlink(missing_ok=True)


def begin(scenario: Scenario) -> None:
    """Come to the state it begins in."""
    clear()
    for words in scenario.before:
        virtsec(*words.split())


@dataclass
class Course:
    """What came of a scenario that nothing disturbed."""

    before: list[str]
    after: list[str]
    points: list[Point]


COURSES: dict[Scenario, Course] = {}


def undisturbed(scenario: Scenario, tmp_path: Path) -> Course:
    """Do it once, and remember how it went."""
    if scenario not in COURSES:
        begin(scenario)
        before = seen(*NAMES)
        file = tmp_path / "points"
        virtsec(*scenario.words.split(), watched=Watch(file))
        COURSES[scenario] = Course(before, settled(scenario), read(file))
    return COURSES[scenario]


def settled(scenario: Scenario) -> list[str]:
    """What there is once it is done; what was started is seen to be confined, and stopped."""
    if scenario.words.startswith(("start", "verify")):
        name = scenario.words.split()[1]
        assert Small(name).confined(), virsh("domstate", "--reason", name, check=False)
        virsh("destroy", name)
    return seen(*NAMES)


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


@pytest.mark.stress
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
class TestEach:
    """What is found at points of one scenario."""

    def test_killed_and_done_again(
        self, scenario: Scenario, chance: Chance, counted: Callable[[str], None], tmp_path: Path
    ) -> None:
        points = chance.some(undisturbed(scenario, tmp_path).points, POINTS)
        assert points
        for point in points:
            cut_off(scenario, point, tmp_path)
        counted(f"killed at {len(points)} of {len(COURSES[scenario].points)} points")

    def test_failing_it_is_undone(
        self, scenario: Scenario, chance: Chance, counted: Callable[[str], None], tmp_path: Path
    ) -> None:
        points = chance.some(undisturbed(scenario, tmp_path).points, POINTS)
        assert points
        for point in points:
            fail(scenario, point, chance.random.choice(FAILURES), tmp_path)
        counted(f"{len(points)} of {len(COURSES[scenario].points)} points failed")


@pytest.mark.stress
def test_every_step_is_among_them(lsm: Lsm, tmp_path: Path) -> None:
    met = {each.call for scenario in SCENARIOS for each in undisturbed(scenario, tmp_path).points}
    other = "smack" if lsm is Lsm.SELINUX else "selinux"
    wanted = {
        f"step {each.__name__}" for each in steps() if f".mac.{other}." not in each.__module__
    }
    assert wanted - met == set()
