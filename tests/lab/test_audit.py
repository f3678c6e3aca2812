"""audit: what it reads out of the policy is what attacks with nothing but the label meet."""

from itertools import permutations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from audited import audited, met, said
from demo.containers import Container, Small
from demo.shell import virsh, virtsec
from linked import linked
from machine.qemu import Lsm
from rules import unlabelled

pytestmark = pytest.mark.once

#: Labels of the host's files that a container may act on, at most, under either module.
AT_MOST = {"read": 40, "write": 12, "execute": 12}


def test_the_matrix_and_attacks_agree_on_three_containers(
    vs1: Container, vs2: Container, vs3: Container, lsm: Lsm
) -> None:
    """One link among them; with a policy that is permissive they do too: see test_defences."""
    pairs = list(permutations((vs1.name, vs2.name, vs3.name), 2))
    with linked(vs1, vs2, "80/tcp", "5300/udp"):
        status, document = audited()
        assert (status, document["sound"], document["findings"]) == (0, True, [])
        assert document["links"] == [
            {"source": "vs1", "target": "vs2", "port": 80, "protocol": "tcp"},
            {"source": "vs1", "target": "vs2", "port": 5300, "protocol": "udp"},
        ]
        assert document["open"] == []
        assert met(pairs) == set()
        assert "80/tcp 5300/udp" in virtsec("audit", "--matrix").stdout
    with unlabelled(lsm):
        # Of those two only: a connection takes packets of both, and rules may open one way.
        pairs = [("vs1", "vs2"), ("vs2", "vs1")]
        opened = said(pairs)
        assert opened == met(pairs) == {("vs1", "vs2", "network"), ("vs2", "vs1", "network")}


def test_as_virtsec_makes_it_the_host_is_sound(
    vs1: Container, vs2: Container, vs3: Container
) -> None:
    status, document = audited()
    assert document["findings"] == []
    assert (status, document["sound"]) == (0, True)
    for each in document["containers"]:
        for access, most in AT_MOST.items():
            assert 0 < len(each[access]) <= most, (each["name"], access, each[access])
    assert document["host_labels"] > len(document["containers"][0]["read"])
    assert all(each["kept"] for each in document["shared"])


def test_a_domain_edited_outside_is_a_finding(small: Small) -> None:
    before = virsh("dumpxml", "--inactive", small.name).stdout
    edited = before.replace("<capabilities policy='deny'>", "<capabilities policy='allow'>")
    assert edited != before
    virsh("define", "/dev/stdin", stdin=edited)
    try:
        status, document = audited()
        assert status == 1
        assert [(each["subject"], each["id"]) for each in document["findings"]] == [
            (small.name, "definition")
        ]
    finally:
        virsh("define", "/dev/stdin", stdin=before)


def test_people_see_who_reaches_whom(vs1: Container, vs2: Container, lsm: Lsm) -> None:
    done = virtsec("audit", "--matrix")
    assert "No container may reach another" in done.stdout
    with unlabelled(lsm):
        done = virtsec("audit", "--matrix", check=False)
        assert done.returncode == 1
        assert "OPEN  vs1 reaches vs2 by network" in done.stdout


def test_the_picture_and_the_page_are_written(
    vs1: Container, vs2: Container, tmp_path: Path
) -> None:
    picture, page = tmp_path / "matrix.svg", tmp_path / "audit.html"
    virtsec("audit", "--output", str(picture))
    virtsec("audit", "--output", str(page))
    titles = [node.text for node in ElementTree.parse(picture).iter() if node.tag.endswith("title")]
    assert "vs1 to vs2, files is closed" in titles
    assert "No container may reach another." in page.read_text()


@pytest.mark.parametrize("name", ["matrix.png", "matrix"])
def test_a_name_that_does_not_say_what_to_write_is_refused(vs1: Container, name: str) -> None:
    done = virtsec("audit", "--output", name, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") <= 2
    assert f"{name} ends neither in .svg nor in .html." in done.stderr
