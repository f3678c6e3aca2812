"""Trees, marks that need no security module, and progress that is looked at."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.rootfs.rootfs_trees import MARK, Births, Recorded, make_tree
from virtsec.mac.protocol import TreeMarks
from virtsec.step import Host


@pytest.fixture
def as_root() -> None:
    """Owners, trusted attributes and namespaces are root's to make."""
    if os.geteuid() != 0:
        pytest.skip("takes root")


@pytest.fixture
def progress() -> Recorded:
    return Recorded()


@pytest.fixture
def host(progress: Recorded, as_root: None) -> Host:
    """The steps of a root need nothing of a host but its progress, and how files are born."""
    return Host(None, Births(), progress)  # type: ignore[arg-type]


@pytest.fixture
def marks() -> TreeMarks:
    return TreeMarks(
        files={MARK: b"file"},
        directories={MARK: b"directory"},
        init={MARK: b"init"},
        rest={MARK: None},
    )


@pytest.fixture
def tree(tmp_path: Path, as_root: None) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def mounted(tmp_path: Path, as_root: None) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "mounted"
    place.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    options = b"size=256k,mode=0755"
    if libc.mount(b"none", os.fsencode(place), b"tmpfs", ctypes.c_ulong(0), options) != 0:
        pytest.skip("no tmpfs can be mounted here")
    yield place
    assert libc.umount2(os.fsencode(place), 2) == 0
