"""A domain that virt-install wrote is confined and given back, letter by letter, label by label."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from complained import complained
from demo.containers import BUSYBOX, Small
from demo.shell import run, stopped, virsh, virtsec
from inodes import inodes
from machine.qemu import Lsm

pytestmark = pytest.mark.once

NAME, ROOT = "theirs", Path("/srv/theirs")
#: A label of the host's own that not every file has.
OTHER = {
    Lsm.SELINUX: ("security.selinux", "system_u:object_r:etc_t:s0"),
    Lsm.SMACK: ("security.SMACK64", "host"),
}


@pytest.fixture(scope="module")
def theirs(lsm: Lsm) -> Iterator[Small]:
    """The domain, with its tree where its owner had it."""
    ROOT.mkdir()
    run("tar", "xpf", str(BUSYBOX), "-C", str(ROOT))
    name, value = OTHER[lsm]
    os.setxattr(ROOT / "etc/passwd", name, value.encode())
    words = (
        *("virt-install", "--connect", "lxc:///", "--name", NAME, "--memory", "64"),
        *("--osinfo", "none", "--init", "/sbin/init", "--filesystem", f"{ROOT},/"),
        *("--network", "network=default", "--print-xml"),
    )
    virsh("define", "/dev/stdin", stdin=run(*words).stdout)
    yield Small(NAME)
    stopped(NAME)
    virtsec("release", NAME, check=False)
    virsh("undefine", NAME, check=False)
    shutil.rmtree(ROOT)


def definition() -> str:
    """As virsh shows it."""
    return virsh("dumpxml", NAME, "--inactive").stdout


def starts() -> bool:
    """Whether libvirt starts it; under SELinux Debian's policy does not let it."""
    done = virsh("start", NAME, check=False)
    stopped(NAME)
    return done.returncode == 0


def test_adopted_it_is_confined_and_released_it_is_what_it_was(theirs: Small, lsm: Lsm) -> None:
    started = starts()
    before, tree = definition(), inodes(ROOT)
    said = virtsec("adopt", NAME, "--dry-run").stdout
    assert "+    <partition>/machine/theirs</partition>" in said.splitlines()
    assert "Nothing was changed." in said
    assert (definition(), inodes(ROOT)) == (before, tree)

    said = virtsec("adopt", NAME).stdout
    assert f"{NAME} is confined, privileged." in said
    theirs.start()
    assert theirs.confined()
    theirs.inside("echo new >/etc/new")
    assert f"{NAME} is virtsec's already." in virtsec("adopt", NAME, check=False).stderr
    running = virtsec("release", NAME, check=False)
    assert running.returncode == 3
    assert "is running, and cannot be released meanwhile." in running.stderr
    theirs.stop()

    virtsec("release", NAME)
    assert definition() == before
    now = inodes(ROOT)
    assert {path: now[path] for path in tree} == tree
    # libvirt_lxc makes the directory that it moves the host's root to.
    assert now.keys() - tree.keys() - {ROOT / ".oldroot"} == {ROOT / "etc/new"}
    labels = [now[path][3].get(OTHER[lsm][0]) for path in (ROOT, ROOT / "etc/new")]
    assert labels[0] == labels[1]
    assert virtsec("info", NAME).stdout.count("foreign") == 1
    assert starts() == started


def test_what_a_file_describes_is_defined_and_confined(theirs: Small, tmp_path: Path) -> None:
    file = tmp_path / "domain.xml"
    file.write_text(definition())
    done = virtsec("define", "--from-xml", str(file), check=False)
    assert done.returncode == 2
    assert f"libvirt has a domain {NAME} already." in done.stderr
    virsh("undefine", NAME)
    virtsec("define", "other", "--from-xml", str(file))
    other = Small("other")
    other.start()
    assert other.confined()
    other.stop()
    virtsec("undefine", "other")
    virsh("define", str(file))


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("adopt", "nobody"), 2, "There is no domain nobody."),
        (("adopt", "vs1"), 3, "vs1 is virtsec's already."),
        (("release", "vs1"), 3, "vs1 was made by virtsec, not adopted."),
        (("define", "--from-xml", "/nowhere.xml"), 2, "/nowhere.xml cannot be read"),
        (("define", "--from-xml", "/etc/hostname"), 2, "The definition is not XML"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    vs1: object, words: tuple[str, ...], status: int, sentence: str
) -> None:
    complained(words, status, sentence)
