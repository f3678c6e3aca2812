"""Policy texts: a container's module only declares three types and calls the macro."""

import re
from pathlib import Path, PurePosixPath

import pytest

from virtsec.errors import Refused
from virtsec.mac.selinux.context import SHARED, label_of
from virtsec.mac.selinux.policy import BASE, base_modules, container_module
from virtsec.runtime.checks import KEEP
from virtsec.spec import ContainerSpec, Exposed, IdRange, Label, Link, Served, Transport

GOLDEN = Path(__file__).parents[2] / "golden" / "policy"


def module(name: str, rootfs: str, ids: IdRange | None) -> str:
    """The text of a container's module."""
    spec = ContainerSpec(name, PurePosixPath(rootfs), privileged=ids is None)
    return container_module(spec, label_of(name, (1, 2)), ids).text


@pytest.mark.parametrize(
    ("golden", "rootfs", "ids"),
    [
        ("unprivileged.cil", "/var/lib/virtsec/vs1/rootfs", IdRange(1_048_576)),
        ("privileged.cil", "/srv/trees/vs1 (new).d", None),
    ],
)
def test_a_containers_module_is_as_kept(golden: str, rootfs: str, ids: IdRange | None) -> None:
    assert module("vs1", rootfs, ids) == (GOLDEN / golden).read_text()


def test_links_and_exposed_ports_open_what_they_are_about_and_no_more() -> None:
    spec = ContainerSpec(
        "vs1", PurePosixPath("/srv/vs1"),
        links=(Link("vs2", 5432, label="postgresql_port_t"),
               Link("vs2", 80, label="http_port_t"),
               Link("vs2", 514, Transport.UDP, "syslogd_port_t")),
        served=(Served(25, label="smtp_port_t"), Served(53, Transport.UDP, "dns_port_t"),
                Served(514, Transport.UDP, "syslogd_port_t")),
        exposed=(Exposed(8080, 80, "http_port_t"), Exposed(8081, 3000, "unreserved_port_t"),
                 Exposed(8082, 8082)),
    )  # fmt: skip
    ids = IdRange(1_048_576)
    linked = container_module(spec, label_of("vs1", (1, 2)), ids).text
    assert linked.removeprefix(module("vs1", "/srv/vs1", ids)).splitlines() == [
        "",
        "; Ports of links, by which it may ask or be asked, and those it exposes.",
        "(allow vs1_t postgresql_port_t (tcp_socket (name_connect)))",
        "(allow vs1_t smtp_port_t (tcp_socket (name_bind)))",
        "(allow vs1_t syslogd_port_t (udp_socket (name_bind)))",
        "(allow vs1_t unreserved_port_t (tcp_socket (name_bind)))",
    ]


def test_a_pattern_matches_the_tree_and_nothing_beside_it() -> None:
    text = module("vs1", "/srv/a.b+(c)", None)
    found = re.search(r'filecon "(.*)" any', text)
    assert found
    pattern = re.compile(found[1])
    assert pattern.fullmatch("/srv/a.b+(c)")
    assert pattern.fullmatch("/srv/a.b+(c)/etc/passwd")
    assert not pattern.fullmatch("/srv/aXb+(c)/etc/passwd")
    assert not pattern.fullmatch("/srv/a.b+(c)2")


def test_every_group_of_rules_says_why_it_is_there() -> None:
    """A rule stands below a comment, with nothing but other rules of its group between."""
    for name, text in base_modules().items():
        explained = False
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip().startswith(";"):
                explained = True
            elif not line.strip():
                explained = False
            elif line.strip().startswith(("(allow", "(typetransition")):
                assert explained, f"{name}.cil:{number}: {line}"


def test_no_rule_gives_a_container_all_of_anything() -> None:
    for name, text in base_modules().items():
        # What is constrained is not given.
        rules = re.sub(r"\(classpermissionset virtsec_own .*\)", "", text)
        assert "(all)" not in rules, name
        assert not re.search(r"\(allow [^()]*virtsec_own", rules), name
        assert "container_domain)" not in text.replace("`container_domain`", ""), name


def test_the_capabilities_of_the_policy_are_those_libvirt_keeps() -> None:
    text = base_modules()["virtsec"]
    for tclass in ("cap_userns", "capability"):
        allowed = re.search(rf"self \({tclass} \(([^)]*)\)", text)
        assert allowed
        assert set(allowed[1].split()) == set(KEEP)


def test_base_modules_are_all_there() -> None:
    assert set(base_modules()) == set(BASE)


def test_one_that_categories_alone_keep_apart_needs_no_policy() -> None:
    label = label_of(SHARED, (1, 2))
    spec = ContainerSpec(
        "vs1", PurePosixPath("/srv/vs1"), links=(Link("vs2", 80, label="http_port_t"),)
    )
    assert container_module(spec, label, IdRange(1 << 20)).text == ""


def test_one_that_was_defined_under_smack_needs_no_policy_and_can_be_undefined() -> None:
    label = Label("smack", "vs1", "vs1", "vs1")
    spec = ContainerSpec("vs1", PurePosixPath("/srv/vs1"))
    assert container_module(spec, label, IdRange(1 << 20)).text == ""


def test_what_only_one_may_do_is_no_part_of_a_policy_that_containers_share() -> None:
    label = label_of(SHARED, (1, 2))
    spec = ContainerSpec(
        "vs1", PurePosixPath("/srv/vs1"), links=(Link("vs2", 5432, label="postgresql_port_t"),)
    )
    with pytest.raises(Refused, match="shares its policy"):
        container_module(spec, label, IdRange(1 << 20))


def test_every_class_of_which_a_container_has_its_own_is_constrained_by_categories() -> None:
    text = base_modules()["virtsec"]
    own = set(re.findall(r"\(allow \w+ (?:self|file|exec) \((\w+) ", text))
    constrained = set(re.findall(r"\(classpermissionset virtsec_own \((\w+) \(all\)\)\)", text))
    assert {"process", "file", "cap_userns"} <= own <= constrained
