"""As many containers as there is room for, started and stopped in waves: nothing piles up."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libvirtd
import pytest
from demo.containers import fleet_of, prepare
from demo.shell import run, virsh, virtsec
from drawn import Chance
from verified import broken, verified

MINUTES = 20
MOST = 200
#: What one of busybox takes, its controller included, and what the host keeps; in KiB.
EACH, HOST = 16 << 10, 700 << 10
AT_A_TIME = 4
SAMPLE = 2
#: How much libvirt's memory may grow from the first wave to the last.
GROWTH = 1.25


def room() -> int:
    """How many containers there is memory for."""
    found = re.search(r"^MemAvailable: *(\d+)", Path("/proc/meminfo").read_text(), re.M)
    assert found
    return min(MOST, (int(found[1]) - HOST) // EACH)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says how far it is, with the time of day: this takes hours."""

    def at_once(text: str) -> None:
        with capsys.disabled():
            print(time.strftime("%T"), text, flush=True)

    return at_once


@pytest.fixture
def names(tmp_path: Path, say: Callable[[str], None]) -> Iterator[list[str]]:
    """Containers that are shut off."""
    prepare()
    count = room()
    file = tmp_path / "load.yaml"
    file.write_text(fleet_of("load", count))
    say(f"defining {count} containers")
    virtsec("fleet", "apply", str(file), timeout=3600)
    yield [f"load-{number + 1}" for number in range(count)]
    virtsec("fleet", "destroy", str(file), timeout=3600)
    virtsec("base", "remove", "load")
    assert [each for each in groups() if r"load\x2d" in each] == []


def daemon() -> Path:
    """libvirt's, in /proc."""
    shown = run("systemctl", "show", "--value", "--property=MainPID", libvirtd.UNIT)
    return Path("/proc", shown.stdout.strip())


def resident() -> int:
    """What libvirt's daemon has in memory, in KiB."""
    found = re.search(r"^VmRSS:\s*(\d+)", (daemon() / "status").read_text(), re.M)
    assert found
    return int(found[1])


def groups() -> list[str]:
    """The control groups of containers, and systemd's units for them."""
    there = [str(each) for each in Path("/sys/fs/cgroup/machine.slice").glob("**/")]
    listed = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "machine-*")
    return there + listed.stdout.splitlines()


def left() -> dict[str, object]:
    """What containers that run have and those that are shut off have not."""
    return {
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "control groups and units": len(groups()),
        "links": len(run("ip", "-o", "link").stdout.splitlines()),
        "rules": len(run("nft", "list", "ruleset").stdout.splitlines()),
        "files": sorted(str(each) for each in Path("/run/virtsec").glob("**/*")),
        "libvirt's descriptors": len([*(daemon() / "fd").iterdir()]),
        "controllers": run("pgrep", "-c", "libvirt_lxc", check=False).stdout,
    }


def start(names: list[str]) -> None:
    """Start all of them, several at a time."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        done = pool.map(lambda name: virsh("start", name, check=False), names)
    assert [each.stderr for each in done if each.returncode != 0] == []


def stop(names: list[str]) -> None:
    """Stop all of them, by who bears with libvirt when it misses a control group that is gone."""
    virtsec("destroy", *names, timeout=3600)


@pytest.mark.stress
def test_waves_leave_nothing_and_what_runs_is_confined(
    names: list[str],
    chance: Chance,
    counted: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    # What libvirt and systemd make when a container starts for the first time is no leak.
    say("starting all of them for the first time")
    start(names)
    say("stopping them")
    stop(names)
    before, begun = left(), time.monotonic()
    memory: list[int] = []
    while time.monotonic() < begun + MINUTES * 60 or len(memory) < 2:
        say(f"wave {len(memory) + 1}")
        start(names)
        assert set(names) <= set(virsh("list", "--name").stdout.split())
        say("all run")
        for name in chance.some(names, SAMPLE):
            status, result = verified(name)
            assert (status, broken(result)) == (0, {})
        say("a sample was attacked; stopping all")
        stop(names)
        assert left() == before
        memory.append(resident())
    say("the last wave is over")
    assert memory[-1] <= memory[0] * GROWTH
    shown = " ".join(f"{each >> 10}" for each in memory)
    counted(f"{len(names)} containers in {len(memory)} waves; libvirt's memory after each: {shown}")
