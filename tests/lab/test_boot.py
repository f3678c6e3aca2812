"""A container is a whole Debian system: it comes up, logs, and installs packages, enforcing."""

import base64
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from demo.containers import Container, Small
from demo.shell import run, virsh, virtsec, wait_for

#: What a privileged container's systemd may not mount: file systems of the host's kernel.
PRIVILEGED_FAILS = {
    "dev-hugepages.mount",
    "sys-fs-fuse-connections.mount",
}
#: What udev is told of each interface that libvirt makes for a container: by itself it does the
#: like, at the same time as libvirt, to one that has no address of its own yet.
LATE_RULES = Path("/run/udev/rules.d/10-late.rules")
LATE = """SUBSYSTEM=="net", ACTION=="add", KERNEL=="vnet*", \
PROGRAM="/bin/sh -c 'sleep 0.1; ip link set dev %k address 02:00:00:00:00:01'"
"""


def started_everything(container: Container) -> bool:
    """Whether its systemd has nothing left to start."""
    state = container.ssh("systemctl is-system-running", check=False).stdout.strip()
    return state in ("running", "degraded")


def test_systemd_comes_up_with_no_failed_unit(vs1: Container, vs2: Container) -> None:
    for container in (vs1, vs2):
        wait_for(f"{container.name} to start all", partial(started_everything, container))
        failed = container.ssh("systemctl --failed --no-legend --plain").stdout
        assert failed == ""
        assert container.ssh("systemctl is-system-running").stdout.strip() == "running"


def test_a_privileged_one_is_degraded_only_by_mounts_it_may_not_make(vs3: Container) -> None:
    wait_for("vs3 to start all", partial(started_everything, vs3))
    failed = vs3.ssh("systemctl --failed --no-legend --plain").stdout
    assert {line.split()[0] for line in failed.splitlines()} <= PRIVILEGED_FAILS


def test_the_journal_is_written_and_read_inside(vs1: Container) -> None:
    vs1.ssh("logger a line of the test; journalctl --sync")
    assert "a line of the test" in vs1.ssh("journalctl -b --no-pager -n 50").stdout


def test_tmpfs_needs_no_mount_option_to_be_written(vs1: Container, vs2: Container) -> None:
    for container in (vs1, vs2):
        for place in ("/tmp", "/run", "/dev/shm"):
            assert container.ssh(f"stat -f -c %T {place}").stdout.strip() == "tmpfs"
            container.ssh(f"echo x >{place}/written && rm {place}/written")


def test_ptys_are_of_the_containers_own_instance(vs1: Container, vs2: Container) -> None:
    instances = {c.ssh("stat -c %d /dev/pts/ptmx").stdout.strip() for c in (vs1, vs2)}
    instances.add(str(Path("/dev/pts/ptmx").stat().st_dev))
    assert len(instances) == 3
    assert vs1.ssh("script -qec 'tty' /dev/null").stdout.strip().startswith("/dev/pts/")


def test_a_package_is_installed_inside(vs1: Container) -> None:
    package = base64.b64encode(Path("/srv/images/lab-hello.deb").read_bytes()).decode()
    vs1.ssh("base64 -d >/root/lab-hello.deb", stdin=package)
    vs1.ssh("DEBIAN_FRONTEND=noninteractive apt-get install -y /root/lab-hello.deb")
    assert "install ok installed" in vs1.ssh("dpkg -s lab-hello").stdout


def test_addresses_are_static_or_by_dhcp(vs1: Container, vs2: Container) -> None:
    assert vs2.address() == "192.168.122.12"
    assert vs1.address().startswith("192.168.122.")
    assert vs1.address() != vs2.address()


@pytest.fixture
def late_udev() -> Iterator[None]:
    """Have udev give a container's interface an address after libvirt has."""
    LATE_RULES.parent.mkdir(exist_ok=True)
    LATE_RULES.write_text(LATE)
    run("udevadm", "control", "--reload")
    yield
    LATE_RULES.unlink()
    run("udevadm", "control", "--reload")


@pytest.mark.usefixtures("late_udev")
def test_its_ethernet_address_is_that_of_its_xml_though_udev_writes_another(small: Small) -> None:
    """Else it is at another address by DHCP than `virtsec info` and libvirt say."""
    small.stop()
    small.start()
    (named,) = re.findall("<mac address='([^']+)'", virsh("dumpxml", small.name).stdout)
    assert small.inside("cat /sys/class/net/eth0/address").stdout.strip() == named


def test_list_and_info_say_label_state_and_addresses(vs1: Container, vs2: Container) -> None:
    document = json.loads(virtsec("list", "--json").stdout)
    listed = {each["name"]: each for each in document["containers"]}
    for container in (vs1, vs2):
        assert listed[container.name]["confinement"] == "confined"
        assert container.address() in [a.split("/")[0] for a in listed[container.name]["addresses"]]
    told = vs1.info()
    assert told["kind"] == "unprivileged"
    assert told["live_label"] == told["label"]["process"]
    assert told["label_holds"] is True


def test_reboot_and_shutdown_inside_are_the_containers_own(vs2: Container) -> None:
    before = vs2.init_pid()
    virtsec("reboot", "vs2")
    wait_for("vs2 to run another init", lambda: vs2.running() and vs2.init_pid() != before)
    vs2.wait()
    virtsec("shutdown", "vs2")
    wait_for("vs2 to be shut off", lambda: virsh("domstate", "vs2").stdout.strip() == "shut off")
    vs2.start()
