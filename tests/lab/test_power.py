"""Power fails somewhere on a command's way: the same once more leads where it would have led.

The scenarios, and the points on their way, are those of test_faults; one point of each is drawn by
a seed. The guest is really reset there. What the kernel need not have written by then it has not:
it is told to write nothing by itself, so that only what was synced, and what goes with it, is there
when the guest was started again.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from demo.containers import ALIKE
from demo.shell import run, virsh, virtsec
from drawn import Chance
from points import Watch
from scenarios import (
    BASE,
    BASES,
    MAKE,
    NAMES,
    NETWORK,
    OTHER,
    REFRESH,
    SCENARIOS,
    START,
    STORE,
    Scenario,
    begin,
    clear,
    lay_out,
    settled,
    take_away,
    undisturbed,
    warm_up,
    watched,
)
from traces import FORWARDING, differences, inodes

from virtsec.domain.connection import Libvirt

pytestmark = [pytest.mark.stress, pytest.mark.empty]

#: Where power failed, for those who are started again.
LOST = Path("/var/lib/power-was-lost.json")
#: Seconds between two commits of the journal, longer than any command takes.
COMMIT = 900


def write_nothing_by_itself() -> None:
    """Have all be on the disk now, and from now on only what somebody asks to be there."""
    run("mount", "-o", f"remount,commit={COMMIT}", "/")
    Path("/proc/sys/vm/dirty_writeback_centisecs").write_text("0")
    os.sync()


def have_tables() -> None:
    """Have libvirt make the tables that it leaves where its network ran once since the boot."""
    network, routing = Libvirt.connect().networks().get("default"), FORWARDING.read_text()
    if network is not None and network.active:
        return
    if network is None:
        virsh("net-define", NETWORK)
    virsh("net-start", "default")
    virsh("net-destroy", "default")
    if network is None:
        virsh("net-undefine", "default")
    FORWARDING.write_text(routing)


def stop_all() -> list[str]:
    """Stop what started by itself when the host did, and return what libvirt made for that."""
    running = {*virsh("list", "--name").stdout.split()} & {*NAMES}
    for name in running:
        virtsec("destroy", name)
    return [f"{STORE / name}/rootfs/.oldroot " for name in running]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str, scope="class")
class TestEach:
    """The first runs until power fails, the second when the guest was started again."""

    @pytest.mark.power_lost
    def test_power_fails_on_its_way(
        self, scenario: Scenario, chance: Chance, counted: Callable[[str], None], tmp_path: Path
    ) -> None:
        lay_out()
        virtsec("setup")  # the one before this may have been to take it away
        if not LOST.exists():  # what it is for is there after a boot
            warm_up()
        begin(scenario)
        points = watched(scenario, tmp_path)
        (point,) = chance.some(points, 1)
        begin(scenario)
        LOST.write_text(json.dumps([str(scenario), str(point)]))
        write_nothing_by_itself()
        watch = Watch(tmp_path / "again", point)
        done = virtsec(*scenario.words.split(), check=False, watched=watch)
        assert done.returncode == -signal.SIGKILL, f"{point} was not met: {done}"
        counted(f"power failed at {point}, one of {len(points)} points")

    def test_started_again_and_done_again_it_is_as_if_nothing_had_been(
        self, scenario: Scenario, tmp_path: Path
    ) -> None:
        lost, point = json.loads(LOST.read_text())
        assert lost == str(scenario), "power did not fail on its way"
        lay_out()
        made = stop_all()
        words = scenario.words.split()
        if START in scenario.before:  # what ran does not run any more
            virtsec(*START.split())
        again = virtsec(*words, check=False)
        said = virtsec("doctor", "--fix", check=False)
        have_tables()
        came = settled(scenario)
        found = differences(undisturbed(scenario, tmp_path).after, came)
        left = [line for line in found if not any(each in line for each in made)]
        assert left == [], f"{left[:6]} at {point}; again: {again}; doctor: {said.stdout}"


#: The last is a base, which nothing is defined after that would have the disk have it too.
MADE = (MAKE, f"define f1 --base {BASE} {' '.join(ALIKE)}", OTHER, "clone f2 f3", REFRESH)


def trees() -> list[str]:
    """All that is in the trees that those commands made."""
    return [
        line
        for path in (BASES / BASE, *(STORE / name for name in ("f1", "f2", "f3")))
        for line in inodes(path)
    ]


@pytest.mark.power_lost
def test_power_fails_once_trees_were_made() -> None:
    virtsec("setup")
    lay_out()
    clear()
    write_nothing_by_itself()
    for command in MADE:
        virtsec(*command.split())
    with LOST.open("w") as file:
        json.dump(trees(), file)
        file.flush()
        os.fsync(file.fileno())  # what is no data goes to the disk with it


def test_trees_that_were_made_have_their_files_data() -> None:
    made = json.loads(LOST.read_text())
    assert sum("/bin/busybox " in line for line in made) == len(MADE)
    assert differences(made, trees()) == []


def test_in_the_end_nothing_is_wrong() -> None:
    take_away()
    LOST.unlink()
    assert virtsec("doctor").returncode == 0
