"""virsh and virtinst work on virtsec's domains as on any other."""

from pathlib import Path

import pytest
from demo.containers import ALIKE, BUSYBOX, Container, Small, prepare
from demo.shell import run, stopped, virsh, virtsec, wait_for

GOLDEN = Path(__file__).parents[1] / "golden"


def test_virsh_lists_dumps_stops_and_starts_them(small: Small) -> None:
    assert "small" in virsh("list", "--name").stdout.split()
    assert "urn:virtsec:container" in virsh("dumpxml", "small").stdout
    virsh("destroy", "small")
    assert "small" not in virsh("list", "--name").stdout.split()
    virsh("start", "small")
    assert small.confined()


def test_virsh_undefines_them_and_defines_them_again(small: Small) -> None:
    small.stop()
    definition = virsh("dumpxml", "--inactive", "small").stdout
    virsh("undefine", "small")
    assert "small" not in virsh("list", "--all", "--name").stdout.split()
    virsh("define", "/dev/stdin", stdin=definition)
    small.start()
    assert small.confined()


def removed(module: str) -> bool:
    """Take a module out of the kernel, unless something uses it."""
    return run("modprobe", "--remove", module, check=False).returncode == 0


@pytest.mark.selinux
def test_virsh_starts_one_on_a_base_as_it_is_after_a_boot() -> None:
    """overlayfs is a module, and SELinux has none loaded for what libvirt starts."""
    prepare()
    based = Small("based")
    virtsec("base", "create", "of-based", "--from", str(BUSYBOX))
    virtsec("define", based.name, "--base", "of-based", *ALIKE)
    try:
        assert removed("overlay")
        assert "No such device" in virsh("start", based.name, check=False).stderr
        run("systemctl", "restart", "systemd-modules-load")
        virsh("start", based.name)
        assert based.confined()
        virsh("destroy", based.name)
        wait_for("its mounts to go", lambda: removed("overlay"))
        Path("/etc/modules-load.d/virtsec.conf").unlink()  # an earlier version had none
        virtsec("setup")
        virsh("start", based.name)
        assert based.confined()
    finally:
        stopped(based.name)
        virtsec("undefine", based.name, "--storage")
        virtsec("base", "remove", "of-based")


def test_virt_xml_changes_them_and_they_start(small: Small) -> None:
    small.stop()
    run("virt-xml", "-c", "lxc:///", "small", "--edit", "--memory", "300,maxmemory=300")
    small.start()
    assert small.confined()
    assert small.info()["memory_mib"] == 300


def test_their_xml_is_valid_by_libvirts_own_schema(
    vs1: Container, vs3: Container, tmp_path: Path
) -> None:
    for container in (vs1, vs3):
        path = tmp_path / f"{container.name}.xml"
        path.write_text(virsh("dumpxml", "--inactive", container.name).stdout)
        run("virt-xml-validate", str(path), "domain")


def test_the_golden_xml_is_valid_by_libvirts_own_schema() -> None:
    golden = sorted(GOLDEN.rglob("*.xml"))
    assert golden
    for path in golden:
        run("virt-xml-validate", str(path), "domain")
