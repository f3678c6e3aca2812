"""Last, as it takes virtsec away: attacks bite without it, and nothing foreign is changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo import attacks
from demo.containers import Container, Control, controls
from demo.shell import run, virsh, virtsec

pytestmark = pytest.mark.selinux

#: Debian's policy does not let libvirt's own containers start when it is enforced: for these
#: domains alone it is not, the rest of the host goes on enforcing. Without the last one machined
#: cannot answer libvirt_lxc over D-Bus ("Timeout was reached") once virtsec's module is gone.
CONTROL_POLICY = "".join(
    f"(typepermissive {domain})\n"
    for domain in ("virtd_lxc_t", "container_t", "systemd_machined_t")
)


@pytest.fixture(scope="module", autouse=True)
def control_policy(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let libvirt's own containers start."""
    module = tmp_path_factory.mktemp("policy") / "controls.cil"
    module.write_text(CONTROL_POLICY)
    run("semodule", "-i", str(module))


@pytest.fixture(scope="module")
def bites(vs2: Container) -> set[str]:
    """Ids of the attacks that succeed in a container libvirt started without virtsec."""
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


@pytest.fixture(scope="module")
def foreign(bites: set[str]) -> Iterator[Control]:
    """A domain that virtsec did not make."""
    del bites
    control = Control("foreign", "foreign", "", "", "")
    Path(control.ROOT, "attack").write_text("#!/bin/sh\nexec sleep 1d\n")
    virsh("define", "/dev/stdin", stdin=control.xml())
    yield control
    virsh("destroy", "foreign", check=False)
    virsh("undefine", "foreign")


def starts() -> str:
    """Start and stop the foreign domain; returns its XML."""
    virsh("start", "foreign")
    virsh("destroy", "foreign")
    return virsh("dumpxml", "foreign").stdout


def test_a_foreign_domain_is_never_touched_and_nothing_of_ours_is_left(foreign: Control) -> None:
    del foreign
    before = starts()
    for command in ("start", "destroy", "undefine", "label"):
        assert run("virtsec", command, "foreign", check=False).returncode == 3
    assert "foreign" in virtsec("list", "--all").stdout

    assert run("virtsec", "setup", "--remove", check=False).returncode == 3  # containers are left
    for name in ("vs1", "vs2", "vs3"):
        if virsh("domuuid", name, check=False).returncode == 0:
            virsh("destroy", name, check=False)
            virtsec("undefine", "--storage", name)
    assert starts() == before
    virtsec("setup", "--remove")
    assert starts() == before
    for path in (
        "/etc/libvirt/hooks/lxc.d/50-virtsec",
        "/usr/libexec/virtsec",
        "/etc/virtsec",
        "/run/virtsec",
        "/var/lib/virtsec",
    ):
        assert not Path(path).exists(), path
    modules = run("semodule", "-l").stdout.split()
    assert not [module for module in modules if module.startswith("virtsec")]
    assert "virtsec" not in virsh("net-dumpxml", "default").stdout

    virtsec("setup")
    assert starts() == before
    assert "nothing changed" in virtsec("setup").stdout
