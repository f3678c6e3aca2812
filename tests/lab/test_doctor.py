"""doctor finds each fault that is planted, and `--fix` mends those it says it mends."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from demo.shell import run, virsh, virtsec
from machine.qemu import Lsm

from virtsec.commands.doctoring import doctor
from virtsec.commands.host import open_host
from virtsec.diagnosis.check import Checked
from virtsec.step import Silent

HOOK = "/etc/libvirt/hooks/lxc.d/50-virtsec"
CONTROLLER = "/usr/libexec/virtsec/controller"
MODULE = "/usr/libexec/virtsec/judgement.py"
LINKS = "/etc/virtsec/traffic.nft"
OPENED = 'iifname "vs-vs1" meta secmark set "linked"'
NAME = "patient"
STORE = f"/var/lib/virtsec/{NAME}"
MOUNT = "/srv/for-patient"
#: Its own: what runs on a network loses its connection with it.
NETWORK = "for-patient"
ATTRIBUTE = {Lsm.SELINUX: "security.selinux", Lsm.SMACK: "security.SMACK64"}
REST = {Lsm.SELINUX: "system_u:object_r:virtsec_store_t:s0", Lsm.SMACK: "virtsec-rest"}
RELOAD = "kill -HUP $(systemctl show --property MainPID --value libvirtd); sleep 3"


@dataclass(frozen=True)
class Planted:
    """Shell commands that make a fault and take it away, and what doctor is to say of it."""

    plant: str
    mend: str
    subject: str
    id: str
    fixable: bool


def edit(pattern: str) -> tuple[str, str]:
    """Commands that edit the definition, and undo it."""
    virsh = "virsh -c lxc:///"
    return (
        f"{virsh} dumpxml --inactive {NAME} >/tmp/before.xml; "
        f"sed '{pattern}' /tmp/before.xml >/tmp/after.xml; "
        "! cmp -s /tmp/before.xml /tmp/after.xml; "
        f"{virsh} define /tmp/after.xml",
        f"{virsh} define /tmp/before.xml",
    )


#: Those of one round are there together: none of them hides another.
ROUNDS = (
    {
        "the hook has another line": Planted(
            f"cp -p {HOOK} /tmp/hook; echo '# more' >>{HOOK}", f"cp -p /tmp/hook {HOOK}",
            "host", "hook", True,
        ),
        "the controller has another line": Planted(
            f"cp -p {CONTROLLER} /tmp/controller; echo '# more' >>{CONTROLLER}",
            f"cp -p /tmp/controller {CONTROLLER}", "host", "controller", True,
        ),
        "anybody may change the store": Planted(
            "chmod 0777 /var/lib/virtsec", "chmod 0711 /var/lib/virtsec", "host", "store", True
        ),
        "packets are not labelled": Planted(
            "systemctl stop virtsec-packets", "systemctl start virtsec-packets",
            "host", "policy", True,
        ),
        "the definition keeps all capabilities": Planted(
            *edit("s/policy=.deny./policy=\"allow\"/"), NAME, "definition", False
        ),
        "the root may be written by others": Planted(
            f"chmod o+w {STORE}/rootfs", f"chmod o-w {STORE}/rootfs", NAME, "root", False
        ),
        "what is mounted is gone": Planted(
            f"rmdir {MOUNT}", f"mkdir {MOUNT}", NAME, "mounts", False
        ),
        "the network is not active": Planted(
            f"virsh net-destroy {NETWORK}", f"virsh net-start {NETWORK}", NAME, "network", True
        ),
    },
    {
        "the hook's module has another line": Planted(
            f"cp -p {MODULE} /tmp/module; echo '# more' >>{MODULE}", f"cp -p /tmp/module {MODULE}",
            "host", "hook", True,
        ),
        "the controller is not root's": Planted(
            f"chown nobody {CONTROLLER}", f"chown root {CONTROLLER}", "host", "controller", True
        ),
        "the table of packets is changed": Planted(
            "cp -p /etc/virtsec/packets.nft /tmp/packets; echo '# more' >>/etc/virtsec/packets.nft",
            "cp -p /tmp/packets /etc/virtsec/packets.nft", "host", "policy", True,
        ),
        "the root is not the container's": Planted(
            f"stat -c %u:%g {STORE}/rootfs >/tmp/owner; chown 0:0 {STORE}/rootfs",
            f"chown $(cat /tmp/owner) {STORE}/rootfs", NAME, "root", False,
        ),
    },
    {
        "anybody may write the hook": Planted(
            f"chmod o+w {HOOK}", f"chmod o-w {HOOK}", "host", "hook", True
        ),
        "more is let through than links say": Planted(
            f"cp -p {LINKS} /tmp/links; sed -i '/hook forward/a {OPENED}' {LINKS};"
            "systemctl reload virtsec-packets",
            f"cp -p /tmp/links {LINKS}; systemctl reload virtsec-packets", "host", "links", True,
        ),
        "the metadata is broken": Planted(
            *edit("s/kind=.unprivileged./kind=\"free\"/"), NAME, "definition", False
        ),
    },
    {
        "the hook is gone": Planted(
            f"mv {HOOK} /etc/libvirt/hooks/away", f"mv /etc/libvirt/hooks/away {HOOK}",
            "host", "hook", True,
        ),
        "the root is gone": Planted(
            f"mv {STORE}/rootfs {STORE}/away", f"mv {STORE}/away {STORE}/rootfs",
            NAME, "root", False,
        ),
    },
    {
        "others may replace the hook": Planted(
            "chmod o+w /etc/libvirt/hooks", "chmod o-w /etc/libvirt/hooks", "host", "hook", False
        ),
        "the definition was cut off": Planted(
            f"setfattr -n trusted.virtsec.unfinished -v 1 {STORE}/rootfs",
            f"setfattr -x trusted.virtsec.unfinished {STORE}/rootfs", NAME, "kept", True,
        ),
        # Without them setup does nothing: not where anything is to be mended by it.
        "there may be no user namespaces": Planted(
            "sysctl -qw user.max_user_namespaces=0", "sysctl -qw user.max_user_namespaces=10000",
            "host", "kernel", False,
        ),
    },
    {
        "libvirt has not seen the hook": Planted(
            f"mv {HOOK} /etc/libvirt/hooks/away; {RELOAD}; mv /etc/libvirt/hooks/away {HOOK}",
            RELOAD, "host", "hook-in-force", True,
        ),
    },
)  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def patient() -> None:
    """A container that is defined and does not run.

    It stays: to take its policy away costs most of a minute, and at the end all are taken at once.
    """
    run("mkdir", "-p", MOUNT)
    network = f"<network><name>{NETWORK}</name><bridge name='virbr-patient'/></network>"
    virsh("net-define", "/dev/stdin", stdin=network)
    virsh("net-start", NETWORK)
    options = ("--network", NETWORK, "--mount", f"{MOUNT}:/mnt")
    virtsec("define", NAME, "--from", "/srv/images/busybox.tar", *options)


def wrong(*, fix: bool = False) -> dict[tuple[str, str], Checked]:
    """What doctor finds wrong, by subject and id. By the library: most of a command is Python."""
    found = doctor(partial(open_host, Silent()), fix=fix)
    bad = {(each.subject, each.id): each for each in found.checks if not each.good}
    assert found.healthy == (not bad)
    return bad


# Under SELinux their policies are loaded ahead, and count as left of them until they are defined.
@pytest.mark.usefixtures("vs1", "vs2", "vs3", "small")
@pytest.mark.once
def test_a_host_that_is_well_is_found_well() -> None:
    assert wrong() == {}
    document = json.loads(virtsec("doctor", "--json").stdout)
    assert document["healthy"]
    assert {each["subject"] for each in document["checks"]} >= {"host", NAME}


@pytest.mark.once
@pytest.mark.parametrize("faults", ROUNDS, ids=", ".join)
def test_faults_are_found(faults: dict[str, Planted]) -> None:
    planted(*faults.values())


@pytest.mark.once
def test_a_policy_that_is_not_loaded_is_found_and_loaded(lsm: Lsm) -> None:
    take = {
        Lsm.SELINUX: f"semodule -X 400 -r virtsec-container-{NAME}",
        Lsm.SMACK: f"printf '_ {NAME} -' >/sys/fs/smackfs/load2",
    }
    planted(Planted(take[lsm], "true", NAME, "policy-loaded", True))


@pytest.mark.once
def test_a_policy_is_shown_with_its_reasons_and_is_this_versions(lsm: Lsm) -> None:
    shown = json.loads(virtsec("policy", "show", NAME, "--json").stdout)
    shared, own = shown["parts"][0], shown["parts"][-1]
    assert shown["model"] == lsm.value
    assert (shared["name"], own["name"].rpartition("-")[2]) == ("virtsec", NAME)
    expected = {Lsm.SELINUX: f"(type {NAME}_t)", Lsm.SMACK: f"_ {NAME} rwxat"}
    assert expected[lsm] in own["text"]
    assert {Lsm.SELINUX: "; ", Lsm.SMACK: "# "}[lsm] in shared["text"]
    assert json.loads(virtsec("policy", "diff", NAME, "--json").stdout)["same"]


@pytest.mark.once
def test_a_tree_with_another_label_is_found_and_labelled(lsm: Lsm) -> None:
    root, attribute = f"{STORE}/rootfs", ATTRIBUTE[lsm]
    put = f"setfattr -n {attribute} -v {REST[lsm]} {root}"
    planted(Planted(put, "true", NAME, "labelled", True))


@pytest.mark.parametrize("path", [CONTROLLER, "/etc/virtsec"])
def test_what_setup_made_has_the_label_it_should(path: str, lsm: Lsm) -> None:
    """No container starts by a controller that has another one."""
    put = f"setfattr -n {ATTRIBUTE[lsm]} -v {REST[lsm]} {path}"
    planted(Planted(put, "true", "host", "labels", True))


@pytest.mark.selinux
def test_a_module_that_is_permissive_is_found_and_left() -> None:
    planted(Planted("setenforce 0", "setenforce 1", "host", "enforcing", False))


@pytest.mark.smack
def test_a_secret_that_containers_could_read_is_found_and_labelled() -> None:
    put = "systemctl stop virtsec-protect.path; setfattr -x security.SMACK64 /etc/shadow"
    mend = "systemctl start virtsec-protect.path"
    planted(Planted(put, mend, "host", "secrets", True))


def planted(*faults: Planted) -> None:
    """Each is found as said, with a remedy, and `--fix` mends those it says it mends."""
    left = {(fault.subject, fault.id): fault for fault in faults}
    assert len(left) == len(faults)
    fixable = {key for key, fault in left.items() if fault.fixable}
    for fault in faults:
        run("sh", "-ec", fault.plant)
    try:
        found = wrong()
        assert left.keys() <= found.keys()
        assert all(found[key].remedy for key in left)
        assert {key for key in left if found[key].fixable} == fixable
        if fixable:
            remaining = {key: checked.sentence for key, checked in wrong(fix=True).items()}
            assert remaining.keys() == left.keys() - fixable, remaining
            left = {key: fault for key, fault in left.items() if not fault.fixable}
    finally:
        for fault in left.values():
            run("sh", "-ec", fault.mend)


@pytest.mark.once
def test_what_is_left_of_one_that_virsh_undefined_is_found_and_taken_away() -> None:
    name, tree = "parted", Path("/var/lib/virtsec/parted/rootfs")
    exposed = ("--address", "192.168.122.88/24", "--expose", "8097:80")
    virtsec("define", name, "--from", "/srv/images/busybox.tar", *exposed)
    limits = Path(f"/etc/systemd/system.control/machine-{name}.slice.d")
    assert limits.is_dir()
    virsh("undefine", name)
    found = wrong()[("host", "left")]
    assert "parted is no domain any more" in found.sentence
    assert wrong(fix=True) == {}
    assert name not in open_host(Silent()).mac.loaded()
    assert not limits.exists()
    assert not list(Path("/etc/systemd/system").glob(f"virtsec-expose-{name}*"))
    assert (tree / "bin/busybox").exists()
    virtsec("define", name, *exposed)
    assert wrong() == {}
    virtsec("undefine", name, "--storage")


@pytest.mark.once
def test_after_all_that_the_host_is_well() -> None:
    assert wrong() == {}


@pytest.mark.once
def test_people_are_told_of_a_fault_and_its_remedy() -> None:
    virsh("net-destroy", NETWORK)
    try:
        said = virtsec("doctor", check=False)
        assert said.returncode == 1
        assert f"WRONG  The network {NETWORK} is not active." in said.stdout
        assert "`virtsec doctor --fix` does it." in said.stdout
    finally:
        virsh("net-start", NETWORK)
