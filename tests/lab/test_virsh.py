"""virsh and virtinst work on virtsec's domains as on any other."""

from pathlib import Path

from demo.containers import Container, Small
from demo.shell import run, virsh

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
