"""SELinux's policy without what is for programs that the guest does not have.

libsemanage builds the whole policy anew at each change, which commands that are cut off make again
and again: of a tenth of its modules that takes a quarter of the time. No file and no process of the
guest has a label of those that are left out.
"""

from pathlib import Path

from demo.shell import run

ENFORCE = Path("/sys/fs/selinux/enforce")
#: Debian's modules that define a type that something in the guest has, and those that they need.
NEEDED = {
    *("alsa", "apt", "backup", "base", "bluetooth", "bootloader", "clock", "container", "cron"),
    *("dmidecode", "dnsmasq", "getty", "hostname", "iptables", "logrotate", "lvm", "mta"),
    *("netutils", "ntp", "policykit", "qemu", "sasl", "setrans", "ssh", "su", "unconfined"),
    *("virt", "xdg", "xfs", "xserver"),
}
OURS = "virtsec"


def leave_out() -> None:
    """Leave out all other modules of Debian's, under SELinux; again does nothing."""
    if ENFORCE.exists():
        there = {*run("semodule", "--list").stdout.split()}
        idle = {name for name in there - NEEDED if not name.startswith(OURS)}
        if idle:
            run("semodule", *(f"--disable={name}" for name in sorted(idle)))


def put_back() -> None:
    """Have all of them again, as Debian has."""
    if ENFORCE.exists():
        lines = [line.split() for line in run("semodule", "--list=full").stdout.splitlines()]
        idle = [words[1] for words in lines if words[-1] == "disabled"]
        if idle:
            run("semodule", *(f"--enable={name}" for name in idle))
