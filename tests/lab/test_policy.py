"""What a container's domain may reach of the host, asked of the policy that is loaded."""

import json
from functools import cache
from typing import Any

import pytest
import setools
from demo.containers import Container
from demo.shell import virtsec

from virtsec.mac.selinux.context import SHARED

pytestmark = pytest.mark.selinux

#: Types of the host whose files a container may read and write, at most.
READ_AT_MOST, WRITE_AT_MOST = 40, 12


@cache
def policy() -> Any:
    """The policy in force."""
    return setools.SELinuxPolicy("/sys/fs/selinux/policy")


def unconditional(rule: Any) -> bool:
    """Whether a rule holds whatever booleans are set to."""
    try:
        rule.conditional  # noqa: B018
    except setools.exception.RuleNotConditional:
        return True
    return False


@cache
def rules(source: str) -> list[tuple[frozenset[str], str, frozenset[str]]]:
    """Types, class and permissions of each rule of `source` that no boolean switches.

    One pass over the policy for all questions: it takes a while where machines are emulated.
    """
    query = setools.TERuleQuery(policy(), ruletype=["allow"], source=source, source_indirect=True)
    return [
        (frozenset(map(str, rule.target.expand())), str(rule.tclass), frozenset(rule.perms))
        for rule in query.results()
        if unconditional(rule)
    ]


def targets(source: str, tclass: str, permission: str) -> set[str]:
    """The types that `source` has a permission on, attributes expanded, without booleans."""
    found = [types for types, of, perms in rules(source) if of == tclass and permission in perms]
    return set().union(*found)


def permissions(source: str, tclass: str) -> set[str]:
    """What `source` may do with objects of `tclass`, whatever their type."""
    return set().union(*[perms for _, of, perms in rules(source) if of == tclass])


def own(name: str) -> set[str]:
    """The types a container's module declares."""
    return {f"{name}_t", f"{name}_exec_t", f"{name}_file_t"}


def test_the_query_finds_what_debians_container_domain_may_read() -> None:
    """Else a query that finds nothing would pass for a policy that allows nothing."""
    assert len(targets("container_t", "file", "read")) > 900


@pytest.mark.stress
def test_a_port_that_is_exposed_may_be_listened_on_and_no_other(vs2: Container) -> None:
    def listened(port: int) -> str:
        opened = f"IO::Socket::INET->new(Listen => 1, LocalPort => {port}) or die $!"
        return vs2.ssh(f"perl -MIO::Socket::INET -e '{opened}'", check=False).stderr

    assert "Permission denied" in listened(3000)
    virtsec("set", vs2.name, "--expose", "8094:3000")
    try:
        assert listened(3000) == ""
        assert "Permission denied" in listened(5432)
    finally:
        virtsec("set", vs2.name, "--unexpose", "8094")
    assert "Permission denied" in listened(3000)


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_few_files_of_the_host_may_be_read_or_written(
    name: str, vs1: Container, vs3: Container
) -> None:
    read = targets(f"{name}_t", "file", "read") - own(name)
    write = targets(f"{name}_t", "file", "write") - own(name)
    print(f"{name}_t reads {len(read)}: {sorted(read)}; writes {len(write)}: {sorted(write)}")
    assert 0 < len(read) <= READ_AT_MOST
    assert 0 < len(write) <= WRITE_AT_MOST
    assert "shadow_t" not in read


def test_neither_container_reaches_the_others_files_or_processes(
    vs1: Container, vs2: Container
) -> None:
    for one, other in (("vs1", "vs2"), ("vs2", "vs1")):
        assert targets(f"{one}_t", "file", "write") & own(one)
        for tclass in ("file", "dir", "lnk_file", "sock_file", "fifo_file", "chr_file"):
            for permission in ("read", "write", "getattr"):
                assert not targets(f"{one}_t", tclass, permission) & own(other)
        for permission in ("sigkill", "signal", "ptrace", "transition"):
            assert targets(f"{one}_t", "process", permission) <= {f"{one}_t"}


def test_an_unprivileged_container_has_no_capability_over_the_host(vs1: Container) -> None:
    assert permissions("vs1_t", "capability") == set()
    assert permissions("vs1_t", "capability2") == set()
    assert permissions("vs1_t", "cap_userns")


def test_no_container_has_mac_capabilities(vs1: Container, vs3: Container) -> None:
    for name in ("vs1", "vs3"):
        for tclass in ("capability2", "cap2_userns"):
            assert not permissions(f"{name}_t", tclass) & {"mac_admin", "mac_override"}


def test_only_the_entry_type_is_an_entry_and_it_cannot_be_made_or_written(vs1: Container) -> None:
    assert targets("vs1_t", "file", "entrypoint") == {"vs1_exec_t"}
    for permission in ("write", "append", "create", "setattr", "relabelto", "relabelfrom"):
        assert "vs1_exec_t" not in targets("vs1_t", "file", permission)
    for tclass in ("file", "dir", "lnk_file"):
        assert targets("vs1_t", tclass, "relabelto") == set()


def test_containers_are_constrained_by_categories(vs1: Container, vs3: Container) -> None:
    constrained = {str(t) for t in policy().lookup_typeattr("mcs_constrained_type").expand()}
    assert {"vs1_t", "vs3_t"} <= constrained


def test_the_hook_relabels_containers_files_only(vs1: Container) -> None:
    listed = json.loads(virtsec("list", "--all", "--json").stdout)["containers"]
    names = [each["name"] for each in listed] + [SHARED]
    assert vs1.name in names
    assert targets("virtsec_hook_t", "file", "relabelto") <= {t for n in names for t in own(n)}
