"""A Debian root built by mmdebstrap from the mirror that the host's own apt uses."""

from __future__ import annotations

import io
import os
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from virtsec.errors import BadInput, HostNotReady
from virtsec.kernel.private import private_directory
from virtsec.rootfs.feed import CLEAN, Feed, program

PREFIX = "debian:"
#: What makes a container useful beyond minbase: services, logins, a network and names in it.
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "systemd-resolved",
    "iproute2",
    "procps",
    "openssh-server",
    "ca-certificates",
)
_MMDEBSTRAP = "/usr/bin/mmdebstrap"
#: mmdebstrap mounts /proc and more in what it builds. In namespaces of its own all that goes with
#: its last process, and all its processes with the first, so killing it leaves only files.
_BOXED = (
    "/usr/bin/unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child=SIGKILL",
    "--mount-proc",
    "--",
)
_APT_GET = "/usr/bin/apt-get"
_APT_HELPER = "/usr/lib/apt/apt-helper"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_NEEDED = {
    _MMDEBSTRAP: "mmdebstrap",
    _APT_GET: "apt",
    _APT_HELPER: "apt",
    _KEYRING: "debian-archive-keyring",
}
_SUITE = re.compile(r"[a-z][a-z0-9-]*")
_TIMEOUTS = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")

#: Addresses given in the domain are kept: networkd drops what it did not set up otherwise
#: (systemd.network(5), KeepConfiguration=).
_ETH0 = """\
[Match]
Name=eth0

[Network]
DHCP=yes
KeepConfiguration=static
"""
_UNITS = "/usr/lib/systemd/system"
_SYSTEM = "etc/systemd/system"
#: As `systemctl enable systemd-networkd` makes them.
_LINKS = {
    f"{_SYSTEM}/multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
    f"{_SYSTEM}/sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
    f"{_SYSTEM}/dbus-org.freedesktop.network1.service": "systemd-networkd.service",
}


def default() -> str:
    """What is built where no source is named: a Debian of the host's own release."""
    return PREFIX + host_release()


def host_release() -> str:
    """The host's own code name, such as 'trixie'. Raises `HostNotReady` where it has none."""
    try:
        return platform.freedesktop_os_release()["VERSION_CODENAME"]
    except (OSError, KeyError):
        raise HostNotReady(
            "This host does not say which Debian release it is.",
            "Say what the container is made from, as in '--from debian:trixie'.",
        ) from None


def sources(targets: str, host: str, suite: str) -> list[str]:
    """apt's lines for `suite`, from what `apt-get indextargets` says of the host; pure.

    `targets` has lines of repository, release, component and origin. The host's own release comes
    with its updates and security fixes, another one from the same mirrors; empty without any.
    """
    lines: dict[str, None] = {}
    for line in targets.splitlines():
        repository, release, component, origin = line.split(" ", 3)
        debian = component == "main" and (origin == "Debian" or origin.startswith("$("))
        if not debian or release not in (host, f"{host}-updates", f"{host}-security"):
            continue
        if host in (suite, release):
            wanted = release if suite == host else suite
            lines[f"deb [signed-by={_KEYRING}] {repository.rstrip('/')} {wanted} main"] = None
    return list(lines)


def check_suite(source: str) -> list[str]:
    """apt's lines for a source such as 'debian:trixie', after asking the mirror for the suite.

    Raises `BadInput` for a suite that is not there, `HostNotReady` when a program is missing or
    the mirror cannot be reached.
    """
    suite = source.removeprefix(PREFIX)
    if not _SUITE.fullmatch(suite):
        raise BadInput(f"{source!r} names no Debian release.", "Write it like 'debian:trixie'.")
    for path, package in _NEEDED.items():
        if not Path(path).exists():
            raise HostNotReady(
                f"Building Debian takes {path}, which this host does not have.",
                f"Install it with `apt install {package}`.",
            )
    lines = sources(_targets(), host_release(), suite)
    if not lines:
        raise HostNotReady(
            "The host's apt knows no Debian mirror for its own release.",
            "Run `apt update` where one is set up, else add one to /etc/apt/sources.list.d; or use "
            "'--from' with a tar archive.",
        )
    mirror = lines[0].split()[2]
    problem = _missing(f"{mirror}/dists/{suite}/InRelease")
    if problem is not None and "404" in problem:
        raise BadInput(
            f"The mirror {mirror} has no release {suite!r}.", "Name one, as in 'debian:trixie'."
        )
    if problem is not None:
        raise HostNotReady(
            f"The mirror {mirror} cannot be reached: {problem}.",
            "Check the network, or use '--from' with a tar archive.",
        )
    return lines


def _targets() -> str:
    words = [
        _APT_GET,
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)",
        "Created-By: Packages",
    ]
    done = subprocess.run(words, env=dict(CLEAN), capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


def _missing(address: str) -> str | None:
    """None when the mirror has a file at `address`, else what apt said."""
    with private_directory("virtsec-") as directory:
        words = [_APT_HELPER, *_TIMEOUTS, "download-file", address, f"{directory}/InRelease"]
        with program(words) as feed:
            failed = feed.drained()
            said = re.search(r"Failed to fetch \S+ +(.+)", feed.complaint())
            return said[1] if failed is not None and said is not None else failed


@contextmanager
def built(source: str, room: Path) -> Iterator[Feed]:
    """mmdebstrap at work, its tar as a feed. It builds in the directory `room`.

    Raises as `check_suite`.
    """
    lines = check_suite(source)
    words = [
        *_BOXED,
        _MMDEBSTRAP,
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(PACKAGES)}",
        source.removeprefix(PREFIX),
        "-",
        *lines,
    ]
    with program(words, environment={"TMPDIR": os.fspath(room)}) as feed:
        yield feed


@contextmanager
def own_files(name: str) -> Iterator[Feed]:
    """The container's name, and what has eth0 ask for an address: to be unpacked over the root."""
    texts = {"etc/hostname": f"{name}\n", "etc/systemd/network/80-eth0.network": _ETH0}
    with os.fdopen(os.memfd_create("files"), "w+b") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for path, text in texts.items():
                member = tarfile.TarInfo(path)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
            for path, unit in _LINKS.items():
                link = tarfile.TarInfo(path)
                link.type, link.linkname = tarfile.SYMTYPE, f"{_UNITS}/{unit}"
                archive.addfile(link)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield Feed(file.fileno())
