"""The trees that tests make containers of: a whole Debian 13, a busybox, and a package to install.

They end up in the guest's ``/srv/images``, where no network is needed to use them.
"""

import io
import os
import shutil
import tarfile
from pathlib import Path

from . import apt
from .cache import Cache, digest
from .progress import Progress
from .run import run

PACKAGES = (
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "iproute2",
    "iputils-ping",
    "procps",
    "openssh-server",
    "nginx-light",
)

# Timers and jobs of a machine with a network and a long life.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "systemd-networkd-wait-online.service",
)

TREE = Path(__file__).parent / "trees/container"

# All that busybox's init needs to be a container that stays up and can be shut down.
INITTAB = """\
::sysinit:/bin/hostname -F /etc/hostname
::respawn:/bin/sleep 2147483647
console::askfirst:/bin/sh
::shutdown:/bin/true
"""

HELLO_CONTROL = """\
Package: lab-hello
Version: 1.0
Architecture: all
Maintainer: The laboratory <root@localhost>
Description: a package to install inside a container
"""
HELLO_SCRIPT = """\
#!/bin/sh
echo hello from the laboratory
"""


def key() -> str:
    """Return the key of the container images."""
    return digest(Path(__file__), Path(apt.__file__), TREE)


def images(cache: Cache, progress: Progress) -> Path:
    """Return a directory with ``debian.tar`` and ``lab-hello.deb``."""

    def build(into: Path) -> None:
        progress.stage("building the Debian container image")
        tree = into / "tree"
        apt.bootstrap(apt.host_source(), PACKAGES, tree)
        lay_over(TREE, tree)
        mask(tree, MASKED)
        run(["chroot", tree, "systemctl", "enable", "systemd-networkd.service"])
        (tree / "etc/hostname").write_text("debian\n")
        # Empty, not missing: each container is to get one of its own.
        (tree / "etc/machine-id").write_text("")
        pack(tree, into / "debian.tar")
        shutil.rmtree(tree)
        hello(into)

    return cache.entry("containers", key(), build)


def lay_over(source: Path, tree: Path) -> None:
    """Copy ``source`` over ``tree``, its files root's, whatever umask they were cloned with."""
    for path in sorted(source.rglob("*")):
        target = tree / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
            continue
        executable = path.stat().st_mode & 0o100
        # A link, such as /etc/resolv.conf is in places, is not to be written through.
        target.unlink(missing_ok=True)
        target.write_bytes(path.read_bytes())
        target.chmod(0o755 if executable else 0o644)


def mask(tree: Path, units: tuple[str, ...]) -> None:
    """Mask systemd ``units`` in ``tree``."""
    for unit in units:
        link = tree / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")


def pack(tree: Path, tar: Path) -> None:
    """Pack ``tree`` with all its metadata, but for device nodes: they are libvirt's to make."""
    options = ["--sort=name", "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"]
    run(["tar", *options, "--exclude=./dev/*", "-C", tree, "-cf", tar, "."])


def hello(into: Path) -> None:
    """Build ``lab-hello.deb``, a package of one script."""
    root = into / "hello"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(HELLO_CONTROL)
    (root / "usr/bin").mkdir(parents=True)
    script = root / "usr/bin/lab-hello"
    script.write_text(HELLO_SCRIPT)
    script.chmod(0o755)
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, into / "lab-hello.deb"])
    shutil.rmtree(root)


def busybox(binary: Path, tar: Path) -> None:
    """Pack a tree of ``binary``, a static busybox, with a link for each of its commands."""
    applets = run([binary, "--list-full"]).split()
    with tarfile.open(tar, "w") as out:
        directories = {"etc", "proc", "sys", "dev", "tmp", "run", "root", "mnt", "var", "var/log"}
        directories |= {os.path.dirname(name) for name in applets}
        parents = {str(parent) for name in directories for parent in Path(name).parents}
        for name in sorted((directories | parents) - {".", ""}):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if name == "tmp" else 0o755
            out.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.mode = 0o755
        entry.size = binary.stat().st_size
        with binary.open("rb") as content:
            out.addfile(entry, content)
        for name in sorted({*applets, "sbin/init"} - {"bin/busybox"}):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.SYMTYPE
            entry.linkname = "/bin/busybox"
            out.addfile(entry)
        texts = {
            "etc/inittab": INITTAB,
            "etc/hostname": "busybox\n",
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
            "etc/group": "root:x:0:\n",
        }
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            entry.size = len(text)
            out.addfile(entry, io.BytesIO(text.encode()))
