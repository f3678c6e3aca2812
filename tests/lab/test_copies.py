"""A container once more, elsewhere or by another name: nothing of it is lost, nothing shared."""

import json
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from complained import complained
from demo.containers import Small
from demo.shell import run, virsh, virtsec
from killed import killed_before

from virtsec.commands.copies import rename
from virtsec.commands.host import open_host
from virtsec.step import Silent

pytestmark = pytest.mark.once

ARCHIVE = Path("/srv/small.tar")
#: Attributes that are the host's, not the container's.
HOSTS = ("security.selinux", "security.SMACK", "trusted.")


@pytest.fixture(scope="module")
def original(small: Small) -> Iterator[Small]:
    """The small container, stopped, with files that are easily lost."""
    small.start()
    small.inside(
        "mkdir -p /odd; cd /odd; echo x >setuid; chown 100:200 setuid; chmod 6755 setuid; "
        "echo x >acl; echo x >capable; ln -s /nowhere link; echo x >one; ln one two; "
        "echo 0123 >/etc/machine-id; echo small >/etc/hostname"
    )
    small.stop()
    base = small.rootfs.lstat().st_uid
    run("setfacl", "-m", f"u:{base + 33}:rw", str(small.rootfs / "odd/acl"))
    run("setcap", "-n", str(base), "cap_net_raw=ep", str(small.rootfs / "odd/capable"))
    yield small
    small.start()
    small.inside("rm -r /odd")


@pytest.fixture(scope="module")
def twin(original: Small) -> Small:
    """A clone of it."""
    virtsec("clone", original.name, "twin")
    return Small("twin")


def tree(container: Small) -> dict[str, tuple[int, int, int, str]]:
    """Owners from 0, modes and what getfacl and getcap say of a container's files."""
    root = container.rootfs
    base = root.lstat().st_uid
    found = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(root))
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[name] = (status.st_uid - base, status.st_gid - base, status.st_mode, content.hex())
    return found


def extras(container: Small) -> tuple[str, str]:
    """ACL and capability of the odd files, with ids as they are inside."""
    odd, base = container.rootfs / "odd", container.rootfs.lstat().st_uid
    acl = run("getfacl", "-n", str(odd / "acl")).stdout.replace(f"user:{base + 33}:", "user:33:")
    lines = [line for line in acl.splitlines() if not line.startswith("#")]
    capability = run("getcap", "-n", str(odd / "capable")).stdout.replace(str(base), "base")
    return "\n".join(lines), capability.split(" ", 1)[1]


def info(name: str) -> dict[str, Any]:
    """What virtsec says of a container."""
    found: dict[str, Any] = json.loads(virtsec("info", name, "--json").stdout)
    return found


def test_a_clone_has_all_of_it_and_nothing_in_common(original: Small, twin: Small) -> None:
    one, other = info(original.name), info(twin.name)
    assert one["ids"]["start"] != other["ids"]["start"]
    assert one["label"] != other["label"]
    mine, its = tree(original), tree(twin)
    changed = {name for name in mine | its if mine.get(name) != its.get(name)}
    assert changed == {"etc/machine-id", "etc/hostname"}
    assert (twin.rootfs / "etc/machine-id").read_text() == ""
    assert (twin.rootfs / "etc/hostname").read_text() == "twin\n"
    assert (twin.rootfs / "odd/one").samefile(twin.rootfs / "odd/two")
    assert extras(twin) == extras(original)
    twin.start()
    assert twin.confined()
    twin.stop()


def test_what_is_exported_and_imported_is_the_same(original: Small) -> None:
    ARCHIVE.unlink(missing_ok=True)
    said = virtsec("export", original.name, str(ARCHIVE)).stdout
    assert said == f"Wrote small to {ARCHIVE}, {ARCHIVE.stat().st_size} bytes.\n"
    assert ARCHIVE.stat().st_mode & 0o777 == 0o600
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            assert member.uid < 65536, member.name
            kept = [name for name in member.pax_headers if name.startswith("SCHILY.xattr.")]
            assert not [name for name in kept if name[13:].startswith(HOSTS)], member.name
    words = ("import", str(ARCHIVE), "--name", "again")
    complained(words, 3, "more of the host than its own tree: /hostroot is mounted at /mnt")
    virtsec(*words, "--trust")
    again = Small("again")
    assert tree(again) == tree(original)
    assert extras(again) == extras(original)
    assert info("again")["mounts"] == info(original.name)["mounts"]
    again.start()
    assert again.confined()
    again.stop()


@pytest.mark.stress
def test_a_renamed_one_is_the_same_wherever_it_was_interrupted(
    original: Small, twin: Small
) -> None:
    virtsec("link", original.name, twin.name, "--port", "80")
    before, mac = tree(twin), _mac(twin.name)
    for step in ("GiveTree", "UndefineDomain"):
        killed_before(step, partial(rename, twin.name, "triplet", open_host(Silent())))
        assert virsh("domuuid", twin.name).returncode == 0
    virtsec("rename", twin.name, "triplet")
    triplet = Small("triplet")
    assert virsh("domuuid", twin.name, check=False).returncode != 0
    assert not twin.rootfs.parent.exists()
    assert tree(triplet) == before
    assert _mac("triplet") == mac
    assert virtsec("links").stdout == "small -> triplet  80/tcp\n"
    triplet.start()
    assert triplet.confined()
    checked = json.loads(virtsec("doctor", "--json", check=False).stdout)["checks"]
    assert [each for each in checked if not each["good"]] == []
    triplet.stop()
    virtsec("unlink", original.name, "triplet")


def _mac(name: str) -> str:
    found: list[str] = re.findall(r"<mac address='(.*)'/>", virsh("dumpxml", name).stdout)
    return found[0]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("clone", "small", "vs1"), 2, "libvirt has a domain vs1 already."),
        (("clone", "vs1", "vs9"), 3, "vs1 is running, and cannot be copied meanwhile."),
        (("rename", "vs1", "vs9"), 3, "vs1 is running, and cannot be renamed meanwhile."),
        (("rename", "small", "small"), 2, "libvirt has a domain small already."),
        (("rename", "small", "Small!"), 2, "'Small!' is not a container name."),
        (("export", "vs1", "/srv/vs1.tar"), 3, "vs1 is running, and cannot be exported meanwhile."),
        (("export", "small", "/srv/small.zip"), 2, "/srv/small.zip does not say how"),
        (("export", "small", "/nowhere/small.tar"), 2, "There is no directory /nowhere."),
        (("export", "small", str(ARCHIVE)), 2, f"{ARCHIVE} is there already."),
        (("import", "/srv/images/busybox.tar"), 2, "was not made by `virtsec export`."),
        (("import", "/etc/hostname"), 2, "is neither a directory nor a tar archive"),
        (("import", str(ARCHIVE), "--trust"), 2, "libvirt has a domain small already."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    original: Small, vs1: object, words: tuple[str, ...], status: int, sentence: str
) -> None:
    complained(words, status, sentence)
    assert not Path("/var/lib/virtsec/vs9").exists()
