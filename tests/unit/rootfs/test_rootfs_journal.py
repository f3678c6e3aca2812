"""A journal is data of the container's: whatever its root put there, nothing else is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from virtsec.errors import BadInput, NotFound
from virtsec.rootfs import journal
from virtsec.rootfs.journal import Query, read_journal

#: Stands for journalctl: says who it is, what it was asked for, and what the files hold.
STUB = """#!/bin/sh
id -u
for word; do case $word in
  --file=*) cat "${word#--file=}";;
  --since=bad) echo "Failed to parse timestamp: bad" >&2; exit 1;;
  *) echo "$word";;
esac; done
"""

Read = Callable[..., list[str]]


@pytest.fixture
def rootfs(tmp_path: Path, as_root: None) -> Path:
    """A container's tree with a journal of two files."""
    del as_root
    place = tmp_path / "root/var/log/journal/0123"
    place.mkdir(parents=True)
    for number, name in enumerate(("system@old.journal", "system.journal")):
        (place / name).write_text(f"{name}\n")
        os.utime(place / name, (number, number))
    (place / "other").write_text("no journal\n")
    return tmp_path / "root"


@pytest.fixture
def read(rootfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Reads the journal; returns the lines, the last of which is the number of files left out."""
    stub = tmp_path / "journalctl"
    stub.write_text(STUB)
    stub.chmod(0o755)
    for parent in stub.parents[:4]:
        if parent != Path("/tmp"):
            parent.chmod(0o755)
    monkeypatch.setattr(journal, "JOURNALCTL", str(stub))

    def read(query: Query | None = None) -> list[str]:
        said: list[str] = []
        left_out = read_journal(PurePosixPath(rootfs), query or Query(), said.append)
        return [*"".join(said).splitlines(), str(left_out)]

    return read


def test_nobody_reads_copies_the_newest_first(read: Read) -> None:
    user, *_, new, old, left_out = read()
    assert user == "65534"
    assert (new, old, left_out) == ("system.journal", "system@old.journal", "0")


def test_a_query_is_journalctls(read: Read) -> None:
    query = Query(5, ("nginx", "ssh"), "-1h", "now", "cat")
    assert read(query)[1:-3] == [
        *("--no-pager", "--quiet", "--output=cat", "--lines=5", "--unit=nginx", "--unit=ssh"),
        *("--since=-1h", "--until=now"),
    ]


def test_one_that_it_does_not_understand_is_said_in_its_words(read: Read) -> None:
    with pytest.raises(BadInput, match="Failed to parse timestamp: bad"):
        read(Query(since="bad"))


@pytest.mark.parametrize("kind", ["link out", "fifo", "directory", "link to a directory"])
def test_what_is_no_file_of_the_containers_is_not_read(
    kind: str, read: Read, rootfs: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x.journal").write_text("secret\n")
    planted = rootfs / "var/log/journal/0123/planted.journal"
    if kind == "link out":
        planted.symlink_to(secret / "x.journal")
    elif kind == "fifo":
        os.mkfifo(planted)
    elif kind == "directory":
        planted.mkdir()
    else:
        (rootfs / "var/log/journal/4567").symlink_to(secret)
    said = read()
    assert "secret" not in said
    assert said[-3:] == ["system.journal", "system@old.journal", "0"]


def test_a_link_on_the_way_leads_to_the_containers_own(read: Read, rootfs: Path) -> None:
    (rootfs / "var/log").rename(rootfs / "data")
    (rootfs / "var/log").symlink_to("/data")
    assert read()[-3:] == ["system.journal", "system@old.journal", "0"]


def test_more_than_fits_is_left_out_and_counted(read: Read, rootfs: Path) -> None:
    with (rootfs / "var/log/journal/0123/system@old.journal").open("ab") as file:
        file.truncate(1 << 40)
    assert read()[-2:] == ["system.journal", "1"]


def test_a_container_without_one_is_said_so(read: Read, rootfs: Path) -> None:
    (rootfs / "var/log/journal").rename(rootfs / "elsewhere")
    with pytest.raises(NotFound, match="There is no journal"):
        read()
