"""Who gives an address to whom, and who waits for nobody."""

from __future__ import annotations

import pytest

from tests.unit.fakes import foreign, record
from tests.unit.plans.test_plan import at
from tests.unit.samples import sample
from virtsec.domain.records import DomainRecord
from virtsec.plans.moves import together

HAVE = {"a": 1, "b": 2, "c": 3, "d": 4}


def have(*running: str) -> list[DomainRecord]:
    """The containers with their addresses, and a domain of somebody else's at 50."""
    ours = [
        record(name, sample(name, network=at(f"192.168.122.{n}/24")).xml, running=name in running)
        for name, n in HAVE.items()
    ]
    return [*ours, foreign()]


@pytest.mark.parametrize(
    ("wanted", "groups"),
    [
        ({"a": 7, "b": 8}, ["a", "b"]),
        ({"a": 2, "b": 1, "c": 7}, ["ab", "c"]),
        ({"a": 2, "b": 3, "c": 4, "d": 5}, ["abcd"]),
        # What somebody else has, or who is not to change, is waited for in vain, by all behind.
        ({"a": 2, "b": 50}, ["a", "b"]),
        ({"a": 2, "b": 3, "c": 4}, ["a", "b", "c"]),
        ({"a": 2, "b": 4, "c": 7}, ["a", "b", "c"]),
    ],
)
def test_who_gets_what_another_has_changes_with_it(
    wanted: dict[str, int], groups: list[str]
) -> None:
    networks = {name: at(f"192.168.122.{n}/24") for name, n in wanted.items()}
    found = together(have(), networks)
    assert sorted("".join(sorted(each)) for each in found) == groups


def test_nobody_gets_what_one_has_that_runs() -> None:
    networks = {name: at(f"192.168.122.{n}/24") for name, n in {"a": 2, "b": 7}.items()}
    assert together(have("b"), networks) == [("a",), ("b",)]
    assert len(together(have("a"), networks)) == 1
