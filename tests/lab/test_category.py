"""`--confinement category`: a container without a policy of its own is kept apart as well."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked import CLASSES, allowed
from audited import audited
from complained import complained
from demo.containers import ALIKE, Container, Small, fleet_of, prepare
from demo.shell import run, virsh, virtsec
from proving import outcomes
from verified import broken, verified

from virtsec.attacks.probe import Defence
from virtsec.attacks.probes import PROBES
from virtsec.attacks.proven import proven
from virtsec.spec import Label

pytestmark = pytest.mark.selinux

NAMES = ("alike", "likewise")
STORE = Path("/var/lib/selinux/default/active/modules/400")


@pytest.fixture(scope="module")
def alike() -> Iterator[tuple[Small, Small]]:
    """Two running containers with the same types."""
    prepare()
    before = modules()
    pair = Small(NAMES[0]), Small(NAMES[1])
    for each in pair:
        each.define(*ALIKE)
        each.start()
    assert modules() == before
    yield pair
    for each in pair:
        each.stop()
    virtsec("undefine", *NAMES, "--storage")
    assert modules() == before


def modules() -> dict[str, int]:
    """What is in the host's policy, and since when."""
    return {each.name: each.stat().st_ctime_ns for each in STORE.iterdir()}


def label(container: Container) -> Label:
    """Its labels."""
    return Label(**container.info()["label"])


def test_they_share_types_and_no_categories(alike: tuple[Small, Small]) -> None:
    labels = [label(each) for each in alike]
    for field in ("process", "file", "init"):
        one, other = (getattr(each, field) for each in labels)
        assert one.rpartition(":")[0] == other.rpartition(":")[0]
        assert not set(re.findall(r"c\d+", one)) & set(re.findall(r"c\d+", other))
    for container, its in zip(alike, labels, strict=True):
        running = Path(f"/proc/{container.init_pid()}/attr/current").read_text().rstrip("\0\n")
        assert running == its.process
        assert run("stat", "-c", "%C", str(container.rootfs / "etc")).stdout.strip() == its.file


def test_every_attack_of_one_on_the_other_is_refused(alike: tuple[Small, Small]) -> None:
    status, result = verified(alike[0].name, "--against", alike[1].name)
    assert (status, broken(result)) == (0, {})


def test_what_types_of_their_own_refuse_alone_categories_refuse_alone(
    alike: tuple[Small, Small],
) -> None:
    """With nothing else left: root of the host, in its namespaces, with all capabilities."""
    alone = proven("selinux", privileged=False)
    attacks = [each for each, by in alone.items() if Defence.MAC in by and "other" in each
               and PROBES[each].group != "network"]  # fmt: skip
    assert len(attacks) >= 20
    for one, other in (NAMES, NAMES[::-1]):
        came = outcomes(one, other, frozenset({Defence.MAC}), attacks)
        assert came == dict.fromkeys(attacks, "refused")


def test_the_kernel_allows_one_nothing_of_the_other(
    alike: tuple[Small, Small], vs1: Container, vs2: Container
) -> None:
    """Asked for every class and permission there is."""
    one, other = map(label, alike)
    mine, theirs = label(vs1), label(vs2)
    pairs = ((one, other), (one, theirs), (mine, other), (mine, theirs))
    given, own = [], 0
    for each in CLASSES.iterdir():
        for field in ("process", "file", "init"):
            for source, target in pairs:
                if allowed(source.process, getattr(target, field), each.name):
                    given.append((source.process, getattr(target, field), each.name))
            own += bool(allowed(one.process, getattr(one, field), each.name))
    assert given == []
    assert own >= 20


def test_audit_finds_nothing_open_between_them(alike: tuple[Small, Small]) -> None:
    _, document = audited()
    assert {*NAMES} <= {each["name"] for each in document["containers"]}
    assert not [each for each in document["open"] if {each["source"], each["target"]} & {*NAMES}]
    assert not [each for each in document["findings"] if each["subject"] in NAMES]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("define", "bad", "--confinement", "none"), "'none' is no confinement."),
        (
            ("define", "bad", "--privileged", "--confinement", "category"),
            "A privileged container has a policy of its own, no shared one.",
        ),
        (("link", "alike", "likewise", "--port", "5432"), "shares its policy"),
    ],
)
def test_what_would_need_a_policy_of_its_own_is_one_sentence(
    words: tuple[str, ...], sentence: str, alike: tuple[Small, Small]
) -> None:
    before = modules()
    done = virtsec(*words, check=False)
    assert done.returncode in (2, 3)
    assert sentence in done.stderr
    assert modules() == before
    assert '"links": []' in virtsec("links", "--json").stdout


def test_a_fleet_that_would_need_one_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    link = "links:\n  - {from: sharing-1, to: sharing-2, port: 5432/tcp}\n"
    file.write_text(fleet_of("sharing", 2) + link)
    for command in ("plan", "apply"):
        complained(("fleet", command, str(file)), 3, "shares its policy")
    assert "sharing" not in virsh("list", "--all", "--name").stdout
