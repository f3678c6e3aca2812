"""The article's attacks, and what tells on the host that they succeeded.

Each is a script for sh that exits with status 0 when it got what it wanted, run by root inside a
container that has the host's tree at /mnt, its /proc at /hostproc and its ptys at /hostpts. Targets
are decoys. The same scripts run where virtsec is not used: what succeeds nowhere proves nothing.
"""

import os
import pty
import select
import subprocess
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .containers import Container, Control

#: A user of the host that runs nothing but the decoy.
DECOY_USER = 4711


@dataclass(frozen=True)
class Attack:
    """One attack: `script` with the names of `Decoys.names` filled in."""

    id: str
    what: str
    script: str


ATTACKS = (
    Attack("shadow", "read the host's /etc/shadow", "head -c 1 /mnt/etc/shadow"),
    Attack("root-list", "list the host's /root", "ls /mnt/root | grep -q ."),
    Attack("key-read", "read a key of the host", "cat /mnt{key}"),
    Attack("key-write", "write a key of the host", "echo owned >>/mnt{key}"),
    Attack("root-plant", "put a file into the host's /root", "echo x >/mnt/root/planted"),
    Attack("neighbour-read", "read vs2's files", "cat /mnt{neighbour}/etc/hostname"),
    Attack("neighbour-write", "write vs2's files", "echo x >>/mnt{neighbour}/srv/planted"),
    Attack(
        "mknod", "make a disk's device node", "rm -f /tmp/disk; mknod /tmp/disk b {major} {minor}"
    ),
    Attack(
        "disk",
        "mount the host's disk",
        "mkdir -p /tmp/m; n={disk}; [ -b $n ] || n=/tmp/disk; mount -t ext4 $n /tmp/m",
    ),
    Attack("pty", "write to another's pty", "printf owned >/hostpts/{pty}"),
    Attack(
        # Signals stop at the pid namespace; memory does not. Zeros where its program was.
        "kill",
        "kill a task of the host through its memory",
        "at=$(grep -m1 r-xp /hostproc/{pid}/maps | cut -d- -f1) && dd if=/dev/zero "
        "of=/hostproc/{pid}/mem bs=4096 count=8 seek=$((0x$at)) oflag=seek_bytes conv=notrunc "
        "&& sleep 3",
    ),
    Attack(
        "cgroup",
        "freeze vs2 through the cgroup tree",
        "file=$(find /sys/fs/cgroup -path '*{name}*' -name cgroup.freeze | head -n 1); "
        '[ -n "$file" ] && echo 0 >"$file"',
    ),
    Attack("root-of", "walk through /proc/1/root", "ls /hostproc/1/root/etc"),
)


@dataclass
class Decoys:
    """What is attacked: a key, a task, a pty."""

    key: Path
    task: subprocess.Popen[bytes]
    master: int
    pty_number: str
    neighbour: Container
    disk: str

    CONTENT = "decoy, not a key\n"

    def names(self) -> dict[str, str]:
        """What the scripts call them."""
        status = os.stat(self.disk)
        return {
            "key": str(self.key),
            "pid": str(self.task.pid),
            "pty": self.pty_number,
            "neighbour": str(self.neighbour.rootfs),
            "name": self.neighbour.name,
            "disk": self.disk,
            "major": str(os.major(status.st_rdev)),
            "minor": str(os.minor(status.st_rdev)),
        }

    def damage(self) -> set[str]:
        """Ids of the attacks whose effect is seen on the host."""
        seen = set()
        if self.key.read_text() != self.CONTENT:
            seen.add("key-write")
        if Path("/root/planted").exists():
            seen.add("root-plant")
        if (self.neighbour.rootfs / "srv/planted").exists():
            seen.add("neighbour-write")
        if self.task.poll() is not None:
            seen.add("kill")
        if select.select([self.master], [], [], 0)[0]:
            seen.add("pty")
        return seen


@contextmanager
def decoys(neighbour: Container) -> Iterator[Decoys]:
    """Decoys for as long as they are needed; gone afterwards."""
    key = Path("/root/decoy-key")
    key.write_text(Decoys.CONTENT)
    key.chmod(0o600)
    loop = ["/bin/sh", "-c", "while :; do sleep 1; done"]
    task = subprocess.Popen(loop, user=DECOY_USER, group=DECOY_USER)
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        number = os.ttyname(slave).rpartition("/")[2]
        disk = Path("/proc/mounts").read_text().split(" / ")[0].rpartition("\n")[2]
        real = next(
            device
            for device in sorted(Path("/dev").glob("vd?"))
            if device.stat().st_rdev == os.stat("/").st_dev or str(device) == disk
        )
        yield Decoys(key, task, master, number, neighbour, str(real))
    finally:
        task.kill()
        task.wait()
        os.close(master)
        os.close(slave)
        for path in (key, Path("/root/planted"), neighbour.rootfs / "srv/planted"):
            path.unlink(missing_ok=True)


def script(attacks: tuple[Attack, ...], names: dict[str, str]) -> str:
    """One script that runs them all and says `ID bite` or `ID held REASON` for each."""
    lines = ["export LC_ALL=C"]
    for attack in attacks:
        body = attack.script.format(**names)
        lines.append(
            f"if ( {body} ) >/tmp/said 2>&1 </dev/null; then echo '{attack.id} bite'; "
            f"else echo '{attack.id} held' $(tail -n 1 /tmp/said); fi"
        )
    return "\n".join(lines)


def outcomes(said: str) -> dict[str, str]:
    """By id: 'bite', or 'held' and the reason."""
    known = {attack.id for attack in ATTACKS}
    found = {}
    for line in said.splitlines():
        identity, _, rest = line.partition(" ")
        if identity in known:
            found[identity] = rest
    return found


def attack_from(container: Container, targets: Decoys) -> dict[str, str]:
    """Attack from a container of virtsec; the host's own observation overrules what was said."""
    said = container.ssh("sh -s", stdin=script(ATTACKS, targets.names()), check=False).stdout
    return overruled(outcomes(said), targets)


def attack_from_control(control: Control, targets: Decoys) -> dict[str, str]:
    """The same from a container that libvirt started without virtsec."""
    return overruled(outcomes(control.attack(script(ATTACKS, targets.names()))), targets)


def overruled(found: dict[str, str], targets: Decoys) -> dict[str, str]:
    """`found`, where what is seen on the host stands above what the script believed."""
    for identity in targets.damage():
        found[identity] = "bite"
    missing = {attack.id for attack in ATTACKS} - set(found)
    if missing:
        raise AssertionError(f"attacks that did not run: {', '.join(sorted(missing))}")
    return found
