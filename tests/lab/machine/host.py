"""What this host needs before it can run the laboratory, installed by apt where it is missing."""

import os
import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .progress import Progress
from .run import run


@dataclass(frozen=True)
class Need:
    """A package, and a command, or pattern of a file, that is there once it is installed."""

    package: str
    sign: str

    def met(self) -> bool:
        """Tell whether the host has it; asks the file system only, so it costs nothing."""
        if self.sign.startswith("/"):
            return any(Path("/").glob(self.sign[1:]))
        # /usr/sbin is not on every root's PATH.
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        return shutil.which(self.sign, path=path) is not None


BOOT = (
    Need("qemu-system-x86", "qemu-system-x86_64"),
    Need("qemu-utils", "qemu-img"),
    Need("e2fsprogs", "mke2fs"),
    Need("python3-venv", "/usr/lib/python3.*/ensurepip"),
    Need("git", "git"),
)
CHECK = (
    Need("python3-venv", "/usr/lib/python3.*/ensurepip"),
    Need("python3-libvirt", "/usr/lib/python3/dist-packages/libvirt.py"),
    Need("xz-utils", "xz"),
    Need("zstd", "zstd"),
    Need("man-db", "man"),
)
IMAGES = (
    Need("mmdebstrap", "mmdebstrap"),
    Need("policycoreutils", "setfiles"),
    Need("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"),
)
DESKTOP = (
    Need("virt-manager", "virt-manager"),
    Need("xvfb", "Xvfb"),
    Need("dbus-daemon", "dbus-run-session"),
    Need("at-spi2-core", "/usr/libexec/at-spi-bus-launcher"),
    Need("gir1.2-atspi-2.0", "/usr/lib/*/girepository-1.0/Atspi-2.0.typelib"),
    Need("xdotool", "xdotool"),
    Need("adwaita-icon-theme", "/usr/share/icons/Adwaita/index.theme"),
    Need("librsvg2-common", "/usr/lib/*/gdk-pixbuf-2.0/*/loaders/libpixbufloader-svg.so"),
    Need("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
)
KERNEL = (
    Need("gcc", "gcc"),
    Need("libc6-dev", "/usr/include/stdlib.h"),
    Need("make", "make"),
    Need("bc", "bc"),
    Need("bison", "bison"),
    Need("flex", "flex"),
    Need("libelf-dev", "/usr/include/libelf.h"),
    Need("libssl-dev", "/usr/include/openssl/ssl.h"),
    Need("xz-utils", "xz"),
)
PACKAGING = (Need("dpkg-dev", "dpkg-buildpackage"),)


#: apt-get does one thing at a time.
_APT = threading.Lock()


def require(needs: Iterable[Need], progress: Progress) -> None:
    """Install what is missing of ``needs``. Raises LabError without root's rights."""
    with _APT:
        _require(list(needs), progress)


def require_to_build(tree: Path, progress: Progress) -> None:
    """Install what is missing to build the Debian package in ``tree``: its own file says what.

    Raises LabError without root's rights.
    """
    with _APT:
        _require(list(PACKAGING), progress)
        try:
            run(["dpkg-checkbuilddeps"], cwd=tree)
        except LabError as missing:
            _root(f"to install what the build needs: {missing}")
            progress.stage("installing on this host what builds the Debian package")
            _apt_get("update", "-qq")
            _apt_get("build-dep", "-qq", "-y", "--no-install-recommends", str(tree))


def _require(needs: list[Need], progress: Progress) -> None:
    missing = [need.package for need in needs if not need.met()]
    if not missing:
        return
    _root(f"or install first: apt-get install {' '.join(missing)}")
    progress.stage(f"installing on this host: {' '.join(missing)}")
    _apt_get("update", "-qq")
    _apt_get("install", "-qq", "-y", "--no-install-recommends", *missing)
    still = [need.package for need in needs if not need.met()]
    if still:
        raise LabError(f"installed, and yet not found on this host: {' '.join(still)}")


def _root(otherwise: str) -> None:
    if os.geteuid() != 0:
        raise LabError(f"run as root, {otherwise}")


def _apt_get(*words: str) -> None:
    run(["apt-get", *words], env={"DEBIAN_FRONTEND": "noninteractive"})
