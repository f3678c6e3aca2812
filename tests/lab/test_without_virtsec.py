"""Last, as it takes virtsec away: attacks bite without it, and nothing foreign is changed."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo import attacks
from demo.containers import ALIKE, Container, Control, controls, let_controls_start
from demo.shell import stopped, virsh, virtsec
from left import OWN_PLACES, left_of_policy

pytestmark = pytest.mark.last


@pytest.fixture(scope="module")
def bites(vs2: Container) -> set[str]:
    """Ids of the attacks that succeed in a container libvirt started without virtsec."""
    let_controls_start()
    found = set()
    with attacks.decoys(vs2) as targets:
        kinds = controls(targets.disk)
    for control in kinds:
        with attacks.decoys(vs2) as fresh:
            outcome = attacks.attack_from_control(control, fresh)
        print(control.title, outcome)
        found |= {identity for identity, result in outcome.items() if result == "bite"}
    return found


@pytest.mark.parametrize("attack", [attack.id for attack in attacks.ATTACKS])
def test_each_attack_succeeds_without_virtsec(attack: str, bites: set[str]) -> None:
    assert attack in bites


class Foreign:
    """A domain that virtsec did not make, and its XML when virtsec had not yet done anything."""

    NAME = "foreign"

    def __init__(self) -> None:
        control = Control(self.NAME, self.NAME, "", "", "")
        Path(control.ROOT, "attack").write_text("#!/bin/sh\nexec sleep 1d\n")
        virsh("define", "/dev/stdin", stdin=control.xml())
        self.xml = self.start()

    def start(self) -> str:
        """Start and stop it; returns its XML, as libvirt says it and as it keeps it."""
        virsh("start", self.NAME)
        stopped(self.NAME)
        kept = Path(f"/etc/libvirt/lxc/{self.NAME}.xml").read_text()
        return virsh("dumpxml", self.NAME).stdout + kept

    def starts_throughout(self, *command: str) -> str:
        """Run a virtsec command and start the domain again and again until that ends, and after.

        After each start three times as long is waited as that took, so that the command gets on.
        Returns what the command said. Raises AssertionError when any start failed or changed the
        XML, or when hardly any of it was while the command ran: then nothing was tried.
        """
        ended = threading.Event()
        starts: list[tuple[float, float]] = []
        failed: list[Exception] = []

        def start_again_and_again() -> None:
            while not ended.is_set() and not failed:
                begun = time.monotonic()
                try:
                    assert self.start() == self.xml, "its XML is another"
                except AssertionError as error:
                    failed.append(error)
                starts.append((begun, time.monotonic()))
                ended.wait(3 * (time.monotonic() - begun))

        other = threading.Thread(target=start_again_and_again)
        begun = time.monotonic()
        other.start()
        try:
            said = virtsec(*command).stdout
        finally:
            over = time.monotonic()
            ended.set()
            other.join()
        assert not failed, failed[0]
        beside = sum(min(over, end) - max(begun, begin) for begin, end in starts)
        print(f"{' '.join(command)}: {over - begun:.1f} s, of which {beside:.1f} s beside starts")
        assert beside > (over - begun) / 6
        assert self.start() == self.xml
        return said


@pytest.fixture(scope="module")
def foreign(bites: set[str]) -> Iterator[Foreign]:
    """A domain that virtsec did not make."""
    del bites
    yield Foreign()
    stopped(Foreign.NAME)
    virsh("undefine", Foreign.NAME)


@pytest.mark.parametrize("command", ["start", "shutdown", "destroy", "undefine", "label"])
def test_a_foreign_domain_is_refused(command: str, foreign: Foreign) -> None:
    refused = virtsec(command, foreign.NAME, check=False)
    assert refused.returncode == 3
    assert foreign.NAME in refused.stderr
    assert foreign.NAME in virtsec("list", "--all").stdout
    assert foreign.xml.startswith(virsh("dumpxml", foreign.NAME).stdout)


def test_a_foreign_domain_starts_while_containers_come_and_go(foreign: Foreign) -> None:
    passing = Container("passing-by")
    image = ("--from", "/srv/images/busybox.tar")
    foreign.starts_throughout("define", passing.name, *image, *ALIKE)
    virtsec("start", passing.name)
    group = Path(f"/proc/{passing.init_pid()}/cgroup").read_text()
    assert r"/machine.slice/machine-passing\x2dby.slice/" in group  # systemd's name for a hyphen
    assert foreign.start() == foreign.xml
    virtsec("destroy", passing.name)
    foreign.starts_throughout("undefine", "--storage", passing.name)


def test_setup_is_not_removed_while_there_are_containers(vs2: Container) -> None:
    refused = virtsec("setup", "--remove", check=False)
    assert refused.returncode == 3
    assert vs2.name in refused.stderr


def test_removed_and_set_up_again_nothing_foreign_is_changed(foreign: Foreign, lsm: str) -> None:
    ours = [
        each["name"]
        for each in json.loads(virtsec("list", "--all", "--json").stdout)["containers"]
        if each["ours"]
    ]
    assert "vs2" in ours
    for name in ours:
        stopped(name)
    virtsec("undefine", "--storage", *ours)
    foreign.starts_throughout("setup", "--remove")
    for path in OWN_PLACES:
        assert not Path(path).exists(), path
    assert left_of_policy(lsm) == []
    assert "virtsec" not in virsh("net-dumpxml", "default").stdout

    foreign.starts_throughout("setup")
    assert "nothing changed" in virtsec("setup").stdout
