"""What was refused is read as it was told, and no addition gives up a promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.samples import SAMPLES
from virtsec.domain import metadata
from virtsec.errors import BadInput
from virtsec.mac.denial import Denial
from virtsec.mac.selinux import context
from virtsec.mac.selinux import denials as selinux
from virtsec.mac.selinux.context import label_of
from virtsec.mac.selinux.policy import container_module
from virtsec.mac.smack import denials as smack
from virtsec.mac.smack.policy import container_policy
from virtsec.mac.smack.rule import parse
from virtsec.spec import Addition, ContainerSpec, default_root

#: As a 6.12 kernel prints it.
RECORD = (
    "audit: type=1400 audit(1790000000.123:45): lsm=SMACK fn=smack_inode_permission action=denied "
    'subject="vs1" object="data" requested=w pid=812 comm="nginx" name="log" dev="vda" ino=1234'
)


def test_a_record_of_smack_is_read() -> None:
    (found,) = smack.denials([RECORD, "something else"], "vs1")
    assert found == Denial("data", "", frozenset("w"), "nginx", "log")
    assert list(smack.denials([RECORD], "vs2")) == []
    assert list(smack.denials([RECORD.replace("denied", "granted")], "vs1")) == []


def test_under_smack_one_rule_for_each_label_has_all_letters_that_were_refused() -> None:
    lines = [RECORD, RECORD.replace("requested=w", "requested=r"), RECORD]
    (found,) = smack.weigh("vs1", smack.denials(lines, "vs1"), ["vs1", "vs2"])
    assert found.addition == Addition("data", "", ("r", "w"))
    assert found.breaks == found.instead == ""
    assert (found.times, found.programs, found.things) == (3, ("nginx",), ("log",))
    assert found.risk == "It would let vs1 read and write all that is labelled data."


@pytest.mark.parametrize(
    "label", ["_", "host", "vs2", "net", "virtsec-rest", "virtsec-link", "*", "^", ""]
)
def test_under_smack_what_is_the_hosts_or_anothers_is_never_added(label: str) -> None:
    record = RECORD.replace('"data"', f'"{label}"')
    (found,) = smack.weigh("vs1", smack.denials([record], "vs1"), ["vs1", "vs2"])
    assert found.breaks
    assert found.instead


SMACK = SAMPLES["smack"]
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["data", "a!b", "User::App", "(x)", "a b", "x" * 255, "x" * 256, "-x", "_"]),
)


@given(WORDS, WORDS, WORDS, st.text(max_size=40))
@example("a!b", "", "x", "")
@example("a b", "", "x", "")
def test_under_smack_what_a_record_says_comes_to_one_rule_or_to_none(
    label: str, access: str, name: str, rest: str
) -> None:
    """A container names its files and tasks as it likes."""
    record = RECORD.replace('"data"', f'"{label}"').replace("=w ", f"=rw{access} ")
    lines = [record.replace('"log"', f'"{name}"'), f'{record} name="{rest}"', rest]
    for found in smack.weigh(SMACK.spec.name, smack.denials(lines, "vs1"), ["vs8"]):
        if found.breaks:
            continue
        spec = replace(SMACK.spec, additions=(found.addition,))
        without, policy = (container_policy(spec.name, each) for each in ((), spec.additions))
        rules = parse(policy.text, "it")
        assert rules[:-1] == parse(without.text, "it")
        assert (
            str(rules[-1])
            == f"{spec.name} {found.addition.object} {''.join(found.addition.access)}"
        )
        assert metadata.read(replace(SMACK, spec=spec).xml) == replace(SMACK.container, spec=spec)


@given(st.lists(st.builds(
    Denial, WORDS, st.sampled_from(["file", "dir", "process", "tcp_socket", "a)(b"]),
    st.frozensets(st.sampled_from(["read", "write", "name_bind", "execmem", "a b"]), min_size=1),
    WORDS, WORDS, st.booleans(),
), max_size=3))  # fmt: skip
def test_under_selinux_what_is_no_context_is_never_added(refused: list[Denial]) -> None:
    for found in selinux.weigh("vs1", OWN, refused, {}, ["vs1"]):
        assert found.breaks
        assert found.instead


def test_what_smack_allows_besides_is_nothing_to_selinux() -> None:
    """As when the host is booted with the other."""
    one = SAMPLES["unprivileged"]
    spec = replace(one.spec, additions=(Addition("a)(b", "", ("r",)),))
    with pytest.raises(BadInput, match="Smack"):
        container_module(spec, one.container.identity.label, one.container.identity.ids)


OWN = label_of("vs1", (1, 2))
SHARED = label_of(context.SHARED, (1, 2))


def denied(target: str, kind: str, *access: str, constrained: bool = False) -> Denial:
    context = f"system_u:object_r:{target}:s0"
    return Denial(context, kind, frozenset(access), "nginx", "", constrained)


ATTRIBUTES = {
    "http_cache_port_t": {"port_type"},
    "etc_t": {"file_type"},
    "sysctl_vm_t": {"sysctl_type"},
    "proc_kmsg_t": {"proc_type"},
}


@pytest.mark.parametrize(
    ("refusal", "risk"),
    [
        (
            denied("http_cache_port_t", "tcp_socket", "name_bind"),
            "It would let vs1 serve on every port of the type http_cache_port_t, "
            "in its own network.",
        ),
        (
            denied("vs1_t", "process", "execmem"),
            "It would let programs in vs1 run what they wrote into their own memory.",
        ),
        (
            denied("sysctl_vm_t", "file", "open", "read"),
            "It would let vs1 open and read what the kernel shows as sysctl_vm_t.",
        ),
    ],
)
def test_what_can_be_added_says_what_it_would_mean(refusal: Denial, risk: str) -> None:
    (found,) = selinux.weigh("vs1", OWN, [refusal, refusal], ATTRIBUTES, ["vs1", "vs2"])
    assert (found.breaks, found.risk, found.times) == ("", risk, 2)
    assert found.addition.access == tuple(sorted(refusal.access))


def test_what_one_may_do_with_itself_means_the_same_under_another_name() -> None:
    """A policy that names the type of one that is gone keeps that one's from being unloaded."""
    refusal = denied("vs1_t", "process", "execmem")
    (found,) = selinux.weigh("vs1", OWN, [refusal], ATTRIBUTES, ["vs1"])
    clone = ContainerSpec("vs2", default_root("vs2"), additions=(found.addition,))
    text = container_module(clone, label_of("vs2", (3, 4)), None).text
    assert "(allow vs2_t self (process (execmem)))" in text
    assert "vs1" not in text


@pytest.mark.parametrize(
    "refusal",
    [
        denied("etc_t", "file", "read"),
        denied("etc_t", "dir", "write"),
        denied("sysctl_vm_t", "file", "write"),
        denied("proc_kmsg_t", "file", "read"),
        denied("vs2_t", "process", "signal"),
        denied("vs2_file_t", "file", "read"),
        denied("vs1_t", "cap_userns", "sys_module"),
        denied("vs1_t", "process", "setexec"),
        denied("http_cache_port_t", "tcp_socket", "recv_msg"),
        denied("http_cache_port_t", "tcp_socket", "name_bind", constrained=True),
        denied("fixed_disk_device_t", "blk_file", "read"),
        denied("init_t", "unix_stream_socket", "connectto"),
        denied("virtsec_packet_t", "packet", "recv"),
        denied("kernel_t", "system", "module_request"),
        denied("debugfs_t", "filesystem", "mount"),
    ],
)
def test_what_would_break_a_promise_is_never_added(refusal: Denial) -> None:
    (found,) = selinux.weigh("vs1", OWN, [refusal], ATTRIBUTES, ["vs1", "vs2"])
    assert found.breaks
    assert found.instead


def test_refusals_of_one_kind_come_to_one_addition() -> None:
    refused = [denied("http_cache_port_t", "tcp_socket", each) for each in
               ("name_bind", "name_connect")]  # fmt: skip
    (found,) = selinux.weigh("vs1", OWN, refused, ATTRIBUTES, ["vs1"])
    assert found.addition.access == ("name_bind", "name_connect")


def test_nothing_is_added_to_a_policy_that_containers_share() -> None:
    ports = denied("http_cache_port_t", "tcp_socket", "name_bind")
    of_one = denied("vs2_t", "process", "signal")
    own = denied("virtsec_shared_t", "process", "execmem")
    for refusal in (ports, of_one, own):
        (found,) = selinux.weigh("vs1", SHARED, [refusal], ATTRIBUTES, ["vs1", "vs2"])
        assert found.breaks


def test_what_containers_share_is_anothers_to_one_with_types_of_its_own() -> None:
    refusal = denied("virtsec_shared_t", "process", "signal")
    (found,) = selinux.weigh("vs1", OWN, [refusal], ATTRIBUTES, ["vs1"])
    assert found.breaks
