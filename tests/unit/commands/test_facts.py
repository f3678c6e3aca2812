"""What is read of the host before planning."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.fakes import fake_host, foreign
from virtsec.commands import facts
from virtsec.spec import IdRange


def test_facts_are_those_of_host_and_libvirt(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/etc/subuid": "alice:100000:65536\n",
        "/etc/subgid": "alice:200000:65536\n",
        "/etc/passwd": "root:x:0:0::/:/bin/sh\n",
        "/etc/group": "users:x:100:\n",
    }
    monkeypatch.setattr(facts, "_text", files.__getitem__)
    found = facts.gather(fake_host(foreign()))
    assert found.subordinate == (IdRange(100000), IdRange(200000))
    assert found.accounts == (IdRange(0, 1), IdRange(100, 1))
    assert [record.name for record in found.domains] == ["theirs"]
    assert found.models == {"selinux"}


def test_a_missing_or_odd_file_is_no_hindrance(tmp_path: Path) -> None:
    assert facts._text(str(tmp_path / "none")) == ""
    (tmp_path / "odd").write_bytes(b"a:\xff:1\nb:2:3\n")
    assert facts._text(str(tmp_path / "odd")).endswith("b:2:3\n")


def test_a_tree_in_the_store_keeps_its_ids(tmp_path: Path) -> None:
    for name, owner in (("shifted", 0x70000000), ("plain", 0)):
        (tmp_path / name / "rootfs").mkdir(parents=True)
        if os.geteuid() == 0:
            os.chown(tmp_path / name / "rootfs", owner, owner)
    (tmp_path / "empty").mkdir()
    expected = {PurePosixPath(tmp_path, "shifted", "rootfs"): IdRange(0x70000000)}
    if os.geteuid() != 0:
        own = IdRange(os.geteuid())
        expected = {PurePosixPath(tmp_path, name, "rootfs"): own for name in ("shifted", "plain")}
    assert facts._trees(tmp_path) == expected
