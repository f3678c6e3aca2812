"""After a reboot all is back by itself: policy, labels, hook, and what starts with the host.

By a loss of power, of all reboots the one that gives nothing time to be written.
"""

import os
from pathlib import Path

import pytest
from demo.containers import Container
from demo.shell import virsh, virtsec, wait_for

pytestmark = [pytest.mark.after_reset, pytest.mark.once]


def test_a_container_that_starts_with_the_host_serves_confined() -> None:
    """Nothing but libvirt has started it."""
    vs2 = Container("vs2")
    wait_for("vs2 to be started", vs2.running)
    vs2.wait()
    told = vs2.info()
    assert told["live_label"] == told["label"]["process"]
    assert told["label_holds"] is True
    init = Path(f"/proc/{vs2.init_pid()}/attr/current").read_text().rstrip("\0\n")
    assert init == told["label"]["process"]


def test_one_that_does_not_is_shut_off_and_starts(vs1: Container) -> None:
    """The fixture has started it; that it ran before could not be, with the host's binds gone."""
    assert vs1.page() == "This is vs1.\n"
    assert "vs3" not in virsh("list", "--name").stdout.split()


def test_setup_finds_nothing_to_do() -> None:
    assert "nothing changed" in virtsec("setup").stdout


@pytest.mark.smack
def test_rules_and_labels_are_back() -> None:
    rules = {tuple(line.split()[:2]) for line in smackfs("load2").splitlines()}
    assert {("net", "_"), ("_", "host"), ("_", "vs1"), ("_", "vs2"), ("_", "vs3")} <= rules
    for path in ("/etc/shadow", "/root", "/dev/kmsg", "/dev/vda"):
        assert os.getxattr(path, "security.SMACK64") == b"host", path
    assert virtsec("protect", "--check").returncode == 0


def smackfs(name: str) -> str:
    """A file of smackfs."""
    return Path("/sys/fs/smackfs", name).read_text()
