"""Directories for what is temporary, which nobody else gets into or exchanges.

Of each there is a note, by which those that are left by whoever was killed are told from others'.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from virtsec.errors import HostNotReady

#: Not where $TMPDIR says: whoever has the directory above could put another in its place.
ABOVE = Path("/tmp")  # noqa: S108
#: Only root's, and gone with the next boot. Not for what is temporary: semodule may not read there.
NOTES = Path("/run/virtsec")
_NOTE = "temporary-"


@contextmanager
def private_directory(prefix: str, above: Path = ABOVE) -> Iterator[Path]:
    """A new directory that only we can get into, gone afterwards.

    Raises `HostNotReady` when others may rename what is in `above`.
    """
    status = above.lstat()
    open_to_others = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if status.st_uid != 0 or not stat.S_ISDIR(status.st_mode) or open_to_others:
        raise HostNotReady(
            f"{above} is not root's, or others may exchange what is in it.",
            f"Run `chown root {above}` and `chmod 1777 {above}`.",
        )
    NOTES.mkdir(mode=0o700, exist_ok=True)
    name = secrets.token_hex(8)
    note, directory = NOTES / f"{_NOTE}{name}", above / f"{prefix}{name}"
    held = os.open(note, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.write(held, os.fsencode(directory))
        directory.mkdir(0o700)
        try:
            yield directory
        finally:
            shutil.rmtree(directory)
    finally:
        note.unlink(missing_ok=True)
        os.close(held)


def sweep(notes: Path) -> None:
    """Remove directories of those who were killed; nobody holds their note. Raises `OSError`."""
    for note in notes.glob(f"{_NOTE}*"):
        with suppress(FileNotFoundError, BlockingIOError), note.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            name = os.fsdecode(held.read())
            if name and os.path.lexists(name):
                shutil.rmtree(name)
            note.unlink()
