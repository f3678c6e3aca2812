"""A root built by mmdebstrap, with a script in mmdebstrap's place."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.rootfs.rootfs_trees import IDS, INIT, make_archive
from virtsec.errors import RootfsFailed
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import debian
from virtsec.rootfs.steps import FillTree
from virtsec.step import Host, execute


@pytest.fixture
def build(tmp_path: Path, marks: TreeMarks, monkeypatch: pytest.MonkeyPatch) -> FillTree:
    """The step, and a builder that runs the lines in `tmp_path/script`."""
    monkeypatch.setattr(debian, "check_suite", lambda source: ["deb x trixie main"])
    monkeypatch.setattr(debian, "_MMDEBSTRAP", str(tmp_path / "script"))
    return FillTree(PurePosixPath(tmp_path / "rootfs"), "debian:trixie", IDS, INIT, "vs1", marks)


def script(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "script"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def test_a_built_root_has_a_name_and_a_network_of_its_own(
    tmp_path: Path, build: FillTree, host: Host
) -> None:
    archive = make_archive(tmp_path / "x.tar")
    script(tmp_path, f'touch "$TMPDIR/x"; echo "$@" > {tmp_path}/words; cat {archive}')
    execute([build], host)
    rootfs = tmp_path / "rootfs"
    assert (rootfs / "etc/hostname").read_text() == "vs1\n"
    assert "DHCP=yes" in (rootfs / "etc/systemd/network/80-eth0.network").read_text()
    link = rootfs / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
    assert link.is_symlink()
    assert link.lstat().st_uid == IDS.start
    words = (tmp_path / "words").read_text()
    assert words.endswith(" trixie - deb x trixie main\n")
    assert not (tmp_path / "rootfs.partial").exists()


def test_what_the_builder_said_last_is_the_sentence_and_nothing_is_left(
    tmp_path: Path, build: FillTree, host: Host
) -> None:
    script(tmp_path, "echo 'I: begin' >&2; echo 'E: no such suite' >&2; exit 25")
    with pytest.raises(RootfsFailed, match=r"Could not read what goes into .*: E: no such suite"):
        execute([build], host)
    assert sorted(os.listdir(tmp_path)) == ["script"]


def test_an_interrupted_build_leaves_no_process_no_mount_and_no_file(
    tmp_path: Path, build: FillTree, host: Host
) -> None:
    script(
        tmp_path,
        f'mkdir "$TMPDIR/m"; mount -t tmpfs none "$TMPDIR/m"; touch "$TMPDIR/m/x"; '
        f"(trap '' TERM INT; sleep 98765) & echo up > {tmp_path}/up; wait",
    )

    def stop_when_up() -> None:
        while not (tmp_path / "up").exists():
            threading.Event().wait(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        while not stopped.wait(20):  # one that comes right before a call that waits is lost in it
            os.kill(os.getpid(), signal.SIGINT)

    stopped = threading.Event()
    waiter = threading.Thread(target=stop_when_up)
    waiter.start()
    with pytest.raises(KeyboardInterrupt):
        execute([build], host)
    stopped.set()
    waiter.join()
    assert sorted(os.listdir(tmp_path)) == ["script", "up"]
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert b"sleep\x0098765\x00" not in command_lines()


def command_lines() -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes())
    return lines
