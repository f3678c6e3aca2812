"""Init is whatever the container left there, and it runs confined; nothing outside ever changes."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from demo.containers import Container, Small
from demo.shell import virsh, virtsec, wait_for

#: What the article's attacker puts in the place of init: it tries the host's files, then goes on.
EVIL = """#!/bin/sh
{
cat /proc/self/attr/current; echo
head -c 1 /sbin/init && echo read its own
echo x >/root/planted-by-init && echo wrote its own
head -c 1 /mnt/etc/shadow && echo REACHED
echo x >/mnt/root/planted-by-init && echo REACHED
echo over
} >/root/evil.log 2>&1
exec /bin/busybox init
"""


def fingerprint(path: Path) -> tuple[object, ...]:
    """All of an inode that an attack could change, its label among it."""
    status = path.stat()
    labels = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return (
        status.st_ino,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_nlink,
        status.st_mtime_ns,
        labels,
        path.read_bytes(),
    )


@contextmanager
def stopped(container: Small) -> Iterator[Path]:
    """The host's path of what init is, the container shut off; put back afterwards."""
    container.stop()
    init = container.rootfs / "bin/busybox"
    kept = init.with_name("busybox.kept")
    init.rename(kept)
    try:
        yield init
    finally:
        if init.is_dir() and not init.is_symlink():
            init.rmdir()
        else:
            init.unlink(missing_ok=True)
        kept.rename(init)


def set_attribute(container: Container, name: str, value: str) -> int:
    """The exit status of setxattr(2) on /root/entry, called inside: 0 when it was set."""
    call = (
        'my ($path, $name, $value) = ("/root/entry", $ARGV[0], "$ARGV[1]\\0");'
        "exit(syscall(188, $path, $name, $value, length($value), 0) != 0)"
    )
    return container.ssh(f"perl -e '{call}' {name} {value}", check=False).returncode


def refusal(container: Small) -> str:
    """What libvirt says when it is told to start the container, which must fail."""
    done = virsh("start", container.name, check=False)
    assert done.returncode != 0, "it started"
    assert "virtsec: " in done.stderr, done.stderr
    return done.stderr


def test_another_init_put_in_its_place_runs_confined_and_reaches_nothing(small: Small) -> None:
    small.inside("rm /sbin/init && cat >/sbin/init && chmod 755 /sbin/init", stdin=EVIL)
    small.stop()
    try:
        small.start()
        log = small.rootfs / "root/evil.log"
        wait_for("what it tried", lambda: log.exists() and log.read_text().endswith("over\n"))
        said = log.read_text()
        assert said.splitlines()[0].rstrip("\0") == small.info()["label"]["process"]
        assert "read its own\nwrote its own\n" in said
        assert "REACHED" not in said
        assert not Path("/root/planted-by-init").exists()
    finally:
        small.inside("rm /sbin/init && ln -s /bin/busybox /sbin/init")
        small.stop()
        small.start()


@pytest.fixture
def canary() -> Iterator[Path]:
    """A program of the host, outside every tree, that no attack may change."""
    path = Path("/var/lib/virtsec-canary")
    path.write_text("#!/bin/sh\nexec sleep 1d\n")
    path.chmod(0o755)
    yield path
    path.unlink()


@pytest.mark.parametrize("kind", ["symlink", "relative symlink", "hard link"])
def test_init_that_leads_to_a_file_of_the_host_is_refused(
    kind: str, small: Small, canary: Path
) -> None:
    with stopped(small) as init:
        if kind == "symlink":
            init.symlink_to(canary)
        elif kind == "relative symlink":
            init.symlink_to("../" * 12 + str(canary))
        else:
            init.hardlink_to(canary)
        before = fingerprint(canary)
        refusal(small)
        assert fingerprint(canary) == before


@pytest.mark.parametrize(
    "kind", ["fifo", "directory", "dangling link", "nothing", "device", "loop"]
)
def test_init_that_is_no_program_is_refused_with_a_sentence(kind: str, small: Small) -> None:
    with stopped(small) as init:
        if kind == "fifo":
            os.mkfifo(init, 0o755)
        elif kind == "directory":
            init.mkdir()
        elif kind == "dangling link":
            init.symlink_to("/nowhere")
        elif kind == "device":
            os.mknod(init, 0o755 | stat.S_IFCHR, os.makedev(1, 3))
        elif kind == "loop":
            init.symlink_to("busybox")
        refusal(small)


def test_after_all_that_it_starts_as_before(small: Small) -> None:
    virtsec("start", "small")
    assert small.confined()


@pytest.mark.selinux
def test_the_container_cannot_write_its_entry_point_nor_make_another(vs1: Container) -> None:
    systemd = "/usr/lib/systemd/systemd"
    # What is being executed nobody may write: the policy's own refusal comes before that one.
    for tried in (f"echo x >>{systemd}", f"chmod 777 {systemd}"):
        assert "Permission denied" in vs1.ssh(tried, check=False).stderr
    entry = vs1.info()["label"]["init"]
    vs1.ssh("cp /bin/true /root/entry")
    assert set_attribute(vs1, "user.test", entry) == 0
    assert set_attribute(vs1, "security.selinux", entry) != 0
    assert (
        os.getxattr(vs1.rootfs / "root/entry", "security.selinux").decode().rstrip("\0")
        == (vs1.info()["label"]["file"])
    )


def test_an_upgrade_that_replaces_init_works_and_the_new_one_is_labelled_at_the_next_start(
    vs1: Container,
) -> None:
    systemd = "/usr/lib/systemd/systemd"
    # What dpkg does: a link to the old file as backup, the new one renamed over it.
    vs1.ssh(
        f"cp -p {systemd} {systemd}.dpkg-new && ln {systemd} {systemd}.dpkg-tmp && "
        f"mv {systemd}.dpkg-new {systemd} && rm {systemd}.dpkg-tmp && systemctl daemon-reexec"
    )
    inode = vs1.rootfs / "usr/lib/systemd/systemd"
    vs1.stop()
    vs1.start()
    wait_for("its page", vs1.page)
    attribute = (
        "security.selinux" if vs1.info()["label"]["model"] == "selinux" else "security.SMACK64"
    )
    label = os.getxattr(inode, attribute).decode().rstrip("\0")
    assert label == vs1.info()["label"]["init"]
