"""The promise: containers serve, are kept from each other, and the host's files from them."""

import os
import re
from functools import partial
from pathlib import Path

import pytest
from demo import attacks
from demo.containers import Container
from demo.shell import run, stopped, wait_for

Outcomes = dict[str, str]


@pytest.fixture(scope="module")
def from_vs1(vs1: Container, vs2: Container) -> Outcomes:
    """What root inside vs1 reached."""
    with attacks.decoys(vs2) as targets:
        return attacks.attack_from(vs1, targets)


@pytest.fixture(scope="module")
def from_vs3(vs2: Container, vs3: Container) -> Outcomes:
    """What root inside the privileged vs3 reached."""
    with attacks.decoys(vs2) as targets:
        return attacks.attack_from(vs3, targets)


def test_each_container_serves_its_own_page_to_the_host(vs1: Container, vs2: Container) -> None:
    assert vs1.page() == "This is vs1.\n"
    assert vs2.page() == "This is vs2.\n"


def test_root_logs_in_by_ssh(vs1: Container, vs2: Container) -> None:
    for container in (vs1, vs2):
        assert container.ssh("id -u").stdout.strip() == "0"


def labels_inside(container: Container) -> set[str]:
    """Labels of all its processes, as they are read inside."""
    read = "for each in /proc/[0-9]*/attr/current; do tr -d '\\0' <$each; echo; done"
    return set(container.ssh(read).stdout.split())


def test_every_process_runs_with_its_containers_own_label(
    vs1: Container, vs2: Container, vs3: Container
) -> None:
    own = [container.info()["label"]["process"] for container in (vs1, vs2, vs3)]
    assert len(set(own)) == 3
    for container, label in zip((vs1, vs2, vs3), own, strict=True):
        assert labels_inside(container) == {label}
        init = Path(f"/proc/{container.init_pid()}/attr/current")
        assert init.read_text().rstrip("\0\n") == label


@pytest.mark.selinux
def test_a_label_is_a_type_of_the_containers_own_with_categories_of_its_own(
    vs1: Container, vs2: Container
) -> None:
    seen = {each.name: each.info()["label"]["process"] for each in (vs1, vs2)}
    pattern = r"system_u:system_r:{}_t:s0:c\d+,c\d+"
    assert re.fullmatch(pattern.format("vs1"), seen["vs1"])
    assert re.fullmatch(pattern.format("vs2"), seen["vs2"])
    assert seen["vs1"].split(":")[4] != seen["vs2"].split(":")[4]


def test_root_inside_is_an_unprivileged_id_outside_and_ranges_are_apart(
    vs1: Container, vs2: Container, vs3: Container
) -> None:
    def owner(container: Container) -> int:
        return int(run("stat", "-c", "%u", f"/proc/{container.init_pid()}").stdout)

    assert owner(vs1) >= 65536
    assert abs(owner(vs1) - owner(vs2)) >= 65536
    assert owner(vs3) == 0


def test_capabilities_over_policy_are_gone_before_init_runs(
    vs1: Container, vs2: Container, vs3: Container
) -> None:
    mac_override, mac_admin, sys_module, sys_rawio, mknod = 32, 33, 16, 17, 27
    audit_read, perfmon, bpf, checkpoint = 37, 38, 39, 40
    for container in (vs1, vs2, vs3):
        status = container.ssh("cat /proc/1/status").stdout
        bounding = int(re.search(r"CapBnd:\s*(\w+)", status)[1], 16)  # type: ignore[index]
        for capability in (
            *(mac_override, mac_admin, sys_module, sys_rawio, mknod),
            *(audit_read, perfmon, bpf, checkpoint),
        ):
            assert not bounding >> capability & 1, capability


def test_the_kernels_keyrings_are_refused(vs1: Container, vs3: Container) -> None:
    """The host's root and vs3's have their keys in one keyring."""
    ask = (
        "perl -e 'for (248, 249, 250) { $! = 0; syscall $_, -1, 0, 0, 0, 0; print $! + 0, qq(\n) }'"
    )
    assert run("sh", "-c", ask).stdout.split() != ["1"] * 3
    for container in (vs1, vs3):
        assert container.ssh(ask).stdout.split() == ["1"] * 3  # EPERM
        assert "NoNewPrivs:\t0" in container.ssh("cat /proc/1/status").stdout  # su and sudo work


@pytest.mark.parametrize("attack", [attack.id for attack in attacks.ATTACKS])
def test_root_inside_is_refused(attack: str, from_vs1: Outcomes) -> None:
    assert from_vs1[attack].startswith("held"), from_vs1[attack]


@pytest.mark.parametrize("attack", [attack.id for attack in attacks.ATTACKS])
def test_root_inside_is_refused_where_only_the_policy_stands_between(
    attack: str, from_vs3: Outcomes
) -> None:
    assert from_vs3[attack].startswith("held"), from_vs3[attack]


def tasks(container: Container) -> set[str]:
    """The host's process ids of all that runs inside."""
    inside = os.readlink(f"/proc/{container.init_pid()}/ns/pid")
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "ns/pid") == inside:
                found.add(process.name)
        except OSError:  # gone meanwhile
            continue
    return found


def over(container: Container, killed: set[str]) -> bool:
    """Whether none of these runs inside any more."""
    return killed.isdisjoint(tasks(container))


def test_killing_everything_inside_hurts_nothing_outside(
    vs1: Container, vs2: Container, vs3: Container
) -> None:
    with attacks.decoys(vs2) as targets:
        before = vs2.init_pid()
        for container in (vs1, vs3):
            killed = tasks(container) - {str(container.init_pid())}
            assert killed
            container.ssh("kill -9 -1", check=False)  # its own connection too: no status comes
            wait_for(f"all in {container.name} to die", partial(over, container, killed))
        assert "kill" not in targets.damage()
        assert vs2.init_pid() == before
        assert "vs2" in vs2.page()
    for container in (vs1, vs3):
        # systemd brings back what was killed; what it gave up on comes with a new start.
        stopped(container.name)
        container.start()
