"""What a policy opens is read out of it, under either module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.unit.mac.smack_fakes import FakeSmackfs
from tests.unit.samples import selinux_label
from virtsec.errors import HostNotReady
from virtsec.mac.reach import Access, Channel
from virtsec.mac.selinux import reach as selinux
from virtsec.mac.selinux.module import SELinux
from virtsec.mac.selinux.reach import SELinuxReach
from virtsec.mac.smack.policy import base_rules, container_policy
from virtsec.mac.smack.reach import SmackReach
from virtsec.mac.smack.rule import Rule, parse
from virtsec.spec import Label

ONE, OTHER = (selinux_label(name, pair) for name, pair in (("vs1", "c1,c2"), ("vs2", "c1,c3")))
ALIKE = selinux_label("vs2", "c1,c2")


@dataclass
class Named:
    """A type or an attribute, with what it stands for or is in."""

    name: str
    members: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    ispermissive: bool = False

    def __str__(self) -> str:
        return self.name

    def expand(self) -> list[str]:
        return list(self.members or (self.name,))

    def attributes(self) -> list[str]:
        return list(self.groups)


@dataclass
class Allow:
    """A rule as setools gives it."""

    source: Named
    target: Named
    tclass: str
    perms: set[str]
    ruletype: str = "allow"
    on: bool = True

    def enabled(self) -> bool:
        return self.on


@dataclass
class FakePolicy:
    """What setools reads."""

    rules: list[Allow] = field(default_factory=list)
    tolerant: list[str] = field(default_factory=list)
    type_count: int = 3

    def allow(self, source: str, target: str, tclass: str, *perms: str, on: bool = True) -> None:
        self.rules.append(Allow(Named(source), self.lookup_typeattr(target), tclass,
                                set(perms), on=on))  # fmt: skip

    def terules(self) -> Iterator[Allow]:
        return iter(self.rules)

    def lookup_type(self, name: str) -> Named:
        return Named(name, (), ("virtsec_domain", "domain"), name in self.tolerant)

    def lookup_typeattr(self, name: str) -> Named:
        known = {
            "domain": ("vs1_t", "vs2_t", "init_t"),
            "virtsec_domain": ("vs1_t", "vs2_t"),
            "virtsec_file": ("vs1_file_t", "vs1_exec_t", "vs2_file_t", "vs2_exec_t"),
        }
        return Named(name, known.get(name, ()))


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> FakePolicy:
    """A policy that allows nothing yet."""
    fake = FakePolicy()
    monkeypatch.setattr(selinux, "_open", lambda path: fake)
    return fake


def asked(*labels: Label, packets: bool = True) -> SELinuxReach:
    return SELinuxReach(labels or (ONE, OTHER), packets=packets)


def test_of_the_hosts_files_what_attributes_allow_counts_and_the_own_do_not(
    policy: FakePolicy,
) -> None:
    policy.allow("virtsec_domain", "lib_t", "file", "read", "execute")
    policy.allow("vs1_t", "vs1_file_t", "file", "read", "write")
    policy.allow("vs1_t", "vs1_t", "file", "read")
    policy.allow("vs2_t", "etc_t", "file", "read")
    policy.allow("vs1_t", "home_t", "file", "read", on=False)
    found = asked().of_host(ONE)
    assert dict(found) == {Access.READ: ["lib_t"], Access.WRITE: [], Access.EXECUTE: ["lib_t"]}
    assert asked().host_labels() == 3


def test_types_do_not_open_what_categories_close(policy: FakePolicy) -> None:
    policy.allow("vs1_t", "vs2_file_t", "file", "read")
    policy.allow("vs1_t", "virtsec_domain", "process", "sigkill", "fork")
    assert asked().between(ONE, OTHER) == {}
    assert asked(ONE, ALIKE).between(ONE, ALIKE) == {
        Channel.FILES: ["vs2_file_t:file"],
        Channel.SIGNALS: ["sigkill"],
    }


def test_categories_do_not_open_what_types_close(policy: FakePolicy) -> None:
    policy.allow("vs1_t", "vs2_file_t", "file", "getattr")
    assert asked(ONE, ALIKE).between(ONE, ALIKE) == {}


def test_packets_arrive_where_they_may_be_received_or_are_not_labelled(policy: FakePolicy) -> None:
    assert asked(packets=False).between(ONE, OTHER) == {
        Channel.NETWORK: ["packets, which are not labelled now"]
    }
    policy.allow("vs2_t", "virtsec_packet_t", "packet", "recv")
    assert asked().between(ONE, OTHER) == {Channel.NETWORK: ["virtsec_packet_t:packet"]}
    assert asked().between(OTHER, ONE) == {}


def test_a_domain_that_nothing_is_refused_reaches_all_and_is_reached_by_packets(
    policy: FakePolicy,
) -> None:
    policy.tolerant.append("vs1_t")
    assert set(asked().between(ONE, OTHER)) == {Channel.FILES, Channel.SIGNALS}
    assert set(asked().between(OTHER, ONE)) == {Channel.NETWORK}


def test_what_both_share_comes_with_what_keeps_it_apart(policy: FakePolicy) -> None:
    policy.allow("virtsec_domain", "cgroup_t", "file", "read", "write")
    policy.allow("virtsec_domain", "container_file_t", "dir", "read", "add_name")
    policy.allow("virtsec_domain", "spool_t", "dir", "read", "add_name")
    policy.allow("virtsec_domain", "proc_t", "file", "read")
    policy.allow("virtsec_domain", "run_t", "dir", "search")
    policy.allow("virtsec_domain", "run_t", "sock_file", "write")
    policy.allow("virtsec_domain", "init_t", "file", "read", "write")
    kept = asked().through(ONE, OTHER)
    assert {through for through, why in kept.items() if why} == {"cgroup_t", "container_file_t"}
    assert {through for through, why in kept.items() if not why} == {"spool_t"}
    assert asked(ONE, ALIKE).through(ONE, ALIKE)["container_file_t"] == ""


def test_without_setools_one_sentence_says_what_to_install() -> None:
    with pytest.raises(HostNotReady) as caught:
        SELinuxReach([ONE], packets=True)
    assert "python3-setools" in caught.value.remedy


def test_who_has_both_categories_passes_for_the_container() -> None:
    module = SELinux()
    for process, passes in (
        ("system_u:system_r:svirt_t:s0:c1,c2", True),
        ("system_u:system_r:svirt_t:s0:c1,c2,c9", True),
        ("system_u:system_r:svirt_t:s0:c1,c3", False),
        ("system_u:system_r:unconfined_t:s0-s0:c0.c1023", False),
    ):
        assert module.overlaps(process, ONE) is passes, process


@pytest.fixture
def kernel() -> FakeSmackfs:
    """Smack with virtsec's rules and two containers."""
    fake = FakeSmackfs()
    texts = [container_policy(name).text for name in ("vs1", "vs2")]
    for rule in [*base_rules(), *(rule for text in texts for rule in parse(text, ""))]:
        fake.load(rule)
    return fake


def smack(name: str) -> Label:
    return Label("smack", name, name, name)


def smack_reach(kernel: FakeSmackfs, *, packets: bool = True) -> SmackReach:
    return SmackReach(kernel, ("vs1", "vs2"), packets=packets)


def test_under_smack_containers_may_read_and_run_the_floor_and_no_more(kernel: FakeSmackfs) -> None:
    found = smack_reach(kernel).of_host(smack("vs1"))
    assert dict(found) == {Access.READ: ["*", "_"], Access.WRITE: ["*"], Access.EXECUTE: ["*", "_"]}


def test_under_smack_virtsecs_rules_open_nothing(kernel: FakeSmackfs) -> None:
    reach = smack_reach(kernel)
    assert reach.between(smack("vs1"), smack("vs2")) == {}
    assert set(reach.through(smack("vs1"), smack("vs2"))) == {"*"}
    assert all(reach.through(smack("vs1"), smack("vs2")).values())


@pytest.mark.parametrize(
    ("rule", "channels"),
    [
        (Rule("vs1", "vs2", "r"), {Channel.FILES}),
        (Rule("vs1", "vs2", "w"), {Channel.FILES, Channel.SIGNALS}),
        (Rule("net", "vs2", "w"), {Channel.NETWORK}),
    ],
)
def test_under_smack_each_rule_opens_what_it_is_for(
    kernel: FakeSmackfs, rule: Rule, channels: set[Channel]
) -> None:
    kernel.load(rule)
    found = smack_reach(kernel).between(smack("vs1"), smack("vs2"))
    assert set(found) == channels
    assert all(list(by) == [str(rule)] for by in found.values())


def test_under_smack_packets_without_label_arrive(kernel: FakeSmackfs) -> None:
    found = smack_reach(kernel, packets=False).between(smack("vs1"), smack("vs2"))
    assert dict(found) == {Channel.NETWORK: ["_ vs2 w"]}


def test_under_smack_what_two_containers_may_write_and_read_is_told(kernel: FakeSmackfs) -> None:
    kernel.load(Rule("vs1", "drop", "w"))
    kernel.load(Rule("vs2", "drop", "r"))
    assert smack_reach(kernel).through(smack("vs1"), smack("vs2"))["drop"] == ""
    assert "drop" not in smack_reach(kernel).through(smack("vs2"), smack("vs1"))
