"""Last, as it loosens libvirt's own domains: each attack bites where virtsec is not used."""

import pytest
from demo import attacks
from demo.containers import Container, controls
from demo.shell import run

pytestmark = pytest.mark.selinux

#: Debian's policy does not let libvirt's own containers start when it is enforced: for their two
#: domains alone it is not, the rest of the host goes on enforcing.
CONTROL_POLICY = "(typepermissive virtd_lxc_t)\n(typepermissive container_t)\n"


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
