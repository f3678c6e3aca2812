"""From one kind to the other and back: every inode is what it was, also when it is interrupted."""

import os
import signal
from collections.abc import Iterator

import pytest
from demo.containers import Small
from demo.shell import run, virtsec
from inodes import inodes
from killed import killed

from virtsec.commands.host import open_host
from virtsec.commands.kinds import shift
from virtsec.step import Silent

pytestmark = pytest.mark.once


@pytest.fixture
def odd(small: Small) -> Iterator[Small]:
    """The small container, stopped, with files whose ids are in more than their owners."""
    root = small.rootfs
    small.start()
    small.inside(
        "mkdir -p /odd/below; cd /odd; echo x >setuid; chown 100:200 setuid; chmod 6755 setuid; "
        "echo x >acl; echo x >capable; ln -s /etc/shadow link; echo x >below/twice; "
        "ln below/twice below/again"
    )
    small.stop()
    base = root.lstat().st_uid
    run("setfacl", "-m", f"u:{base + 33}:rw,g:{base + 34}:r", str(root / "odd/acl"))
    run("setfacl", "-d", "-m", f"u:{base + 35}:rwx", str(root / "odd/below"))
    run("setcap", "-n", str(base), "cap_net_bind_service=ep", str(root / "odd/capable"))
    virtsec("label", small.name)
    yield small
    small.start()
    small.inside("rm -r /odd")


def killed_on_the_way(name: str, *, privileged: bool) -> None:
    """Shift a container in a process that kills itself in the middle of its tree."""

    class Killing(Silent):
        walking = False
        directories = 0

        def begin(self, what: str, total: int | None) -> None:
            self.walking = what.startswith("label ") and bool(total)

        def advance(self, items: int = 1) -> None:
            self.directories += self.walking
            if self.directories == 3:
                os.kill(os.getpid(), signal.SIGKILL)

    killed(lambda: shift(name, open_host(Killing()), privileged=privileged))


def test_there_and_back_every_inode_is_what_it_was(odd: Small) -> None:
    before = inodes(odd.rootfs)
    base = odd.rootfs.lstat().st_uid
    assert base >= 65536
    killed_on_the_way(odd.name, privileged=True)
    half = {found[0] for found in inodes(odd.rootfs).values()}
    assert 0 in half
    assert base in half
    virtsec("label", odd.name)
    assert inodes(odd.rootfs) == before

    killed_on_the_way(odd.name, privileged=True)
    said = virtsec("set", odd.name, "--privileged").stdout
    assert said == f"{odd.name} is privileged, its root being root of this host.\n"
    there = inodes(odd.rootfs)
    assert there.keys() == before.keys()
    for path, (uid, gid, mode, attributes) in there.items():
        was = before[path]
        assert (uid + base, gid + base, mode) == was[:3], path
        labels = {name: value for name, value in attributes.items() if "acl" not in name}
        labels.pop("security.capability", None)
        assert labels.items() <= was[3].items(), path
    acl = run("getfacl", "-n", str(odd.rootfs / "odd/acl")).stdout
    assert "user:33:rw-" in acl
    assert "group:34:r--" in acl
    assert run("getcap", "-n", str(odd.rootfs / "odd/capable")).stdout.endswith(
        "cap_net_bind_service=ep\n"
    )
    odd.start()
    assert odd.confined()
    assert "0 0 4294967295" in " ".join(odd.inside("cat /proc/self/uid_map").stdout.split())
    running = virtsec("set", odd.name, "--unprivileged", check=False)
    assert running.returncode == 3
    assert "is running, and cannot be shifted meanwhile." in running.stderr
    odd.stop()

    virtsec("set", odd.name, "--unprivileged")
    again = odd.rootfs.lstat().st_uid
    assert again >= 65536
    moved = {
        path: (uid - again + base, gid - again + base, mode)
        for path, (uid, gid, mode, _) in inodes(odd.rootfs).items()
    }
    assert moved == {path: found[:3] for path, found in before.items()}
    if again == base:
        assert inodes(odd.rootfs) == before
    odd.start()
    assert odd.confined()
    odd.stop()


def test_what_it_is_already_it_stays(odd: Small) -> None:
    done = virtsec("set", odd.name, "--unprivileged")
    assert done.stdout.startswith(f"{odd.name} is unprivileged already, with ids ")
