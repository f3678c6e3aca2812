"""Directories of the host in a container, with the host's own ids where the kernel maps them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from complained import complained
from demo.containers import ALIKE, Small, prepare
from demo.shell import run, virsh, virtsec
from machine.qemu import Lsm

pytestmark = pytest.mark.once

PLACE = Path("/srv/place")
SHARED, PLAIN, KEPT = PLACE / "shared", PLACE / "plain", PLACE / "kept"
ATTRIBUTE = {Lsm.SELINUX: "security.selinux", Lsm.SMACK: "security.SMACK64"}


@pytest.fixture(scope="module")
def sharing(lsm: Lsm) -> Iterator[Small]:
    """A running container with one directory mapped and one that is not, both labelled for it."""
    prepare()
    for each in (SHARED, PLAIN, KEPT):
        each.mkdir(parents=True, exist_ok=True)
        (each / "alices").write_text("alice\n")
        os.chown(each / "alices", 1000, 1000)
        (each / "alices").chmod(0o666)  # so neither owner nor mode refuses what `ro` is to
        each.chmod(0o777)
    run("mount", "--bind", "-o", "nosuid", str(SHARED), str(SHARED))
    container = Small("sharing")
    run("mount", "--bind", "-o", "nosuid", str(KEPT), str(KEPT))
    mounts = (f"{SHARED}:/shared:idmap", f"{PLAIN}:/plain", f"{KEPT}:/kept:ro")
    container.define(*ALIKE, *(word for each in mounts for word in ("--mount", each)))
    label = container.info()["label"]["file"].encode()
    for each in (SHARED, PLAIN, KEPT):
        for path in (each, each / "alices"):
            os.setxattr(path, ATTRIBUTE[lsm], label + (b"\0" if lsm is Lsm.SELINUX else b""))
    container.start()
    yield container
    container.stop()
    virtsec("undefine", container.name, "--storage")
    run("umount", str(SHARED), str(KEPT))
    run("rm", "-r", str(PLACE))


def test_ids_inside_are_the_hosts_there_and_their_own_elsewhere(sharing: Small) -> None:
    seen = sharing.inside("stat -c '%u %n' /shared/alices /plain/alices /shared").stdout
    assert seen.split("\n")[:3] == ["1000 /shared/alices", "65534 /plain/alices", "0 /shared"]
    sharing.inside("for d in /shared /plain; do echo root >$d/roots; done; chown 7:8 /shared/roots")
    sharing.inside("cp /bin/busybox /shared/tool; chmod 4755 /shared/tool")
    ids = sharing.info()["ids"]["start"]
    assert [os.stat(each / "roots").st_uid for each in (SHARED, PLAIN)] == [7, ids]
    assert os.stat(SHARED / "roots").st_gid == 8
    assert os.stat(SHARED / "tool").st_uid == 0


def test_what_is_read_only_no_root_inside_makes_writable(sharing: Small) -> None:
    """libvirt alone would leave it writable: its own mount has another one's `nosuid` to keep."""
    assert sharing.inside("cat /kept/alices").stdout.startswith("alice\n")
    for undo in ("true", "mount -o remount,bind,rw /kept", "mount -o remount,bind,rw,nosuid /kept"):
        said = sharing.inside(f"{undo}; echo mine >/kept/alices; echo mine >/kept/new; true").stderr
        for name in ("alices", "new"):
            assert f"/kept/{name}: Read-only file system" in said
    assert (KEPT / "alices").read_text() == "alice\n"
    assert not (KEPT / "new").exists()


def test_what_is_made_there_has_the_containers_label(sharing: Small, lsm: Lsm) -> None:
    sharing.inside("echo new >/shared/new")
    label = os.getxattr(SHARED / "new", ATTRIBUTE[lsm]).rstrip(b"\0").decode()
    assert label == sharing.info()["label"]["file"]


def test_nothing_of_it_is_mounted_on_the_host(sharing: Small) -> None:
    assert sharing.running()
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    (mounted,) = [each for each in lines if str(SHARED) in each]
    assert "idmapped" not in mounted


def test_no_user_of_the_host_reaches_what_root_inside_leaves_there(sharing: Small) -> None:
    sharing.inside("cp /bin/busybox /shared/busybox; chmod 4755 /shared/busybox; chmod 777 /shared")
    nobody = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
    tried = run(*nobody, str(SHARED / "busybox"), "id", check=False)
    assert tried.stdout.startswith("uid=1000")
    assert "euid=0" not in tried.stdout


def test_an_edit_or_other_orders_are_refused(sharing: Small) -> None:
    sharing.stop()
    before = virsh("dumpxml", "--inactive", sharing.name).stdout
    edited = before.replace(f'<virtsec:idmap source="{SHARED}"/>', "")
    edited = edited.replace(f"<virtsec:idmap source='{SHARED}'/>", "")
    assert edited != before
    virsh("define", "/dev/stdin", stdin=edited)
    assert "orders says" in virsh("start", sharing.name, check=False).stderr
    virsh("define", "/dev/stdin", stdin=before)
    orders = sharing.rootfs.parent / "orders"
    right = orders.read_text()
    for wrong in ("", right.replace(str(SHARED), "/etc"), right * 2):
        orders.write_text(wrong)
        assert "orders says" in virsh("start", sharing.name, check=False).stderr
    found = virtsec("doctor", check=False)
    assert "orders to its controller" in found.stdout
    virtsec("doctor", "--fix", check=False)
    assert orders.read_text() == right
    sharing.start()
    assert sharing.confined()


def test_what_cannot_be_is_one_sentence(sharing: Small) -> None:
    del sharing
    openly = Path("/srv/openly")
    openly.mkdir(exist_ok=True)
    for mount, status, sentence in (
        (f"{openly}:/x:idmap", 3, f"In {openly} root inside could leave users"),
        ("/sys/fs:/x:idmap", 3, "/sys/fs is the kernel's"),
        (f"{SHARED}:/x:idmap,other", 2, "is not a mount."),
        ("/srv/nowhere:/x:idmap", 2, "There is no directory /srv/nowhere to mount."),
    ):
        complained(("define", "wrong", *ALIKE, "--mount", mount), status, sentence)
    words = ("define", "wrong", "--privileged", "--mount", f"{SHARED}:/x:idmap")
    complained(words, 2, "A privileged container has the host's ids")
    complained(("set", "sharing", "--files", "1"), 2, "A container cannot have 1 open files.")
