"""Commands that change a host, for tests that cut them off, and the state that each begins in."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import thinned
from demo.containers import ALIKE, BUSYBOX, Small, prepare
from demo.shell import run, stopped, virsh, virtsec
from points import Point, Watch, read
from traces import seen

WORK = Path("/srv/faults")
TREE, ARCHIVE = WORK / "tree", WORK / "f1.tar.zst"
FLEET, CHANGED = WORK / "fleet.yaml", WORK / "changed.yaml"
BASE = "faulty"
NAMES = ("f1", "f2", "f3", BASE)
STORE = Path("/var/lib/virtsec")
BASES = STORE / "_bases"
CONTROLLER = Path("/usr/libexec/virtsec/controller")
LIMITS = Path("/etc/systemd/system.control")
#: Labels of other files, by the module whose attribute it is.
OTHERS = {"security.selinux": b"system_u:object_r:bin_t:s0\0", "security.SMACK64": b"other"}
FOREIGN = f"""<domain type='lxc'><name>theirs</name><memory>65536</memory>
<os><type>exe</type><init>/sbin/init</init></os>
<devices><filesystem><source dir='{TREE}'/><target dir='/'/></filesystem></devices></domain>"""


@dataclass(frozen=True)
class Scenario:
    """A command, and those that come before it, of virtsec's or of the host's."""

    words: str
    before: tuple[str, ...] = ()
    stays: bool = False  #: what is done by the time that a call fails
    #: Part of a line of what there is once nothing is undone any more; empty: always all is.
    moved: str = ""
    amiss: bool = False  #: what setup made is not as it made it; see `spoil`

    @property
    def runs(self) -> bool:
        """Whether what it is about runs by then."""
        return self.words.startswith("start ") or START in self.before

    def __str__(self) -> str:
        return self.words.split(" /")[0].replace(" ", "-")


OWN = f"define f1 --from {BUSYBOX} --memory 64M"
PRISTINE = f"{OWN} --init-policy pristine"
EXPOSED = f"{OWN} --address 192.168.122.91/24 --expose 8091:80"
#: Without a policy of its own, which takes half a minute to load under SELinux.
DEFINE = f"{OWN} {' '.join(ALIKE)}"
START = "start f1"
OTHER = f"define f2 --from {BUSYBOX} --memory 64M {' '.join(ALIKE)}"
MAKE = f"base create {BASE} --from {BUSYBOX}"
REFRESH = f"base refresh {BASE} --from {BUSYBOX}"
NO_NETWORK = (
    *("virsh net-destroy default", "virsh net-undefine default"),
    "sysctl -qw net.ipv4.ip_forward=0",
)
NETWORK = "/usr/share/libvirt/networks/default.xml"
KNOWN_NETWORK = (*NO_NETWORK, f"virsh net-define {NETWORK}")
SCENARIOS = (
    Scenario(f"{EXPOSED} --init-policy pristine --egress lan --pids 99 --autostart"),
    Scenario("undefine f1 --storage", (PRISTINE,), stays=True),
    Scenario("undefine f1", (DEFINE,)),
    Scenario("label f1", (DEFINE,)),
    Scenario("set f1 --memory 80M --files 99", (DEFINE,)),
    Scenario("set f1 --memory 80M --pids 99", (DEFINE, START)),
    Scenario("set f1 --egress none", (DEFINE,)),
    Scenario("set f1 --privileged", (OWN,)),
    Scenario(START, (DEFINE,)),
    Scenario("link f1 f2 --port 80/tcp", (DEFINE, OTHER)),
    Scenario("unlink f1 f2", (DEFINE, OTHER, "link f1 f2 --port 80/tcp")),
    Scenario(MAKE),
    Scenario(REFRESH, (MAKE,), stays=True),
    Scenario(f"base remove {BASE}", (MAKE,), stays=True),
    Scenario(f"define f1 --base {BASE} --memory 64M {' '.join(ALIKE)}", (MAKE,)),
    Scenario(
        "start f1 --follow",
        (
            MAKE,
            f"define f1 --base {BASE} {' '.join(ALIKE)}",
            REFRESH,
        ),
        # That what it was on is not removed does not bring it back there.
        moved=f'tree="../_bases/{BASE}/2/tree"',
    ),
    Scenario("clone f1 f3", (DEFINE,)),
    Scenario("rename f1 f3", (DEFINE,)),
    Scenario(f"export f1 {ARCHIVE}", (DEFINE,)),
    Scenario(f"import {ARCHIVE} --name f3", (DEFINE, f"export f1 {ARCHIVE}")),
    Scenario("adopt theirs"),
    Scenario("release theirs", ("adopt theirs",)),
    # By the command itself: test_whole_fleet ends those that make containers for it.
    Scenario(f"fleet apply --parallel 1 {FLEET}", stays=True),
    Scenario(f"fleet apply --parallel 1 {CHANGED}", (f"fleet apply {FLEET}",), stays=True),
    Scenario(f"fleet destroy {FLEET}", (f"fleet apply {FLEET}",), stays=True),
    Scenario("verify f1", (DEFINE, START)),
    Scenario("doctor --fix", stays=True, amiss=True),
    # What setup has defined itself it undefines, and what was there it leaves as it was.
    Scenario("setup", ("setup", *NO_NETWORK)),
    # Last: the others need a host that is set up.
    Scenario("setup --remove", ("setup", *NO_NETWORK, "setup")),
    # What it took away that was left of f1, which is gone, it does not put back.
    Scenario("setup --remove", (*KNOWN_NETWORK, "setup", EXPOSED, "virsh undefine f1"), stays=True),
    Scenario("setup", (*KNOWN_NETWORK, "setup --remove")),
)


def lay_out() -> None:
    """Make what scenarios need on the host, as far as it is not there."""
    prepare()
    thinned.leave_out()
    if not TREE.exists():
        TREE.mkdir(parents=True)
        run("tar", "xpf", str(BUSYBOX), "-C", str(TREE))
    FLEET.write_text(
        f"version: 1\ndefaults: {{memory: 64M, from: {BUSYBOX}, confinement: category}}\n"
        f"bases:\n  {BASE}: {{from: {BUSYBOX}}}\n"
        # The one on the base is last: where that fails the other has the ids that it has else.
        f"containers:\n  - {{name: f2}}\n  - {{name: f1, base: {BASE}}}\n"
        "links:\n  - {from: f1, to: f2, port: 80/tcp}\n"
    )
    others = "{name: f2, memory: 80M, pids: 99, egress: lan, autostart: true}"
    CHANGED.write_text(FLEET.read_text().replace("{name: f2}", others).replace("80/tcp", "443/tcp"))
    if virsh("domuuid", "theirs", check=False).returncode != 0:
        virsh("define", "/dev/stdin", stdin=FOREIGN)


def warm_up() -> None:
    """Have libvirt and systemd make the directories that they make for the first of all."""
    clear()
    virtsec(*SCENARIOS[0].words.split())
    virtsec("start", "f1")


def take_away() -> None:
    """Leave the host as it was before `lay_out`."""
    clear()
    virsh("undefine", "theirs")
    run("rm", "-rf", str(WORK))
    thinned.put_back()
    virtsec("setup")


def clear() -> None:
    """Take away all that a scenario makes."""
    there = virsh("list", "--all", "--name").stdout.split()
    for name in set(NAMES) & set(there):
        stopped(name)
        virtsec("undefine", name, "--storage")
    virtsec("release", "theirs", check=False)
    if BASES.joinpath(BASE).exists():
        virtsec("base", "remove", BASE, check=False)
    # What `undefine` leaves without --storage, and what a test left that was cut off itself.
    run("rm", "-rf", *(str(BASES.parent / each) for each in ("f1", "f2", "f3", f"_bases/{BASE}")))
    ARCHIVE.unlink(missing_ok=True)
    slices = [f"machine-{name}.slice" for name in NAMES]
    if limited := [each for each in slices if LIMITS.joinpath(f"{each}.d").exists()]:
        run("systemctl", "revert", *limited)  # those that virsh undefined have them still


def begin(scenario: Scenario) -> None:
    """Come to the state it begins in."""
    clear()
    for command in scenario.before:
        program, *words = command.split()
        if program == "virsh":
            virsh(*words, check=False)  # what is to be taken away may not be there
        elif program == "sysctl":
            run(program, *words)
        else:
            virtsec(program, *words)
    if scenario.amiss:
        spoil()


def spoil() -> None:
    """Have the store's mode and the controller's label be what setup would make them no more."""
    STORE.chmod(0o700)
    for attribute, label in OTHERS.items():
        if attribute in os.listxattr(CONTROLLER):
            os.setxattr(CONTROLLER, attribute, label)


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
        points = watched(scenario, tmp_path)
        COURSES[scenario] = Course(before, settled(scenario), points)
    return COURSES[scenario]


def watched(scenario: Scenario, tmp_path: Path) -> list[Point]:
    """Do it from the state it begins in, and return the points on its way."""
    file = tmp_path / "points"
    virtsec(*scenario.words.split(), watched=Watch(file))
    return read(file)


def settled(scenario: Scenario) -> list[str]:
    """What there is once it is done; what was started is seen to be confined, and stopped."""
    if scenario.runs:
        assert Small("f1").confined(), virsh("domstate", "--reason", "f1", check=False)
        virtsec("destroy", "f1")
        forget_inodes()
    found = seen(*NAMES)
    if scenario.words == REFRESH:  # done again it makes another generation, and keeps that alone
        newest = max(BASES.joinpath(BASE).iterdir(), key=lambda path: int(path.name))
        found = [line.replace(str(newest), str(newest.with_name("newest"))) for line in found]
    return found


def forget_inodes() -> None:
    """Have the kernel read inodes from the disk again.

    Of one that it first meets by a file handle, as overlayfs does after a boot, Smack says what the
    root of the file system has for as long as the inode is in memory (smack_d_instantiate takes a
    dentry without a parent for a root); on the disk its label is what it was.
    """
    time.sleep(1)  # libvirt_lxc's mounts go with its last process
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")  # inodes stay while their pages do
