"""Containers on one base: it is kept once, nobody changes it, and what each writes is its own."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep

import pytest
from asked import allowed
from complained import complained
from demo.containers import ALIKE, BUSYBOX, Small, prepare
from demo.shell import run, stopped, virsh, virtsec, wait_for
from inodes import inodes
from killed import killed_before
from machine.qemu import Lsm
from verified import broken, verified

from virtsec.commands.bases import follow
from virtsec.commands.host import open_host
from virtsec.step import Silent

pytestmark = pytest.mark.once

BASE, TREE = "shared", Path("/var/lib/virtsec/_bases/shared/1/tree")
TEN = [f"layer-{number}" for number in range(10)]
#: What makes the base worth sharing.
BIG, SIZE = "srv/big", 20 << 20

#: What a hostile root does to all that it sees, by every way there is to change a file.
HOSTILE = r"""
for f in $(find / -xdev -type f ! -path "/bin/*" ! -path "/lib*" ! -path /srv/big); do
  echo changed >>"$f"; chmod 777 "$f"; mv "$f" "$f.moved"
done
dd if=/dev/zero of=/srv/big bs=4k count=1 conv=notrunc
for f in /bin/busybox /etc /srv; do chown 5:5 $f; touch -d 1999-01-01 $f; done
mkdir /etc/new; ln /srv/big /srv/name; ln -s / /etc/all
setfattr -n trusted.overlay.redirect -v /etc /srv; setfattr -n trusted.overlay.opaque -v y /etc
rm -rf /usr /root /home; mount -o remount,rw /; mount -t overlay none -o lowerdir=/,upperdir=/ /mnt
echo done
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A base, of busybox and something big."""
    prepare()
    image = tmp_path_factory.mktemp("base") / "big.tar"
    shutil.copyfile(BUSYBOX, image)
    with tarfile.open(image, "a") as archive:
        member = tarfile.TarInfo(BIG)
        member.size, member.mode = SIZE, 0o644
        archive.addfile(member, BytesIO(os.urandom(SIZE)))
    virtsec("base", "create", BASE, "--from", str(image))
    yield image
    for name in (*TEN, "fleeting"):
        stopped(name)
    virtsec("undefine", "--storage", *TEN, "fleeting", check=False)
    virtsec("base", "remove", BASE)
    assert not TREE.exists()


@pytest.fixture(scope="module")
def ten(base: Path) -> list[Small]:
    """Ten containers on it, which run."""
    del base
    found = [Small(name) for name in TEN]
    for each in found:
        virtsec("define", each.name, "--base", BASE, *ALIKE)
        each.start()
    return found


def whole(tree: Path) -> dict[Path, tuple[object, str]]:
    """Every inode of a tree, and what is in it."""
    found: dict[Path, tuple[object, str]] = {}
    for path, about in inodes(tree).items():
        plain = path.is_file() and not path.is_symlink()
        found[path] = about, hashlib.sha256(path.read_bytes()).hexdigest() if plain else ""
    return found


def test_ten_take_the_base_once_and_what_is_their_own(ten: list[Small]) -> None:
    described = json.loads(virtsec("base", "info", BASE, "--json").stdout)
    (generation,) = described["generations"]
    assert generation["size"] > SIZE
    sizes = {each["name"]: each["size"] for each in generation["users"]}
    assert sorted(sizes) == TEN
    assert max(sizes.values()) < SIZE / 5
    disk = sum(int(run("du", "-s", "-B1", str(each.rootfs)).stdout.split()[0]) for each in ten)
    assert abs(disk - sum(sizes.values())) < SIZE / 5
    assert disk + generation["size"] < 3 * generation["size"]
    assert len({each.info()["label"]["process"] for each in ten}) == len(ten)


@pytest.mark.stress
def test_it_starts_as_quickly_as_a_copy(ten: list[Small], small: Small) -> None:
    def takes(container: Small) -> float:
        container.stop()
        begun = monotonic()
        container.start()
        return monotonic() - begun

    for each in (ten[0], small):
        takes(each)
    layered, copied = (min(takes(each) for _ in range(3)) for each in (ten[0], small))
    print(f"on a base {layered:.2f} s, on a copy {copied:.2f} s")
    assert layered < 2 * copied


def test_no_root_inside_changes_the_base_or_another(ten: list[Small]) -> None:
    before, others = whole(TREE), whole(ten[9].rootfs)
    for each in ten[:9]:
        assert "done" in each.inside(HOSTILE).stdout
        assert each.inside("cat /etc/passwd.moved").stdout.endswith("changed\n")
    assert whole(TREE) == before
    assert whole(ten[9].rootfs) == others
    big = hashlib.sha256((TREE / BIG).read_bytes()).hexdigest()
    assert ten[9].inside(f"sha256sum /{BIG}").stdout.split()[0] == big
    assert ten[0].inside(f"sha256sum /{BIG}").stdout.split()[0] != big


@pytest.mark.stress
def test_killed_at_once_they_start_with_what_they_wrote(ten: list[Small]) -> None:
    before, killed = whole(TREE), ten[4:7]
    for each in killed:
        each.inside("echo kept >/srv/kept; sync")
    controllers = [virsh("domid", each.name).stdout.strip() for each in killed]
    run("kill", "-9", *controllers)
    wait_for("their end", lambda: not any(each.running() for each in killed))
    for each in killed:
        each.start()
        assert each.confined()
        assert each.inside("cat /srv/kept").stdout == "kept\n"
    assert whole(TREE) == before


def test_attacks_from_one_are_refused(ten: list[Small]) -> None:
    status, result = verified(ten[8].name, "--against", ten[9].name)
    assert (status, broken(result)) == (0, {})


def test_the_label_of_a_base_is_open_to_no_container(ten: list[Small], lsm: Lsm) -> None:
    own = ten[0].info()["label"]["process"]
    if lsm is Lsm.SMACK:
        label = os.getxattr(TREE / "etc/passwd", "security.SMACK64").decode()
        for access in "rwxa":
            with Path("/sys/fs/smackfs/access2").open("r+b", buffering=0) as ask:
                ask.write(f"{own} {label} {access}".encode())
                assert ask.read(1) == b"0"
    else:
        label = os.getxattr(TREE / "etc/passwd", "security.selinux").rstrip(b"\0").decode()
        for each in ("file", "dir", "lnk_file"):
            assert allowed(own, label, each) == 0


def test_what_is_scratch_is_gone_at_stop_and_the_rest_is_there(base: Path) -> None:
    del base
    fleeting = Small("fleeting")
    virtsec("define", fleeting.name, "--base", BASE, "--scratch", *ALIKE)
    fleeting.start()
    assert fleeting.confined()
    assert fleeting.inside("echo x >/etc/passwd; rm /srv/big; ls /srv").stdout == ""
    before = whole(fleeting.rootfs)
    fleeting.stop()
    fleeting.start()
    assert fleeting.inside("ls /srv").stdout == "big\n"
    assert fleeting.inside("cat /etc/passwd").stdout.startswith("root:")
    assert whole(fleeting.rootfs) == before
    fleeting.stop()
    mounted = Path("/proc/self/mountinfo").read_text()
    assert "overlay" not in mounted
    assert "scratch" not in mounted


def test_it_stops_being_a_layer_of_its_own_nowhere(ten: list[Small]) -> None:
    """What lies beside its root, and in its definition, is what it starts with, or it does not."""
    each = ten[1]
    each.stop()
    link = each.rootfs.parent / "base"
    target = os.readlink(link)
    for wrong in (None, "../../../../srv", "../_bases/shared/1/tree/../tree"):
        link.unlink()
        if wrong is not None:
            link.symlink_to(wrong)
        assert virsh("start", each.name, check=False).returncode != 0
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    (each.rootfs.parent / "scratch").mkdir()
    assert virsh("start", each.name, check=False).returncode != 0
    (each.rootfs.parent / "scratch").rmdir()
    before = virsh("dumpxml", "--inactive", each.name).stdout
    edited, count = re.subn(r"<virtsec:base [^>]*/>", "", before)
    assert count == 1
    virsh("define", "/dev/stdin", stdin=edited)
    assert virsh("start", each.name, check=False).returncode != 0
    virsh("define", "/dev/stdin", stdin=before)
    each.start()
    assert each.confined()


def test_undefined_and_defined_again_it_has_what_it_had(ten: list[Small]) -> None:
    each = ten[2]
    each.inside("echo own >/srv/own")
    each.stop()
    virtsec("undefine", each.name)
    complained(("base", "remove", BASE), 3, f"The base {BASE} is in use by ")
    virtsec("define", each.name, *ALIKE)
    each.start()
    assert each.confined()
    assert each.inside("cat /srv/own").stdout == "own\n"
    assert each.info()["base"] == {"name": BASE, "generation": 1}


def test_another_generation_is_for_those_to_come(base: Path, ten: list[Small]) -> None:
    virtsec("base", "refresh", BASE, "--from", str(BUSYBOX))
    later = Small("later")
    virtsec("define", later.name, "--base", BASE, *ALIKE)
    later.start()
    assert "srv" not in later.inside("ls /").stdout.split()
    assert ten[9].inside("ls /srv").stdout.split()[0] == "big"
    later.stop()
    virtsec("undefine", "--storage", later.name)
    made = json.loads(virtsec("base", "refresh", BASE, "--from", str(base), "--json").stdout)
    assert (made["generation"], made["removed"]) == (3, [2])


def test_a_copy_of_one_is_cut_off_and_leaves_nothing(ten: list[Small]) -> None:
    source, copied = ten[8], Path("/var/lib/virtsec/copied")
    source.stop()
    words = ("virtsec", "clone", source.name, copied.name)
    command = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while not (copied / "rootfs.partial").exists():
        assert command.poll() is None
        sleep(0.01)
    command.terminate()
    _, said = command.communicate()
    assert command.returncode == 128 + signal.SIGTERM, said
    assert not copied.exists()
    complained(("info", copied.name), 2, f"There is no domain {copied.name}.")
    source.start()


@pytest.mark.stress
def test_who_follows_keeps_what_it_changed_wherever_it_was_interrupted(ten: list[Small]) -> None:
    each = ten[9]
    each.inside(
        "echo own >/srv/own; echo mine >>/etc/passwd; rm /etc/group; chmod 700 /etc/inittab;"
        "mkdir -p /opt/a; ln -s b /opt/a/link; echo deep >/opt/a/b; mv /root /root2"
    )
    each.stop()
    before = whole(TREE)
    virtsec("base", "refresh", BASE, "--from", str(BUSYBOX))
    for step in ("CarryChanges", "TakePlace", "SetMetadata", "KeepTree"):
        killed_before(step, partial(follow, each.name, open_host(Silent())))
    virtsec("start", each.name, "--follow")
    assert each.confined()
    assert each.info()["base"]["generation"] > 1
    there = each.inside("ls /srv").stdout.split()
    assert "own" in there
    assert "big" not in there
    assert each.inside("tail -n 1 /etc/passwd; cat /opt/a/link").stdout == "mine\ndeep\n"
    gone = "ls -d /etc/group /root; stat -c %a /etc/inittab"
    assert each.inside(f"{gone}; true").stdout == "700\n"
    assert each.inside("cat /etc/hostname").stdout == f"{each.name}\n"
    assert not list(TREE.parents[3].glob("_layer*"))
    assert whole(TREE) == before


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("define", "bad", "--base", "nowhere"), 2, "There is no base nowhere."),
        (("define", "bad", "--base", BASE, "--rootfs", "/srv/bad"), 2, "is kept in virtsec's"),
        (("define", "bad", "--scratch"), 2, "Only what is written on a base can be scratch."),
        (("define", "bad", "--base", BASE, "--init", "/no"), 2, "/no"),
        (("base", "create", BASE, "--from", str(BUSYBOX)), 2, f"There is a base {BASE} already."),
        (("base", "create", "Bad!", "--from", str(BUSYBOX)), 2, "'Bad!' is not a container name."),
        (("base", "create", "other", "--from", "/nowhere.tar"), 2, "/nowhere.tar"),
        (("base", "info", "nowhere"), 2, "There is no base nowhere."),
        (("base", "remove", BASE), 3, f"The base {BASE} is in use by "),
    ],
)
def test_what_cannot_be_is_one_sentence(
    ten: list[Small], words: tuple[str, ...], status: int, sentence: str
) -> None:
    complained(words, status, sentence)
    assert not Path("/var/lib/virtsec/bad").exists()
    assert not Path("/var/lib/virtsec/_bases/other").exists()
