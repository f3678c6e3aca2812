"""Files that the hook and the controller read, beside a container's tree: STORE/NAME/FILE.

They stand outside the tree, where the container never reaches them; the hook trusts them only while
root alone may change them.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath

from virtsec.kernel.rmdir import remove_empty
from virtsec.kernel.whole import write_whole
from virtsec.rootfs.trouble import explained
from virtsec.runtime.view import ORDERS

PRISTINE = "init.pristine"
#: All of them.
FILES = (ORDERS, PRISTINE)


def keep(directory: PurePosixPath, file: str, content: bytes) -> None:
    """Have `content` in `directory`, which is made where it is not; whole whenever it is there."""
    with explained("make", directory):
        with suppress(FileExistsError):
            Path(directory.parent).mkdir(0o711)
        with suppress(FileExistsError):
            Path(directory).mkdir(0o700)
    with explained("write", directory / file):
        write_whole(Path(directory, file), content, _staging(directory, file))


def drop(directory: PurePosixPath, file: str) -> None:
    """Remove it, if it is there; the directory goes with it when nothing else is in it."""
    with explained("remove", directory / file):
        Path(directory, file).unlink(missing_ok=True)
        _staging(directory, file).unlink(missing_ok=True)
        remove_empty(directory)


def _staging(directory: PurePosixPath, file: str) -> Path:
    return Path(directory, f"{file}.new")
