"""Limits: what one container takes is not missing elsewhere, and is changed while it runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.containers import ALIKE, Container, Small
from demo.shell import run, stopped, virtsec, wait_for

pytestmark = pytest.mark.once

SLICE = Path("/sys/fs/cgroup/machine.slice/machine-greedy.slice")
MEBI = 2**20
HOG = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"
#: What the kernel has where nothing is limited.
UNLIMITED = ("max", "max 100000", "100")


@pytest.fixture(scope="module")
def greedy() -> Iterator[Small]:
    """A running container of busybox with limits of its own, that wants all it can get."""
    container = Small("greedy")
    container.define(*ALIKE, "--memory", "64M", "--swap", "0", "--pids", "60", "--vcpus", "1")
    container.start()
    yield container
    container.stop()
    virtsec("undefine", container.name, "--storage")


def kept(file: str) -> str:
    """What the container's control group has: of its slice, its scope, or libvirt's in that.

    Each is as a whole what the one above has, unless it limits more.
    """
    (scope,) = SLICE.glob("machine-lxc*.scope")
    found = [(each / file) for each in (SLICE, scope, scope / "libvirt")]
    texts = [each.read_text().strip() for each in found if each.exists()]
    return next((text for text in texts if text not in UNLIMITED), "")


def limits(name: str) -> dict[str, object]:
    """What `virtsec info` says of them."""
    found: dict[str, object] = json.loads(virtsec("info", name, "--json").stdout)["limits"]
    return found


def test_every_limit_is_in_force(greedy: Small) -> None:
    assert kept("pids.max") == "60"
    assert kept("memory.max") == str(64 * MEBI)
    assert kept("memory.swap.max") == "0"
    assert kept("cpu.max") == "100000 100000"


def test_files_are_limited_while_it_runs_and_for_good(greedy: Small) -> None:
    """What has no group of its own is a limit of each process, which root inside cannot raise."""
    asked = "ulimit -n; ulimit -Hn; ulimit -n 2000 2>/dev/null || echo refused"
    init = f"/proc/{greedy.init_pid()}/limits"
    for number in ("500", "300"):
        virtsec("set", greedy.name, "--files", number)
        assert f"Max open files            {number} " in Path(init).read_text()
        assert greedy.inside(asked).stdout.split() == [number, number, "refused"]
    assert limits(greedy.name)["files"] == 300
    greedy.stop()
    greedy.start()
    assert greedy.inside(asked).stdout.split() == ["300", "300", "refused"]
    opened = 'i=10; while exec 2>/dev/null; eval "exec $i</etc/passwd"; do i=$((i+1)); done; echo'
    assert greedy.inside(f"({opened} $i); echo over").stdout.split()[-1] == "over"


#: Makes inotify instances until there are no more, and says how many.
NOTIFY = "my $n = 0; $n++ while syscall(294, 0) >= 0 and $n < 1000; print $n"
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")


def test_no_container_takes_the_inotify_of_all(vs1: Container) -> None:
    """All that containers have is the host's root's; nobody inside may raise their share of it."""

    def taken() -> int:
        return int(virtsec("exec", vs1.name, "--", "/usr/bin/perl", "-e", NOTIFY).stdout)

    assert 0 < taken() <= 64 < int(INSTANCES.read_text())
    vs1.ssh("echo 1000 >/proc/sys/user/max_inotify_instances", check=False)
    assert taken() <= 64
    virtsec("set", vs1.name, "--inotify", "90")
    assert 64 < taken() <= 90
    virtsec("set", vs1.name, "--inotify", "64")
    assert 0 < taken() <= 64


def test_a_fork_bomb_ends_at_its_limit_and_others_serve_on(greedy: Small, vs2: Container) -> None:
    bomb = "b() { b | b & }; b; sleep 5"
    greedy.inside(f"({bomb}) >/dev/null 2>&1 &")
    wait_for("the bomb", lambda: int((SLICE / "pids.peak").read_text()) == 60)
    assert vs2.page() == "This is vs2.\n"
    assert int((SLICE / "pids.current").read_text()) <= 60
    stopped(greedy.name)
    greedy.start()


def test_a_hog_of_memory_is_killed_and_others_serve_on(greedy: Small, vs2: Container) -> None:
    done = virtsec("exec", greedy.name, "--", "/bin/busybox", "sh", "-c", HOG, check=False)
    assert done.returncode == 128 + 9
    (events,) = SLICE.glob("machine-lxc*.scope/libvirt/memory.events")
    assert "oom_kill 0" not in events.read_text()
    assert vs2.page() == "This is vs2.\n"


def test_what_root_inside_raises_is_limited_all_the_same(greedy: Small) -> None:
    (own,) = SLICE.glob("machine-lxc*.scope/libvirt")
    for file, text in (("memory.max", "max"), ("cpu.max", "max 100000")):
        where = f"/sys/fs/cgroup/machine-lxc*.scope/libvirt/{file}"
        greedy.inside(f"for own in {where}; do echo {text} >$own; done")
        assert (own / file).read_text().strip() == text
        tried = greedy.inside(f"echo {text} >/sys/fs/cgroup/{file} || echo refused")
        assert tried.stdout.strip() == "refused"
    assert kept("memory.max") == str(64 * MEBI)
    assert kept("cpu.max") == "100000 100000"
    done = virtsec("exec", greedy.name, "--", "/bin/busybox", "sh", "-c", HOG, check=False)
    assert done.returncode == 128 + 9
    greedy.stop()
    greedy.start()


def test_limits_change_while_it_runs_and_for_good(greedy: Small) -> None:
    words = ("--memory", "128M", "--swap", "32M", "--pids", "80", "--vcpus", "2")
    virtsec("set", greedy.name, *words, "--cpu-shares", "50")

    def in_force() -> None:
        assert kept("pids.max") == "80"
        assert kept("memory.max") == str(128 * MEBI)
        assert kept("memory.swap.max") == str(32 * MEBI)
        assert kept("cpu.max") == "200000 100000"
        assert kept("cpu.weight") == "50"

    in_force()
    assert limits(greedy.name) == {
        "memory_mib": 128, "swap_mib": 32, "vcpus": 2, "cpu_shares": 50, "io_weight": None,
        "pids": 80, "files": 300, "inotify": 64,
    }  # fmt: skip
    greedy.stop()
    greedy.start()
    in_force()
    assert greedy.confined()


def test_what_is_missing_after_an_edit_of_systemds_is_found_and_mended(greedy: Small) -> None:
    run("systemctl", "set-property", SLICE.name, "TasksMax=infinity")
    done = virtsec("doctor", check=False)
    assert done.returncode == 1
    assert "TasksMax of machine-greedy.slice is infinity, and is to be 80." in done.stdout
    virtsec("doctor", "--fix")
    assert kept("pids.max") == "80"


def test_nothing_of_it_stays_when_it_is_undefined() -> None:
    short = Small("short")
    short.define(*ALIKE, "--pids", "50")
    short.start()
    short.stop()
    group = Path("/sys/fs/cgroup/machine.slice/machine-short.slice")
    assert list(Path("/etc/systemd/system.control").glob("machine-short.slice.d/*"))
    assert group.exists()
    virtsec("undefine", "short", "--storage")
    assert not list(Path("/etc/systemd/system.control").glob("machine-short*"))
    assert not group.exists()
    assert run("systemctl", "list-units", "--all", "--no-legend", "machine-short*").stdout == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Nothing is to be set."),
        (("--pids", "3"), "A container cannot have 3 processes."),
        (("--memory", "1M"), "1 MiB is not an amount of memory a container can have."),
        (("--memory", "much"), "'much' is not an amount of memory."),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    greedy: Small, words: tuple[str, ...], sentence: str
) -> None:
    before = limits(greedy.name)
    done = virtsec("set", greedy.name, *words, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") <= 2
    assert limits(greedy.name) == before
