"""Files that the hook and the controller read, beside a container's tree: STORE/NAME/FILE.

They stand outside the tree, where the container never reaches them; the hook trusts them only while
root alone may change them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

from virtsec.kernel.rmdir import remove_empty
from virtsec.rootfs.trouble import explained


def keep(directory: PurePosixPath, file: str, content: bytes) -> None:
    """Have `content` in `directory`, which is made where it is not; whole whenever it is there."""
    with explained("make", directory):
        with suppress(FileExistsError):
            Path(directory.parent).mkdir(0o711)
        with suppress(FileExistsError):
            Path(directory).mkdir(0o700)
    with explained("write", directory / file):
        place = os.open(directory, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _replace(place, file, content)
        finally:
            os.close(place)


def _replace(place: int, file: str, content: bytes) -> None:
    aside = f"{file}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(aside, flags, 0o600, dir_fd=place), "wb") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        os.rename(aside, file, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=place)
        raise


def drop(directory: PurePosixPath, file: str) -> None:
    """Remove it, if it is there; the directory goes with it when nothing else is in it."""
    with explained("remove", directory / file):
        Path(directory, file).unlink(missing_ok=True)
        remove_empty(directory)
