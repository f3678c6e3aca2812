"""libvirt's daemon, for tests that end it or look at it."""

from demo.shell import run, virsh, wait_for

UNIT = "libvirtd.service"


def restart() -> None:
    """Stop it and start it again: whoever was connected is no more."""
    run("systemctl", "restart", UNIT)


def wait_until_it_answers() -> None:
    """As it does some moments after it was started, by systemd or by who asks."""
    wait_for("libvirt", lambda: virsh("list", check=False).returncode == 0)
