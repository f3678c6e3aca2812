"""Links as rules of nftables: one way to ask, one to be answered, by the ports of the bridge."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtsec.mac.packets import links
from virtsec.names import MAX_LENGTH, port_of
from virtsec.spec import Link, Transport

WANTED = {"web": (Link("db", 5432), Link("db", 53, Transport.UDP)), "db": (Link("web", 80),)}
RULES = """\
iifname "vs-db" oifname "vs-web" tcp dport 80 meta secmark set "linked" ct secmark set meta secmark
iifname "vs-web" oifname "vs-db" tcp sport 80 ct direction reply ct secmark != 0 \
meta secmark set "linked"
iifname "vs-web" oifname "vs-db" udp dport 53 meta secmark set "linked" \
ct secmark set meta secmark
iifname "vs-db" oifname "vs-web" udp sport 53 ct direction reply ct secmark != 0 \
meta secmark set "linked"
iifname "vs-web" oifname "vs-db" tcp dport 5432 meta secmark set "linked" \
ct secmark set meta secmark
iifname "vs-db" oifname "vs-web" tcp sport 5432 ct direction reply ct secmark != 0 \
meta secmark set "linked"
"""


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_each_link_lets_ask_one_way_and_answer_the_other() -> None:
    written = rules(links.text(WANTED))
    assert [line.replace(" and 0xffffffff", "") for line in written] == RULES.splitlines()


def test_without_links_nothing_is_let_through() -> None:
    assert rules(links.text({})) == []


@pytest.mark.parametrize(
    ("said", "good"),
    [
        (RULES, True),
        (RULES.replace("5432", "5433"), False),
        ("\n".join(RULES.splitlines()[:-1]), False),
        (RULES + RULES.splitlines()[0].replace("80", "22") + "\n", False),
    ],
)
def test_what_the_kernel_has_must_be_the_links_and_nothing_else(
    said: str, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = "table bridge virtsec {\n\tchain pass {\n\t\ttype filter hook forward\n" + said + "}}"
    monkeypatch.setattr(links, "run", lambda *words: chain)
    links.write(WANTED, tmp_path)
    assert links.in_force(WANTED, tmp_path) is good


def test_what_is_in_the_kernel_must_be_there_after_the_next_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "run", lambda *words: RULES)
    assert not links.in_force(WANTED, tmp_path)
    links.write({}, tmp_path)
    assert not links.in_force(WANTED, tmp_path)


def test_every_name_has_an_end_on_the_host_of_its_own() -> None:
    longest = ["a" * length for length in range(1, MAX_LENGTH + 1)]
    names = [*longest, *(f"{each[:-1]}b" for each in longest)]
    ports = {port_of(name) for name in names}
    assert len(ports) == len(set(names))
    assert max(map(len, ports)) == 15
    assert port_of("web") == "vs-web"
