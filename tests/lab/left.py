"""What is on a host: of virtsec, and of all, to be compared with what was there before."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from demo.shell import run

#: What `virtsec setup` makes that is virtsec's alone.
OWN_PLACES = (
    "/etc/libvirt/hooks/lxc.d/50-virtsec",
    "/usr/libexec/virtsec",
    "/etc/virtsec",
    "/run/virtsec",
    "/var/lib/virtsec",
)


def left_of_policy(lsm: str) -> list[str]:
    """What is still there of virtsec's policy: modules; or rules, labels and units."""
    if lsm == "selinux":
        return [each for each in run("semodule", "-l").stdout.split() if each.startswith("virtsec")]
    labelled = run(
        *("find", "/etc", "/root", "/boot", "/var/log", "/var/lib", "/dev", "/run/credentials"),
        *("-xdev", "-exec", "getfattr", "--absolute-names", "-h", "-d", "-m", "SMACK64", "{}", "+"),
    )
    by_kernel = ('security.SMACK64="_"', 'security.SMACK64="*"')  # and by systemd's udev rules
    return [
        *Path("/sys/fs/smackfs/load2").read_text().splitlines(),
        *(
            line
            for line in labelled.stdout.splitlines()
            if line.startswith("security.") and line not in by_kernel
        ),
        *map(str, Path("/etc").glob("smack/*")),
        *map(str, Path("/etc/systemd/system").glob("**/virtsec*")),
        *map(str, Path("/etc/udev/rules.d").glob("*virtsec*")),
        *(["its table"] if "virtsec" in run("nft", "list", "tables").stdout else []),
    ]


def kept(*roots: str) -> Iterator[tuple[str, str, str]]:
    """What is in the host's own directories: path, owner and mode, and a hash of the content."""
    for root in roots:
        for path in sorted(Path(root).rglob("*")):
            status = path.lstat()
            content = b""
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
            owned = f"{status.st_uid}:{status.st_gid} {status.st_mode:o}"
            yield str(path), owned, hashlib.sha256(content).hexdigest()
