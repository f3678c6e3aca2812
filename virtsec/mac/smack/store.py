"""Where rules are kept for the next boot: /etc/smack, from which systemd loads them.

systemd writes what is in accesses.d and netlabel.d to smackfs before it starts anything else
(src/core/smack-setup.c); it is one rule a line, `#` begins a comment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from virtsec.errors import PolicyFailed

RULES = "etc/smack/accesses.d"
_PREFIX = "virtsec-"


class Store:
    """Rule files beneath `root`, which is the host's own but in tests."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.directory = root / RULES

    def containers(self) -> dict[str, str]:
        """Rule texts by container."""
        found = {}
        for path in sorted(self.directory.glob(f"{_PREFIX}*")):
            with suppress(FileNotFoundError):
                found[path.name.removeprefix(_PREFIX)] = path.read_text()
        return found

    def keep(self, container: str, text: str) -> None:
        """Keep a container's rules; raises `PolicyFailed`."""
        replace(self.directory / (_PREFIX + container), text)

    def forget(self, container: str) -> None:
        """Take a container's rules away, if they are there; raises `PolicyFailed`."""
        path = self.directory / (_PREFIX + container)
        with failing(path):
            path.unlink(missing_ok=True)


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` at `path`, all at once or not at all; raises `PolicyFailed`."""
    # systemd passes over names that begin with a dot.
    staging = path.with_name(f".{path.name}.new")
    with failing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            staging.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(staging, flags, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            staging.replace(path)
        except BaseException:
            staging.unlink(missing_ok=True)
            raise


@contextmanager
def failing(path: Path) -> Iterator[None]:
    """`OSError` within becomes `PolicyFailed`."""
    try:
        yield
    except OSError as error:
        raise PolicyFailed(f"{path} could not be written: {error.strerror}.") from error
