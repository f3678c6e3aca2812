"""All that containers leave on a host, to compare what it was with what it is."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from demo.shell import run, virsh

#: Where virtsec, libvirt and systemd keep what belongs to containers, and temporary files are.
PLACES = (
    *(
        "/etc/libvirt/lxc",
        "/etc/libvirt/hooks",
        "/etc/smack",
        "/etc/systemd/system",
        "/etc/virtsec",
    ),
    *(
        "/run/systemd/transient",
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/usr/libexec/virtsec",
    ),
    "/srv/faults",
)
#: Where containers' trees are, and beneath it bases.
TREES = Path("/var/lib/virtsec")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
#: Attributes by which overlayfs tells layers and inodes from others that ever were.
OVERLAYS = tuple(f"trusted.overlay.{each}" for each in ("uuid", "origin", "upper"))
#: What is another one each time it is made, and of what runs.
OWN = re.compile(
    r"<uuid>.*</uuid>|<mac address=.*/>|/run/systemd/transient/.*|handle \d+|packets \d+.*"
)


def seen(*names: str) -> list[str]:
    """All that virtsec, libvirt and the kernel have of containers, a line each.

    Of trees only those of these names: another container may run, and write to its own.
    """
    found = [line for path in PLACES for line in inodes(Path(path))]
    found += ["the host's lock is held" for _ in (1,) if held()]
    found += [f"routing of IPv4: {FORWARDING.read_text().strip()}"]
    for folder in filter(Path.exists, (TREES, *TREES.glob("_*"))):
        found += [f"{folder}: {path.name}" for path in sorted(folder.iterdir())]
    for path in (TREES / each for name in names for each in (name, f"_bases/{name}")):
        found += inodes(path)
    for name in sorted(virsh("list", "--all", "--name").stdout.split()):
        found += virsh("dumpxml", "--inactive", name).stdout.splitlines()
        found += [f"{name} starts by itself" for _ in (1,) if "enable" in _autostart(name)]
    found += run(
        "virsh", "-c", "lxc:///", "net-dumpxml", "default", check=False
    ).stdout.splitlines()
    found += sorted(
        each.split()[4] for each in Path("/proc/self/mountinfo").read_text().splitlines()
    )
    found += run("nft", "list", "ruleset").stdout.splitlines()
    rules = Path("/sys/fs/smackfs/load2")
    if rules.exists():
        found += sorted(rules.read_text().splitlines())
    else:
        found += [line for line in run("semodule", "-l").stdout.splitlines() if "virtsec" in line]
    return [OWN.sub("", line) for line in found]


def held() -> bool:
    """Whether a virtsec has the host's lock; its file is there from the first that takes it on."""
    try:
        with Path("/run/virtsec/lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _autostart(name: str) -> str:
    lines = virsh("dominfo", name).stdout.splitlines()
    return next(line for line in lines if line.startswith("Autostart"))


def inodes(root: Path) -> Iterator[str]:
    """What is at and beneath a path, with owners, modes, labels and contents."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(each for each in names if not each.startswith("pytest-"))
        for path in (Path(folder), *(Path(folder, each) for each in sorted(files))):
            try:
                status = path.lstat()
                attributes = {
                    each: os.getxattr(path, each, follow_symlinks=False)
                    for each in sorted(os.listxattr(path, follow_symlinks=False))
                    if each not in OVERLAYS
                }
            except FileNotFoundError:
                continue
            plain = path.is_file() and not path.is_symlink()
            content = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if plain else ""
            if path.suffix in (".xml", ".zst"):
                content = ""  # the definitions are compared as libvirt shows them
            owner = f"{status.st_uid} {status.st_gid} {status.st_mode:o}"
            yield f"{path} {owner} {attributes} {content}"


def differences(before: list[str], after: list[str]) -> list[str]:
    """Lines that one has and the other has not."""
    there, here = set(before), set(after)
    return [f"- {line}" for line in before if line not in here] + [
        f"+ {line}" for line in after if line not in there
    ]
