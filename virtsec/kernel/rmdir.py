"""rmdir(2), for directories that stay while somebody's files are in them."""

from __future__ import annotations

import errno
from pathlib import Path, PurePath


def remove_empty(directory: PurePath) -> None:
    """Remove a directory, unless something is in it or it is gone. Raises `OSError`."""
    try:
        Path(directory).rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise
