"""Making a Smack host ready, and giving it back as it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import cast

import pytest

from tests.unit.mac.smack_fakes import FakeSmackfs
from virtsec.domain.connection import Libvirt
from virtsec.errors import HostNotReady
from virtsec.mac import detect, install
from virtsec.mac.packets import traffic
from virtsec.mac.smack import hostfiles, protect, setup
from virtsec.mac.smack.kernel import Smackfs
from virtsec.mac.smack.module import Smack
from virtsec.mac.smack.policy import container_policy
from virtsec.mac.smack.rule import Rule
from virtsec.mac.smack.setup import Place
from virtsec.spec import Link, Traffic
from virtsec.step import Host, Step, execute


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of systemd and nft; units run between start and stop."""
    made: list[str] = []
    running: set[str] = set()

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        if "is-active" in words:
            return subprocess.CompletedProcess(words, 0 if words[-1] in running else 3, "", "")
        if "restart" in words:
            running.update(words)
        if "--now" in words:
            running.difference_update(words)
        made.append(" ".join(words))
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(install, "call", call)
    return made


@pytest.fixture
def host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> tuple[Host, Smack, Path, FakeSmackfs]:
    monkeypatch.setattr(hostfiles, "ATTRIBUTE", "user.smack")
    monkeypatch.setattr(hostfiles, "TRANSMUTE", "user.smack-transmute")
    for directory in ("etc/systemd/system", "etc/udev/rules.d", "usr/libexec"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/shadow").write_text("x")
    kernel = FakeSmackfs()
    smack = Smack(Place(kernel, tmp_path))
    return Host(libvirt=cast(Libvirt, None), mac=smack), smack, tmp_path, kernel


def state(root: Path) -> dict[str, list[str]]:
    return {str(path): sorted(os.listxattr(path)) for path in root.rglob("*")}


def test_a_second_setup_has_nothing_to_do(host: tuple[Host, Smack, Path, FakeSmackfs]) -> None:
    it, smack, root, kernel = host
    assert smack.ready() is not None
    execute(smack.setup_steps(Traffic()), it)
    assert smack.ready() is None
    assert list(smack.setup_steps(Traffic())) == []
    assert kernel.allows(Rule("net", "_", "w"))
    assert kernel.hosts == ["0.0.0.0/0 @"]
    assert os.getxattr(root / "etc/shadow", "user.smack") == b"host"


def test_remove_gives_the_host_back(
    host: tuple[Host, Smack, Path, FakeSmackfs], calls: list[str]
) -> None:
    it, smack, root, kernel = host
    before = state(root)
    execute(smack.setup_steps(Traffic()), it)
    execute(smack.remove_steps(), it)
    assert state(root) == before
    assert not (root / "etc/smack").exists()
    assert kernel.rules() == []
    assert "/usr/sbin/nft destroy table bridge virtsec" in calls
    assert kernel.hosts[-1] == "0.0.0.0/0 -CIPSO"
    assert list(smack.remove_steps()) == []


def test_remove_takes_along_what_virsh_left_of_a_container(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, kernel = host
    execute(smack.setup_steps(Traffic()), it)
    smack.load([container_policy("gone")])
    execute(smack.remove_steps(), it)
    assert not (root / "etc/smack").exists()
    assert kernel.rules() == []


def test_nothing_is_labelled_again_while_labels_are_taken_off(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, _, _ = host
    there = [type(step) for step in smack.setup_steps(Traffic())]
    execute(smack.setup_steps(Traffic()), it)
    back = [type(step) for step in smack.remove_steps()]
    assert there.index(setup.ProtectHost) < there.index(setup.StartUnits)
    assert back.index(setup.StopUnits) < back.index(setup.ExposeHost)


@pytest.mark.parametrize("failing", range(4))
def test_a_setup_that_fails_leaves_the_host_as_it_was(
    host: tuple[Host, Smack, Path, FakeSmackfs], failing: int
) -> None:
    it, smack, root, kernel = host
    before = state(root)

    def fail(index: int, step: Step) -> None:
        if index == failing:
            raise HostNotReady("The power went.")

    with pytest.raises(HostNotReady):
        execute(smack.setup_steps(Traffic()), it, fail)
    assert state(root) == before
    assert kernel.rules() == []


@pytest.mark.parametrize("failing", range(5))
def test_an_upgrade_that_fails_leaves_what_containers_run_under_as_it_was(
    host: tuple[Host, Smack, Path, FakeSmackfs], calls: list[str], failing: int
) -> None:
    it, smack, root, kernel = host
    (root / "boot").mkdir()
    (root / "boot/config").write_text("x")
    execute(smack.setup_steps(Traffic()), it)
    # As an earlier version had it.
    for path in (
        "etc/smack/accesses.d/virtsec",
        f"etc/systemd/system/{setup.CHANGES}",
        "etc/virtsec/packets.nft",
    ):
        (root / path).write_text(f"{(root / path).read_text()}# of an earlier version\n")
    record = root / "etc/smack/virtsec-host-files"
    record.write_text(record.read_text().replace("/boot/\n", ""))
    for secret in (root / "boot", root / "boot/config"):
        for name in os.listxattr(secret):
            os.removexattr(secret, name)
    before, rules = contents(root), kernel.rules()
    calls.clear()

    def fail(index: int, _: Step) -> None:
        if index == failing:
            raise HostNotReady("The power went.")

    steps = smack.setup_steps(Traffic())
    assert len(steps) == 4
    with pytest.raises(HostNotReady):
        execute([*steps, steps[0]], it, fail)  # what comes after them may fail, too
    assert contents(root) == before
    assert kernel.rules() == rules
    assert kernel.hosts[-1] == "0.0.0.0/0 @"
    assert not [each for each in calls if "disable" in each or "destroy" in each]


def contents(root: Path) -> dict[str, object]:
    """What files say, and which secrets have a label: this kernel hands none down."""
    there = [path for path in root.rglob("*") if path.is_file()]
    found: dict[str, object] = {str(path): path.read_bytes() for path in there}
    secrets = ("etc/shadow", "boot", "boot/config")
    return found | {name: os.listxattr(root / name) for name in secrets}


def test_an_upgrade_writes_what_packets_may_reach_as_this_version_does(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, _ = host
    wanted = Traffic({"vs1": (Link("vs2", 80),)})
    execute(smack.setup_steps(wanted), it)
    now = (root / traffic.FILE).read_text()
    (root / traffic.FILE).write_text(now.replace("ct direction reply", "ct state established"))
    (step,) = smack.setup_steps(wanted)
    step.apply(it)
    assert (root / traffic.FILE).read_text() == now
    assert step.describe() not in [each.describe() for each in smack.setup_steps(wanted)]


def test_what_the_administrator_adds_and_what_was_replaced_is_labelled_by_the_next_setup(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, _ = host
    execute(smack.setup_steps(Traffic()), it)
    (root / setup.ADDED).write_text("/etc/key mine\n")
    (root / "etc/key").write_text("x")
    (root / "etc/shadow").unlink()
    (root / "etc/shadow").write_text("y")
    execute(smack.setup_steps(Traffic()), it)
    for name in ("etc/key", "etc/shadow"):
        assert os.getxattr(root / name, "user.smack") == b"host"
    (root / setup.ADDED).unlink()
    execute(smack.remove_steps(), it)
    assert os.listxattr(root / "etc/key") == []


def test_what_the_administrator_adds_may_be_called_by_any_bytes(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, _ = host
    execute(smack.setup_steps(Traffic()), it)
    key = os.fsencode(root / "etc") + b"/cl\xe9"
    Path(os.fsdecode(key)).write_text("x")
    (root / setup.ADDED).write_bytes(b"# cl\xe9s\n/etc/cl\xe9 mine\n")
    execute(smack.setup_steps(Traffic()), it)
    assert os.getxattr(key, "user.smack") == b"host"
    assert smack.setup_steps(Traffic()) == []
    execute(smack.remove_steps(), it)
    assert os.listxattr(key) == []


def test_what_protect_labelled_since_is_taken_off_by_remove(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, kernel = host
    execute(smack.setup_steps(Traffic()), it)
    (root / "srv/secret").mkdir(parents=True)
    (root / "srv/secret/key").write_text("x")
    (root / setup.ADDED).write_text("/srv/secret/\n")
    before = state(root / "srv")
    protect.protect(Place(kernel, root))
    assert os.getxattr(root / "srv/secret/key", "user.smack") == b"host"
    execute(smack.remove_steps(), it)
    assert state(root / "srv") == before


def test_what_is_listed_no_longer_has_its_label_taken_off_but_where_another_line_has_it(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, kernel = host
    execute(smack.setup_steps(Traffic()), it)
    place = Place(kernel, root)
    (root / "srv/secret").mkdir(parents=True)
    for name in ("secret/key", "open"):
        (root / "srv" / name).write_text("x")
    (root / setup.ADDED).write_text("/srv/\n")
    protect.protect(place)
    (root / setup.ADDED).write_text("/srv/secret/\n")
    assert [path for path in protect.protect(place) if path.is_relative_to(root / "srv")] == []
    assert os.getxattr(root / "srv/secret/key", "user.smack") == b"host"
    assert os.listxattr(root / "srv/open") == []
    (root / setup.ADDED).unlink()
    protect.protect(place)
    assert os.listxattr(root / "srv/secret/key") == []
    assert os.getxattr(root / "etc/shadow", "user.smack") == b"host"


def test_a_boot_that_lost_the_rules_is_seen(host: tuple[Host, Smack, Path, FakeSmackfs]) -> None:
    it, smack, _, kernel = host
    execute(smack.setup_steps(Traffic()), it)
    kernel.given.clear()
    assert smack.ready() == "Smack rule 'net _ w' not loaded"
    assert [step.describe() for step in smack.setup_steps(Traffic())] == [
        "load the Smack rules of the labels net, host and virtsec-rest"
    ]


def test_a_replaced_file_is_labelled_when_systemd_sees_it(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, kernel = host
    execute(smack.setup_steps(Traffic()), it)
    place = Place(kernel, root)
    (root / "etc/shadow.new").write_text("y")
    (root / "etc/shadow.new").rename(root / "etc/shadow")
    assert root / "etc/shadow" in protect.protect(place, check=True)
    assert "user.smack" not in os.listxattr(root / "etc/shadow")
    assert protect.main(place) == 0
    assert os.getxattr(root / "etc/shadow", "user.smack") == b"host"
    assert protect.protect(place, check=True) == []


def test_directories_are_watched_into_which_a_file_may_be_moved(
    host: tuple[Host, Smack, Path, FakeSmackfs],
) -> None:
    it, smack, root, _ = host
    execute(smack.setup_steps(Traffic()), it)
    watched = (root / "etc/systemd/system" / setup.CHANGES).read_text().splitlines()
    assert watched.count("PathChanged=/etc") == 1
    assert "PathChanged=/etc/ssh" in watched
    assert not any("*" in line or line.endswith("/") for line in watched)


def test_a_file_the_administrator_adds_is_watched_from_the_next_protect_on(
    host: tuple[Host, Smack, Path, FakeSmackfs], calls: list[str]
) -> None:
    it, smack, root, kernel = host
    execute(smack.setup_steps(Traffic()), it)
    (root / "etc/own").mkdir()
    (root / setup.ADDED).write_text("/etc/own/key mine\n")
    assert smack.ready() is None, "containers start as before, and `protect` may be run"
    calls.clear()
    smack.protect(check=True)
    assert calls == []
    smack.protect(check=False)
    watched = (root / "etc/systemd/system" / setup.CHANGES).read_text().splitlines()
    assert "PathChanged=/etc/own" in watched
    assert calls[-1] == f"/usr/bin/systemctl restart {setup.CHANGES}"
    assert setup.missing_files(Place(kernel, root)) == []


@pytest.mark.parametrize(
    ("listed", "found"),
    [("capability,smack\n", "smack"), ("lockdown,capability,yama,selinux\n", "selinux")],
)
def test_the_module_in_force_is_found_where_both_are_compiled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str, found: str
) -> None:
    monkeypatch.setattr("virtsec.mac.selinux.kernel.active", lambda: True)
    monkeypatch.setattr(Smackfs, "there", lambda self: True)
    (tmp_path / "lsm").write_text(listed)
    assert detect.detect(tmp_path / "lsm").model == found


@pytest.mark.parametrize("listed", ["capability,apparmor", "", "capability,smack,selinux"])
def test_neither_in_force_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    monkeypatch.setattr("virtsec.mac.selinux.kernel.active", lambda: "selinux" not in listed)
    monkeypatch.setattr(Smackfs, "there", lambda self: "smack" not in listed)
    (tmp_path / "lsm").write_text(listed)
    with pytest.raises(HostNotReady, match="Neither SELinux nor Smack"):
        detect.detect(tmp_path / "lsm")
