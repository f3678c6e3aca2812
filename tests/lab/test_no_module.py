"""Where neither SELinux nor Smack is in force virtsec says so in one sentence, and does nothing."""

from pathlib import Path

import pytest
from demo.shell import run, virsh
from left import kept
from machine.prepared import INSTALL
from machine.qemu import Lsm

pytestmark = [pytest.mark.apparmor, pytest.mark.none, pytest.mark.bare]

#: Each would change something on a host that has a module.
COMMANDS = (
    ("setup",),
    ("setup", "--remove"),
    ("define", "vs1", "--from", "/srv/images/busybox.tar"),
    ("start", "vs1"),
    ("undefine", "vs1", "--storage"),
    ("protect",),
)


def host() -> object:
    """All that virtsec would change here."""
    return (
        list(kept("/etc", "/usr/lib/virtsec", "/usr/libexec", "/var/lib/virtsec")),
        sorted(each.name for each in Path("/var/lib").iterdir()),
        Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        virsh("net-list", "--all").stdout,
        virsh("list", "--all").stdout,
    )


@pytest.fixture(scope="module")
def installed() -> None:
    """Virtsec is there as in other guests, and was not set up."""
    run("sh", "-c", INSTALL)
    virsh("list")  # whatever libvirt's daemon writes when it starts is there before


def test_the_kernel_runs_what_this_test_is_about(lsm: Lsm) -> None:
    running = Path("/sys/kernel/security/lsm").read_text().split(",")
    assert not {"selinux", "smack"} & set(running)
    assert ("apparmor" in running) == (lsm is Lsm.APPARMOR)


@pytest.mark.usefixtures("installed")
def test_each_command_ends_with_one_sentence_and_they_change_nothing() -> None:
    before = host()
    for command in COMMANDS:
        done = run("virtsec", *command, check=False)
        assert (done.returncode, done.stdout) == (1, ""), command
        sentence, remedy = done.stderr.strip().split("\n", 1)
        assert "Neither SELinux nor Smack is in force on this host." in sentence, command
        assert "security=smack" in remedy, command
    assert host() == before
