"""Labels and rules: nothing reaches the kernel that it would cut without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtsec.errors import BadInput
from virtsec.mac.smack.kernel import Smackfs, process_label
from virtsec.mac.smack.policy import base_rules, container_policy
from virtsec.mac.smack.rule import FLOOR, LINK, Rule, check_label, parse


def kernel_keeps(text: str) -> str:
    """What `smk_parse_smack` makes of a label: cut at the first character it does not take."""
    for index, letter in enumerate(text):
        if letter > "~" or letter <= " " or letter in "/\"\\'":
            return text[:index]
    return text


@given(st.text(max_size=300))
def test_a_label_is_accepted_only_if_the_kernel_keeps_it_whole(text: str) -> None:
    try:
        check_label(text)
    except BadInput:
        return
    assert kernel_keeps(text) == text
    assert 0 < len(text.encode()) <= 255
    assert not text.startswith("-")


@pytest.mark.parametrize("access", ["", "rq", "w r", "rr", "-r", "RWX", "b", "rw\n"])
def test_an_access_the_kernel_would_read_in_part_is_refused(access: str) -> None:
    with pytest.raises(BadInput):
        Rule("_", "vs1", access)


@pytest.mark.parametrize("label", ["vs1\n_", "a b", "-x", "", "a/b", "ä", "x" * 256])
def test_a_rule_has_two_whole_labels(label: str) -> None:
    with pytest.raises(BadInput):
        Rule(label, "_", "r")
    with pytest.raises(BadInput):
        Rule("_", label, "r")


@pytest.mark.parametrize("line", ["_ vs1", "_ vs1 r w", "_ vs1 z"])
def test_a_broken_line_is_named(line: str) -> None:
    with pytest.raises(BadInput, match="Line 2 of a file"):
        parse(f"# a comment\n{line}\n", "a file")


def test_a_container_is_given_nothing_by_its_rules() -> None:
    rules = parse(container_policy("vs1").text, "rules")
    assert rules
    assert {rule.subject for rule in rules} == {FLOOR, LINK}
    assert {rule.object for rule in rules} == {"vs1"}


def test_in_the_base_only_packets_may_write_to_the_host() -> None:
    writers = {rule.subject for rule in base_rules() if rule.object == FLOOR}
    assert writers == {"net"}
    assert {rule.access for rule in base_rules() if rule.subject == "net"} == {"w"}


def test_a_name_that_is_no_label_gets_no_rules() -> None:
    with pytest.raises(BadInput):
        container_policy("vs1 _ rwx\n_")


def test_smackfs_gets_one_whole_rule_in_one_write(tmp_path: Path) -> None:
    for name in ("load2", "revoke-subject", "netlabel"):
        (tmp_path / name).touch()
    kernel = Smackfs(tmp_path)
    kernel.load(Rule("_", "vs1", "rwxat"))
    kernel.revoke("vs1")
    assert (tmp_path / "load2").read_text() == "_ vs1 rwxat"
    assert (tmp_path / "revoke-subject").read_text() == "vs1"
    with pytest.raises(BadInput):
        kernel.revoke("vs1 x")


def test_rules_in_force_are_read_whatever_their_mode(tmp_path: Path) -> None:
    (tmp_path / "load2").write_text("_ vs1 rwxat\na c rb\na b b\n")
    assert [str(rule) for rule in Smackfs(tmp_path).rules()] == ["_ vs1 rwxat", "a c r", "a b -"]


def test_the_label_of_a_process_is_smacks_own_where_several_modules_run(tmp_path: Path) -> None:
    attributes = tmp_path / "7" / "attr"
    (attributes / "smack").mkdir(parents=True)
    (attributes / "current").write_text("system_u:system_r:init_t:s0\n")
    (attributes / "smack" / "current").write_text("vs1\0")
    assert process_label(7, tmp_path) == "vs1"
    assert process_label(8, tmp_path) is None
