"""What is temporary is where nobody else gets, whatever the environment says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from virtsec.errors import HostNotReady
from virtsec.host.lock import host_lock
from virtsec.kernel import private
from virtsec.kernel.private import ABOVE, private_directory, sweep
from virtsec.step import Silent


def test_a_directory_is_ours_alone_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with private_directory("virtsec-test-") as made:
        assert made.parent == ABOVE
        assert made.stat().st_mode & 0o777 == 0o700
        (made / "x").write_text("x")
    assert not made.exists()


def test_it_is_not_made_where_others_could_exchange_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(ABOVE)
    for above in (tmp_path, link):
        with pytest.raises(HostNotReady), private_directory("virtsec-test-", above):
            pass


def test_what_is_left_of_one_that_was_killed_goes_with_the_next_that_takes_the_hosts_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    monkeypatch.setattr(private, "NOTES", notes)
    telling, told = os.pipe()
    killed = os.fork()
    if not killed:
        with private_directory("virtsec-test-") as made:
            (made / "x").write_text("x")
            os.write(told, os.fsencode(made))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(killed, 0)
    left = Path(os.fsdecode(os.read(telling, 4096)))
    os.close(telling)
    os.close(told)
    assert (left / "x").exists()
    with private_directory("virtsec-test-") as other, host_lock(Silent(), notes):
        assert not left.exists()
        assert other.is_dir()
        (note,) = notes.glob("temporary-*")
        assert note.read_bytes() == os.fsencode(other)
    assert [each.name for each in notes.iterdir()] == ["lock"]


def test_a_note_of_what_was_not_made_yet_goes_too(tmp_path: Path) -> None:
    (tmp_path / "temporary-1").write_bytes(b"")
    (tmp_path / "temporary-2").write_bytes(os.fsencode(tmp_path / "never"))
    (tmp_path / "another's").touch()
    sweep(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["another's"]
