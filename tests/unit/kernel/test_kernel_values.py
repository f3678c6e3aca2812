"""File capabilities and ACLs read and written as the kernel does."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtsec.kernel import filecap, posixacl, xattrs

ROOT = os.geteuid() == 0
WORD64 = st.integers(0, 2**64 - 1)
IDS = st.integers(0, 2**32 - 2)

CAPABILITIES = st.builds(
    filecap.FileCapability,
    permitted=WORD64,
    inheritable=WORD64,
    effective=st.booleans(),
    root_id=IDS,
)
ENTRIES = st.lists(
    st.builds(
        posixacl.Entry,
        tag=st.sampled_from([0x01, posixacl.USER, 0x04, posixacl.GROUP, 0x10, 0x20]),
        permissions=st.integers(0, 7),
        identity=IDS,
    )
).map(tuple)


@given(CAPABILITIES)
def test_a_file_capability_survives_being_written_and_read(
    capability: filecap.FileCapability,
) -> None:
    assert filecap.parse(filecap.build(capability)) == capability


@given(st.binary(max_size=40))
def test_no_bytes_make_reading_a_capability_fail_in_any_other_way(value: bytes) -> None:
    with contextlib.suppress(ValueError):
        filecap.parse(value)


def test_the_oldest_revision_is_understood() -> None:
    value = (0x01000001).to_bytes(4, "little") + (1 << 10).to_bytes(4, "little") + bytes(4)
    assert filecap.parse(value) == filecap.FileCapability(1 << 10, 0, True)


@given(ENTRIES)
def test_an_acl_survives_being_written_and_read(entries: tuple[posixacl.Entry, ...]) -> None:
    assert posixacl.parse(posixacl.build(entries)) == entries


@given(st.binary(max_size=60))
def test_no_bytes_make_reading_an_acl_fail_in_any_other_way(value: bytes) -> None:
    with contextlib.suppress(ValueError):
        posixacl.parse(value)


@given(ENTRIES)
def test_only_the_ids_of_named_users_and_groups_are_translated(
    entries: tuple[posixacl.Entry, ...],
) -> None:
    moved = posixacl.parse(posixacl.translate(posixacl.build(entries), lambda n: n ^ 1))
    for before, after in zip(entries, moved, strict=True):
        named = before.tag in (posixacl.USER, posixacl.GROUP)
        assert after.identity == (before.identity ^ 1 if named else before.identity)
        assert (after.tag, after.permissions) == (before.tag, before.permissions)


@pytest.mark.skipif(not ROOT, reason="setting file capabilities takes root")
@pytest.mark.parametrize("root_id", [0, 1_000_000])
def test_the_kernel_takes_and_gives_back_what_is_built(tmp_path: Path, root_id: int) -> None:
    file = tmp_path / "file"
    file.touch()
    value = filecap.build(filecap.FileCapability(1 << 10, 0, True, root_id))
    xattrs.put(str(file), xattrs.FILE_CAPABILITY, value)
    assert xattrs.get(str(file), xattrs.FILE_CAPABILITY) == value


def test_the_kernel_takes_and_gives_back_an_acl_that_is_built(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(0o640)
    entries = (
        posixacl.Entry(0x01, 6, 2**32 - 1),
        posixacl.Entry(posixacl.USER, 6, 1234),
        posixacl.Entry(0x04, 4, 2**32 - 1),
        posixacl.Entry(posixacl.GROUP, 4, 99),
        posixacl.Entry(0x10, 6, 2**32 - 1),
        posixacl.Entry(0x20, 0, 2**32 - 1),
    )
    xattrs.put(str(file), xattrs.ACL_ACCESS, posixacl.build(entries))
    value = xattrs.get(str(file), xattrs.ACL_ACCESS)
    assert value is not None
    assert posixacl.parse(value) == entries
