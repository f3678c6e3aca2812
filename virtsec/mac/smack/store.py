"""Where rules are kept for the next boot: /etc/smack, from which systemd loads them.

systemd writes what is in accesses.d and netlabel.d to smackfs before it starts anything else
(src/core/smack-setup.c); it is one rule a line, `#` begins a comment.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from virtsec.mac.install import read, remove, replace

RULES = "etc/smack/accesses.d"
_PREFIX = "virtsec-"


def kept_as(container: str) -> str:
    """The name of the file that keeps a container's rules."""
    return _PREFIX + container


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

    def read(self, name: str) -> str | None:
        """The text of one file of rules; None when it is not there."""
        return read(self.directory / name)

    def keep(self, container: str, text: str) -> None:
        """Keep a container's rules; raises `PolicyFailed`."""
        replace(self.directory / kept_as(container), text)

    def forget(self, container: str) -> None:
        """Take a container's rules away, if they are there; raises `PolicyFailed`."""
        remove(self.directory / kept_as(container))
