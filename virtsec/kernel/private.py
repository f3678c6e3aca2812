"""Directories for what is temporary, which nobody else gets into or exchanges."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from virtsec.errors import HostNotReady

#: Not where $TMPDIR says: whoever has the directory above could put another in its place.
ABOVE = Path("/tmp")  # noqa: S108


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
    with tempfile.TemporaryDirectory(prefix=prefix, dir=above) as directory:
        yield Path(directory)
