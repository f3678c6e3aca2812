"""Whom `virtsec verify` attacks, from whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.library import LABEL, Said
from virtsec.attacks.verified import Verified

Virtsec = Callable[..., Said]


@pytest.fixture
def attacked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Who was attacked from, and against whom, on a host on which three run."""
    pairs: list[tuple[str, str | None]] = []

    def verify(name: str, _host: Any, against: str | None, _only: Any) -> Verified:
        pairs.append((name, against))
        return Verified(
            name, against, "selinux", LABEL.process, False, "6.12", True, (), {"held": 1}, ()
        )

    monkeypatch.setattr("virtsec.commands.verifying.verify", verify)
    monkeypatch.setattr(
        "virtsec.cli.proofs.running_containers", lambda _host: ["vs1", "vs2", "vs3"]
    )
    return pairs


def test_each_of_several_is_attacked_from_against_the_one_before(
    virtsec: Virtsec, attacked: list[tuple[str, str | None]]
) -> None:
    assert virtsec("verify", "--all", "--json").status == 0
    assert attacked == [("vs1", "vs3"), ("vs2", "vs1"), ("vs3", "vs2")]


def test_the_one_that_all_are_to_attack_attacks_another_itself(
    virtsec: Virtsec, attacked: list[tuple[str, str | None]]
) -> None:
    assert virtsec("verify", "--all", "--against", "vs2", "--json").status == 0
    assert attacked == [("vs1", "vs2"), ("vs2", "vs1"), ("vs3", "vs2")]


def test_a_name_beside_all_is_not_left_out_silently(
    virtsec: Virtsec, attacked: list[tuple[str, str | None]]
) -> None:
    said = virtsec("verify", "vs1", "--all")
    assert (said.status, attacked) == (2, [])
    assert said.err == "error: Names and --all say two things.\nGive one of both.\n"
