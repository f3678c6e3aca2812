"""The machine as qemu is told to emulate it."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .run import run


class Lsm(StrEnum):
    """The security module a guest boots with; the value is the kernel's name for it."""

    SELINUX = "selinux"
    SMACK = "smack"
    APPARMOR = "apparmor"
    NONE = "none"

    @property
    def confines(self) -> bool:
        """Whether virtsec confines containers by it."""
        return self in (Lsm.SELINUX, Lsm.SMACK)


# The guest's own ports, each a socket on this side: see inside/agent.py for what goes over them.
PORTS = ("control", "stream", "logs")

# What Debian needs and glibc makes use of, and nothing newer: `max` takes half as long again, for
# wide registers to save, byte-wise string instructions and protections to emulate.
PROCESSOR = "Nehalem"
PROCESSORS = 2
MEMORY = "3G"

# Each of these costs time under emulation and protects a guest that nobody attacks.
_QUICK = (
    "mitigations=off",
    "nokaslr",
    # The emulator translates code for where it runs: were that another place each time, executing
    # a program would take up to four times as long.
    "norandmaps",
    "nowatchdog",
    # Emulation takes it from the host's, which all processors share: no need to distrust it.
    "tsc=reliable",
    "modprobe.blacklist=aesni_intel,iTCO_wdt,pcspkr,psmouse,vsock",
    "fsck.mode=skip",
    "audit_backlog_limit=8192",
)


# qemu before 8.1 may let one processor run code as it was before another one changed it, and the
# kernel then dies of a breakpoint it has long taken back. Nearly all of such changes are made while
# the kernel sets itself up, so that has but one processor; the initrd turns the others on.
_ONE_BY_ONE = "maxcpus=1"


@dataclass(frozen=True)
class Kernel:
    """A kernel image, with an initrd where its drivers are modules.

    One without an initrd is ours, and built not to change its own code.
    """

    key: str
    image: Path
    initrd: Path | None = None


@dataclass(frozen=True)
class Hardware:
    """What a guest is started with. ``memory`` is qemu's notation: ``3G``, ``512M``."""

    kernel: Kernel
    lsm: Lsm
    permissive: bool = False
    memory: str = MEMORY
    wire: Path | None = None
    """A socket to be made on this host: what connects to it is at lab.wire in the guest."""

    def kernel_line(self) -> str:
        """Return the kernel's command line."""
        words = ["root=/dev/vda", "rw", "console=ttyS0", "panic=-1", "systemd.show_status=1"]
        words += _QUICK
        if self.kernel.initrd is not None:
            words.append(_ONE_BY_ONE)
        if self.lsm is Lsm.SELINUX:
            words += ["security=selinux", "selinux=1", f"enforcing={0 if self.permissive else 1}"]
            words.append("audit=1")
        else:
            words.append(f"security={self.lsm}")
        return " ".join(words)

    def command(self, root: Path, job: Path, console: Path, ports: dict[str, int]) -> list[str]:
        """Return qemu's argv: ``root`` a qcow2, ``job`` raw, ``ports`` socket descriptors."""
        argv = [
            "qemu-system-x86_64",
            "-no-user-config",
            "-nodefaults",
            # Without what nothing here uses and Linux would probe for.
            *("-machine", "q35,hpet=off,sata=off,smbus=off,vmport=off"),
            *("-accel", "tcg,thread=multi"),
            *("-cpu", PROCESSOR),
            *("-smp", str(PROCESSORS)),
            *("-m", self.memory),
            *("-display", "none"),
            *("-nic", "none"),
            # A guest that reboots ends here and is started again, or not, by whoever runs it.
            "-no-reboot",
            *("-kernel", str(self.kernel.image)),
            *("-append", self.kernel_line()),
            *("-device", "virtio-rng-pci"),
            # Whatever is in flight when this host dies is rubbish anyway: no flushing to its disk.
            *("-drive", f"if=none,id=root,file={_quote(root)},format=qcow2,cache=unsafe"),
            *("-device", "virtio-blk-pci,drive=root,serial=lab-root"),
            *("-drive", f"if=none,id=job,file={_quote(job)},format=raw,readonly=on"),
            *("-device", "virtio-blk-pci,drive=job,serial=lab-job"),
            *("-chardev", f"file,id=console,path={_quote(console)},append=on"),
            *("-serial", "chardev:console"),
            *("-device", "virtio-serial-pci"),
        ]
        if self.kernel.initrd is not None:
            argv += ["-initrd", str(self.kernel.initrd)]
        for name, descriptor in ports.items():
            argv += ["-chardev", f"socket,id={name},fd={descriptor}"]
            argv += ["-device", f"virtserialport,chardev={name},name=lab.{name}"]
        if self.wire is not None:
            argv += ["-chardev", f"socket,id=wire,path={_quote(self.wire)},server=on,wait=off"]
            argv += ["-device", "virtserialport,chardev=wire,name=lab.wire"]
        return argv


def _quote(path: Path) -> str:
    """Quote ``path`` for an option of qemu, in which a comma ends the value."""
    return str(path).replace(",", ",,")


def overlay(base: Path, over: Path, *, base_format: str) -> None:
    """Make ``over``, a qcow2 that holds what differs from ``base``.

    ``base`` is named relative to ``over``, so that both may move together.
    """
    relative = os.path.relpath(base.resolve(), over.parent.resolve())
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format, "-b", relative, over])
