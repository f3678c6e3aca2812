"""Bad input gets one clear sentence and loses nothing."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.containers import ALIKE
from demo.shell import run, virsh, virtsec

BUSYBOX = "/srv/images/busybox.tar"


def hostile_tar(path: Path, *members: tarfile.TarInfo) -> str:
    """A busybox tree with `members` added."""
    path.write_bytes(Path(BUSYBOX).read_bytes())
    with tarfile.open(path, "a") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return str(path)


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    """A member of an archive."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def state() -> tuple[object, ...]:
    """What a failed command must leave as it was."""
    store = Path("/var/lib/virtsec")
    return (
        sorted(str(path) for path in store.glob("*")),
        virsh("list", "--all", "--name").stdout,
        sorted(str(path) for path in Path("/var/lib/selinux").glob("*/active/modules/400/*")),
        sorted(Path("/etc/smack/accesses.d").glob("*")) if Path("/etc/smack").exists() else [],
    )


@pytest.fixture
def nothing_lost() -> Iterator[None]:
    """Whatever happens in the test, the host is as before."""
    before = state()
    yield
    assert state() == before


def complaint(*argv: str, status: int) -> str:
    """What virtsec says when it fails with `status`: a sentence and a remedy, nothing else."""
    done = virtsec(*argv, check=False)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", ["", "VS1", "1vs", "vs_1", "vs1/..", "-vs", "a" * 24, "vs 1", "é"])
@pytest.mark.usefixtures("nothing_lost")
def test_a_name_that_cannot_be_one(name: str) -> None:
    complaint("define", "--from", BUSYBOX, "--", name, status=2)


@pytest.mark.selinux
@pytest.mark.usefixtures("nothing_lost")
def test_a_name_whose_type_the_hosts_policy_has(request: pytest.FixtureRequest) -> None:
    del request
    assert "policy" in complaint("define", "ssh", "--from", BUSYBOX, status=2)


@pytest.mark.parametrize(
    "options",
    [
        ("--address", "300.1.1.1/24"),
        ("--address", "192.168.122.9"),
        ("--address", "192.168.122.0/24"),
        ("--network", "nowhere"),
        ("--bridge", "nowhere0"),
        ("--memory", "1K"),
        ("--memory", "lots"),
        ("--vcpus", "0"),
        ("--mount", "/nowhere:/mnt"),
        ("--mount", "relative:/mnt"),
        ("--mount", "/srv:/proc/x"),
        ("--init", "relative"),
        ("--init-policy", "whatever"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("nothing_lost")
def test_an_option_that_makes_no_sense(options: tuple[str, str]) -> None:
    done = virtsec("define", "bad", "--from", BUSYBOX, *options, check=False)
    assert done.returncode in (2, 3), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("nothing_lost")
def test_a_tree_that_is_missing_or_no_linux_system(tmp_path: Path) -> None:
    complaint("define", "bad", "--from", "/nowhere", status=2)
    complaint("define", "bad", "--from", "/nowhere.tar", status=2)
    empty = tmp_path / "empty"
    empty.mkdir()
    complaint("define", "bad", "--from", str(empty), status=2)
    complaint("define", "bad", "--rootfs", str(empty), status=2)
    text = tmp_path / "text.tar"
    text.write_text("no archive\n")
    complaint("define", "bad", "--from", str(text), status=2)


@pytest.mark.usefixtures("nothing_lost")
def test_an_archive_that_would_write_outside(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    archives = {
        "..": [member("../../../../" + str(canary), size=1)],
        "through a link": [
            member("out", tarfile.SYMTYPE, linkname=str(tmp_path)),
            member("out/canary", size=1),
        ],
        "device": [member("disk", tarfile.BLKTYPE, devmajor=254, devminor=0)],
    }
    for what, members in archives.items():
        archive = hostile_tar(tmp_path / "hostile.tar", *members)
        done = virtsec("define", "bad", "--from", archive, check=False)
        assert done.returncode != 0, what
        assert "Traceback" not in done.stderr
        assert not canary.exists(), what


@pytest.mark.usefixtures("nothing_lost")
def test_a_full_disk_while_unpacking(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(small))
    try:
        place = ("--rootfs", str(small / "root"))
        said = complaint("define", "bad", "--from", BUSYBOX, *place, *ALIKE, status=1)
        assert "space" in said or "full" in said, said
        assert os.listdir(small) == []
    finally:
        run("umount", str(small))


@pytest.mark.usefixtures("nothing_lost")
def test_names_that_are_taken_unknown_or_foreign() -> None:
    complaint("start", "unknown", status=2)
    complaint("info", "unknown", status=2)
    complaint("undefine", "unknown", status=2)


@pytest.mark.usefixtures("nothing_lost")
def test_no_libvirt() -> None:
    units = ("libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket")
    run("systemctl", "stop", *units)
    try:
        complaint("list", status=1)
    finally:
        run("systemctl", "start", *units[1:])
        run("systemctl", "start", units[0])


@pytest.mark.usefixtures("nothing_lost")
def test_no_security_module(lsm: str) -> None:
    place = {"selinux": "/sys/fs/selinux", "smack": "/sys/fs/smackfs"}[lsm]
    gone = f"umount -l {place}; exec virtsec setup"
    done = run("unshare", "--mount", "sh", "-c", gone, check=False)
    assert done.returncode == 1, done.stderr
    assert "Neither SELinux nor Smack" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.selinux
@pytest.mark.usefixtures("nothing_lost")
def test_permissive_works_and_says_loudly_that_nothing_is_enforced() -> None:
    run("setenforce", "0")
    try:
        done = virtsec("list", "--all")
        assert "permissive" in (done.stdout + done.stderr).lower()
    finally:
        run("setenforce", "1")
