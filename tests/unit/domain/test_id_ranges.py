"""Host ids: every container has its own."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from virtsec.domain.idrange import PLACES, choose, free, read_accounts, read_subordinate
from virtsec.errors import Failed
from virtsec.spec import ID_COUNT, IdRange

RANGES = st.builds(
    IdRange,
    st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 4200).map(lambda n: 0x70000000 + n * 999)),
    st.integers(1, 2**31),
)


@given(st.lists(RANGES, max_size=40))
@settings(deadline=None)
def test_a_chosen_range_overlaps_no_other(taken: list[IdRange]) -> None:
    try:
        chosen = choose(taken)
    except Failed:
        starts = (s for low, high in PLACES for s in range(low, high, ID_COUNT))
        assert all(any(IdRange(s).overlaps(ids) for ids in taken) for s in starts)
        return
    assert not any(chosen.overlaps(ids) for ids in taken)
    assert chosen.start % ID_COUNT == 0
    assert any(low <= chosen.start and chosen.stop <= high for low, high in PLACES)


def test_containers_get_neighbouring_ranges_one_after_the_other() -> None:
    taken: list[IdRange] = []
    for _ in range(5):
        taken.append(choose(taken))
    assert [ids.start for ids in taken] == [0x70000000 + n * ID_COUNT for n in range(5)]


@given(st.lists(RANGES, max_size=20))
@settings(deadline=None, max_examples=30)
def test_all_that_are_free_come_as_they_would_be_chosen_one_by_one(taken: list[IdRange]) -> None:
    found = list(islice(free(taken), 3))
    for ids in found:
        assert ids == choose(taken)
        taken.append(ids)


def test_a_freed_range_is_used_again() -> None:
    assert choose([IdRange(0x70000000 + ID_COUNT)]).start == 0x70000000


def test_a_single_id_in_the_way_moves_the_range() -> None:
    """A user of that id may have files; they must not become the container's."""
    assert choose([IdRange(0x70000000 + 5, 1)]).start == 0x70000000 + ID_COUNT


def test_when_the_free_ranges_are_used_up_the_next_place_serves() -> None:
    low, high = PLACES[0]
    assert choose([IdRange(low, high - low)]).start == PLACES[1][0]


def test_a_full_host_is_told() -> None:
    with pytest.raises(Failed, match="taken"):
        choose([IdRange(0, 2**32)])


def test_subordinate_ids_are_read_as_the_host_writes_them() -> None:
    text = "root:1000000:65536\n\nalice:100000:65536 \n1001:231072:1\n# a comment\n"
    assert read_subordinate(text) == (
        IdRange(1000000),
        IdRange(100000),
        IdRange(231072, 1),
    )


@pytest.mark.parametrize("line", ["", "a", "a:b:c", "a:1", "a:-1:5", "a:1:0", "a:²:1", "a:1:2:3"])
def test_a_broken_subordinate_line_is_passed_over(line: str) -> None:
    assert read_subordinate(f"{line}\nalice:100000:65536\n") == (IdRange(100000),)


def test_accounts_are_ranges_of_one() -> None:
    passwd = "root:x:0:0:root:/root:/bin/sh\nhomed:x:60001:60001::/:/bin/sh\n+\nbroken:x:y:z\n"
    assert read_accounts(passwd) == (IdRange(0, 1), IdRange(60001, 1))
