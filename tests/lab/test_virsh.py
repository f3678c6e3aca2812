"""virsh and virtinst work on virtsec's domains as on any other."""

from pathlib import Path

from demo.containers import Container
from demo.shell import run, virsh

GOLDEN = Path(__file__).parents[1] / "golden"


def test_virsh_lists_dumps_stops_and_starts_them(vs2: Container) -> None:
    assert "vs2" in virsh("list", "--name").stdout.split()
    assert "urn:virtsec:container" in virsh("dumpxml", "vs2").stdout
    virsh("destroy", "vs2")
    assert "vs2" not in virsh("list", "--name").stdout.split()
    virsh("start", "vs2")
    vs2.wait()


def test_virsh_undefines_them_and_defines_them_again(vs2: Container) -> None:
    vs2.stop()
    definition = virsh("dumpxml", "--inactive", "vs2").stdout
    virsh("undefine", "vs2")
    assert "vs2" not in virsh("list", "--all", "--name").stdout.split()
    virsh("define", "/dev/stdin", stdin=definition)
    virsh("autostart", "vs2")  # libvirt keeps that beside the XML, and undefine forgets it
    vs2.start()


def test_virt_xml_changes_them_and_they_start(vs2: Container) -> None:
    vs2.stop()
    run("virt-xml", "-c", "lxc:///", "vs2", "--edit", "--memory", "300,maxmemory=300")
    vs2.start()
    assert vs2.info()["memory_mib"] == 300


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
