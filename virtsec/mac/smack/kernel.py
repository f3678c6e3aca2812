"""The kernel's side of Smack: smackfs and /proc/PID/attr (security/smack/smackfs.c)."""

from __future__ import annotations

import os
from pathlib import Path

from virtsec.mac.smack.rule import Rule, check_label

#: Linux 5.8 and later, where several modules may have a `current`; and before.
_CURRENT = ("attr/smack/current", "attr/current")


class Smackfs:
    """The files of smackfs, by which rules are set, asked for and taken back.

    Every method raises `OSError`; setting needs CAP_MAC_ADMIN.
    """

    def __init__(self, mount: Path = Path("/sys/fs/smackfs")) -> None:
        self._mount = mount

    def there(self) -> bool:
        """Whether smackfs is mounted."""
        return (self._mount / "load2").exists()

    def load(self, rule: Rule) -> None:
        """Set what `rule` says, whatever was said of the same two labels before."""
        self._write("load2", str(rule))

    def allows(self, rule: Rule) -> bool:
        """Whether all of `rule.access` is allowed now; of a label nobody uses nothing is."""
        descriptor = os.open(self._mount / "access2", os.O_RDWR | os.O_CLOEXEC)
        try:
            os.write(descriptor, str(rule).encode())
            return os.read(descriptor, 2).startswith(b"1")
        finally:
            os.close(descriptor)

    def revoke(self, subject: str) -> None:
        """Take every rule back that allows `subject` anything."""
        self._write("revoke-subject", check_label(subject))

    def rules(self) -> list[Rule]:
        """Every rule that allows something now."""
        lines = (self._mount / "load2").read_text().splitlines()
        # Bringup mode's own letter is for kernels that only tell what they would refuse.
        return [Rule(s, o, a.replace("b", "") or "-") for s, o, a in map(str.split, lines)]

    def unconfined(self) -> str:
        """The label whose tasks and files nothing is refused; empty when there is none.

        Only kernels with SECURITY_SMACK_BRINGUP can have one.
        """
        try:
            return (self._mount / "unconfined").read_text().strip("\0\n ")
        except FileNotFoundError:
            return ""

    def label_hosts(self, line: str) -> None:
        """Write one line of a netlabel file: `ADDRESS/PREFIX LABEL`."""
        self._write("netlabel", line)

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(self._mount / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def process_label(pid: int, proc: Path = Path("/proc")) -> str | None:
    """The label process `pid` runs with, or None when it is gone."""
    for name in _CURRENT:
        try:
            return (proc / str(pid) / name).read_text().rstrip("\0\n") or None
        except FileNotFoundError:
            continue
        except ProcessLookupError:
            return None
    return None
