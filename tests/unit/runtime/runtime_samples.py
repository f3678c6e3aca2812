"""Domains as libvirt prints them, and the hook as a process of its own.

The hook's tables name the host's own paths; `installed` puts copies of hook and controller
into a directory with those names exchanged, so that what runs is the real program.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from virtsec import runtime

RUNTIME = Path(runtime.__file__).parent
#: The programs that are installed, and the modules that each is made of.
MODULES = {"hook.py": runtime.HOOK_MODULES, "controller.py": runtime.CONTROLLER_MODULES}
DOMAINS = Path(__file__).parent / "domains"
KINDS = ("unprivileged", "privileged")

#: Stands for security.selinux, which needs the right kernel and privilege.
ATTRIBUTE = "user.virtsec-test"


def good(kind: str = "unprivileged") -> str:
    """A domain as virtsec defines it and libvirt prints it."""
    return (DOMAINS / f"{kind}.xml").read_text()


def changed(xml: str, old: str, new: str) -> str:
    """`xml` with its one `old` exchanged; a mutation that hits nothing would prove nothing."""
    assert xml.count(old) == 1, f"{old!r} occurs {xml.count(old)} times"
    return xml.replace(old, new)


@dataclass(frozen=True)
class Ended:
    """What became of a process."""

    status: int
    error: str
    cpu: float  #: seconds


def run(
    program: Path, arguments: list[str], data: bytes = b"", env: Mapping[str, str] | None = None
) -> Ended:
    """Run a script as libvirt does: isolated, its input on a pipe. Fails when it hangs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-IS", str(program), *arguments],
        input=data,
        capture_output=True,
        timeout=30,
        env=env,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout == b""
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(done.returncode, done.stderr.decode(), cpu)


def installed(name: str, directory: Path, exchanges: Mapping[str, str]) -> Path:
    """A copy of a program and its modules, with texts exchanged that are there once each."""
    texts = {module: (RUNTIME / f"{module}.py").read_text() for module in MODULES[name]}
    for old, new in exchanges.items():
        (module,) = (module for module, text in texts.items() if old in text)
        texts[module] = changed(texts[module], old, new)
    for module, text in texts.items():
        (directory / f"{module}.py").write_text(text)
    path = directory / name
    path.write_text(
        changed((RUNTIME / name).read_text(), '"/usr/libexec/virtsec"', repr(str(directory)))
    )
    path.chmod(0o755)
    return path


@dataclass
class Container:
    """A tree in a directory, with the domain and the hook that go with it."""

    base: Path
    xml: str

    @property
    def root(self) -> Path:
        return self.base / "store" / "vs1" / "rootfs"

    @property
    def init(self) -> Path:
        return self.root / "usr/lib/systemd/systemd"

    @property
    def pristine(self) -> Path:
        return self.base / "store" / "vs1" / "init.pristine"

    @property
    def orders(self) -> Path:
        return self.base / "store" / "vs1" / "orders"

    def label(self, path: Path, label: str = "system_u:object_r:vs1_file_t:s0:c1,c2") -> None:
        """Label an inode."""
        os.setxattr(path, ATTRIBUTE, f"{label}\0".encode())

    def start(self) -> Ended:
        """What libvirt does at the beginning of a start."""
        return run(self.base / "hook.py", ["vs1", "prepare", "begin", "-"], self.xml.encode())

    def edit(self, old: str, new: str) -> None:
        """What an administrator does with `virsh edit`."""
        self.xml = changed(self.xml, old, new)


def label_of(path: Path) -> str:
    """The label an inode has."""
    return os.getxattr(path, ATTRIBUTE, follow_symlinks=False).decode().removesuffix("\0")


def container(base: Path) -> Container:
    """A stopped container whose init is where Debian has it, and a hook that knows its paths."""
    xml = good().replace("/var/lib/virtsec", f"{base}/store")
    xml = xml.replace("/usr/libexec/virtsec", str(base)).replace("/srv/data", f"{base}/data")
    found = Container(base, xml.replace("1000000", str(os.getuid())))
    found.init.parent.mkdir(parents=True)
    (base / "data").mkdir()
    found.orders.write_text(f"ro {base}/data\n")
    found.orders.chmod(0o600)
    (found.root / "usr/sbin").mkdir()
    (found.root / "usr/sbin/init").symlink_to("../lib/systemd/systemd")
    (found.root / "sbin").symlink_to("usr/sbin")
    found.init.write_bytes(b"#!/bin/true\n")
    found.init.chmod(0o755)
    found.label(found.init)
    installed("controller.py", base, {}).rename(base / "controller")
    installed(
        "hook.py",
        base,
        {
            '"/usr/libexec/virtsec/controller"': repr(f"{base}/controller"),
            'STORE = "/var/lib/virtsec"': f"STORE = {f'{base}/store'!r}",
            "TRUSTED_IDS = (0,)": f"TRUSTED_IDS = ({os.getuid()}, 0)",
            "LOWEST_ID = 65536": "LOWEST_ID = 0",
            '"/sys/fs/selinux/enforce"': repr("/"),
            '"/run/virtsec-packets"': repr("/"),
            '"security.selinux"': repr(ATTRIBUTE),
        },
    )
    return found
