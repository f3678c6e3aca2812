"""Which id becomes which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtsec.kernel import filecap, posixacl
from virtsec.rootfs.shift import ForeignId, Shift, plan_shift
from virtsec.spec import IdRange

INSIDE = st.integers(0, 65535)
START = st.integers(1, 60000).map(lambda n: n * 65536)


@given(INSIDE, START)
def test_there_and_back_is_the_identity(identity: int, start: int) -> None:
    there = plan_shift(0, IdRange(start))
    back = plan_shift(start, None, (0, start))
    assert there.moved(identity) == start + identity
    assert back.moved(there.moved(identity)) == identity


@given(INSIDE, START)
def test_what_was_moved_is_not_moved_again(identity: int, start: int) -> None:
    shift = plan_shift(0, IdRange(start))
    assert shift.moved(shift.moved(identity)) == shift.moved(identity)


@given(INSIDE, START, START)
def test_a_tree_shifted_to_another_range_is_recognised(identity: int, old: int, new: int) -> None:
    assert plan_shift(old, IdRange(new)).moved(old + identity) == new + identity


@given(INSIDE, START, START, START)
def test_a_shift_broken_off_on_the_way_elsewhere_is_taken_up(
    identity: int, first: int, second: int, third: int
) -> None:
    for owner in (first, second):
        shift = plan_shift(owner, IdRange(third), (first, second))
        assert shift.moved(first + identity) == third + identity
        assert shift.moved(second + identity) == third + identity


@given(START, st.integers(65536, 2**32 - 2))
def test_an_id_from_elsewhere_is_refused(start: int, identity: int) -> None:
    shift = plan_shift(0, IdRange(start))
    if not start <= identity < start + 65536:
        with pytest.raises(ForeignId):
            shift.moved(identity)


def test_a_privileged_tree_keeps_its_ids_whatever_they_are() -> None:
    assert plan_shift(0, None).moved(100_000) == 100_000


@given(INSIDE, START, st.integers(0, 2**40), st.booleans())
def test_file_capabilities_become_the_containers_and_back(
    identity: int, start: int, permitted: int, effective: bool
) -> None:
    host = filecap.build(filecap.FileCapability(permitted, 0, effective))
    there = Shift((0,), start).capability(host)
    assert filecap.parse(there) == filecap.FileCapability(permitted, 0, effective, start)
    assert Shift((start,), 0).capability(there) == host
    nested = filecap.build(filecap.FileCapability(permitted, 0, effective, start + identity))
    assert Shift((0,), start).capability(nested) == nested


def test_a_capability_of_another_namespace_is_refused() -> None:
    foreign = filecap.build(filecap.FileCapability(1, 0, True, 500_000))
    with pytest.raises(ForeignId):
        Shift((0,), 1_000_000).capability(foreign)


@given(st.lists(st.tuples(st.sampled_from([2, 8]), INSIDE), max_size=5), START)
def test_acls_come_back_as_they_were(named: list[tuple[int, int]], start: int) -> None:
    value = posixacl.build(tuple(posixacl.Entry(tag, 7, identity) for tag, identity in named))
    there = Shift((0,), start).acl(value)
    assert all(entry.identity >= start for entry in posixacl.parse(there))
    assert Shift((0,), start).acl(there) == there
    assert Shift((start,), 0).acl(there) == value
