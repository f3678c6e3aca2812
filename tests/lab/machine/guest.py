"""The guest's disk image: Debian 13 with SELinux's labels in place, and Debian's kernel beside it.

The same image boots under Smack. It knows nothing of virtsec, which comes in a layer above it
(``prepared``), nor of the agent, which comes on a disk of its own (``boot``).
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import apt, containers
from .cache import Cache, digest
from .errors import LabError
from .progress import Progress
from .run import run

PACKAGES = (
    # A machine that boots.
    "systemd-sysv",
    "udev",
    "dbus",
    "kmod",
    "linux-image-amd64",
    "libpam-systemd",
    "passwd",
    "cron",
    # Containers.
    "libvirt-daemon-system",
    "libvirt-daemon-driver-lxc",
    "libvirt-clients",
    "virtinst",
    "uidmap",
    "mmdebstrap",
    # Mandatory access control.
    "selinux-policy-default",
    "policycoreutils",
    "policycoreutils-python-utils",
    "setools",
    "python3-setools",
    "auditd",
    # What virtsec imports, and what installs and tests it.
    "python3-libvirt",
    "python3-lxml",
    "python3-typer",
    "python3-rich",
    "python3-yaml",
    "python3-jsonschema",
    "python3-pip",
    "pipx",
    "python3-pytest",
    "python3-hypothesis",
    # Networks.
    "iproute2",
    "iputils-ping",
    "nftables",
    "iptables",
    "dnsmasq-base",
    "curl",
    "openssh-client",
    "openssh-server",
    "netcat-openbsd",
    # Tools that tests look and attack with.
    "procps",
    "strace",
    "attr",
    "acl",
    "libcap2-bin",
    "libxml2-utils",
    "virtinst",
    "busybox-static",
    "tar",
    "zstd",
    "xz-utils",
)

# Slow or idle in a guest that lives for minutes and has no network of its own.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "logrotate.timer",
    "man-db.timer",
    "modprobe@drm.service",
    "serial-getty@ttyS0.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
)

TREE = Path(__file__).parent / "trees/guest"
POLICY = "etc/selinux/default"

IMAGE_SIZE = "20G"
"""Sparse: what the guest may fill, not what the image takes."""


@dataclass(frozen=True)
class Guest:
    """What a guest boots from."""

    key: str
    home: Path

    @property
    def image(self) -> Path:
        """The root file system: raw, sparse, never written to."""
        return self.home / "root.img"

    @property
    def kernel(self) -> Path:
        """Debian's kernel, which has SELinux and no Smack."""
        return self.home / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initrd of Debian's kernel."""
        return self.home / "initrd.img"


def guest(cache: Cache, progress: Progress) -> Guest:
    """Return the guest, building it when what goes in has changed."""
    key = digest(containers.key(), Path(__file__), TREE)

    def build(into: Path) -> None:
        images = containers.images(cache, progress)
        progress.stage("building the guest: Debian packages")
        tree = into / "tree"
        apt.bootstrap(apt.host_source(), PACKAGES, tree, before_configure=TREE)
        progress.stage("building the guest: labels and disk image")
        finish(tree, images)
        take_kernel(tree, into)
        label(tree)
        make_image(tree, into / "root.img")
        shutil.rmtree(tree)

    return Guest(key, cache.entry("guest", key, build))


def finish(tree: Path, images: Path) -> None:
    """Lay our own files over an unpacked guest."""
    containers.lay_over(TREE, tree)
    containers.mask(tree, MASKED)
    run(["chroot", tree, "systemctl", "enable", "lab.service", "auditd.service"])
    for stamp in ("etc/.updated", "var/.updated"):
        # Newer than /usr: spares the first boot the rebuilding of caches that are fresh.
        (tree / stamp).write_text("")
    srv = tree / "srv/images"
    srv.mkdir(parents=True)
    for name in ("debian.tar", "lab-hello.deb"):
        shutil.copy(images / name, srv)
    containers.busybox(tree / "usr/bin/busybox", srv / "busybox.tar")


def take_kernel(tree: Path, into: Path) -> None:
    """Copy kernel and initrd out of the tree: they are handed to qemu by themselves."""
    for pattern, name in (("vmlinuz-*", "vmlinuz"), ("initrd.img-*", "initrd.img")):
        found = list((tree / "boot").glob(pattern))
        if len(found) != 1:
            raise LabError(f"the guest has {len(found)} files /boot/{pattern}, not one")
        shutil.copy(found[0], into / name)


def label(tree: Path) -> None:
    """Give each file the label that the guest's own policy has for it.

    Labels are extended attributes, which root may set on a host that has no SELinux at all.
    """
    contexts = tree / POLICY / "contexts/files/file_contexts"
    run(["/usr/sbin/setfiles", "-F", "-r", tree, contexts, tree])
    if b"selinux" not in b"".join(map(os.fsencode, os.listxattr(tree / "etc/shadow"))):
        raise LabError("setfiles left no labels: the cache's file system keeps no attributes")


def make_image(tree: Path, image: Path) -> None:
    """Make an ext4 image of ``tree``, labels included."""
    options = ["-q", "-t", "ext4", "-L", "lab-root", "-m", "0", "-E", "root_owner=0:0"]
    run(["/usr/sbin/mke2fs", *options, "-d", tree, image, IMAGE_SIZE])
