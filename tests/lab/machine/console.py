"""The guest's console: qemu writes it to a file, its end is kept, watched for the ways to die.

A file and not a socket, which holds but some hundred single bytes: qemu drops what does not fit.
"""

import re
from collections import deque
from pathlib import Path

TAIL_LINES = 40

_FATAL = re.compile(
    rb"Kernel panic - not syncing[^\r\n]*"
    rb"|You are in (?:emergency|rescue) mode"
    rb"|ALERT! [^\r\n]*does not exist"
    rb"|(?:Failed to load SELinux policy|Freezing execution)[^\r\n]*"
    rb"|lab: the agent died[^\r\n]*"
    rb"|Failed to start lab\.service[^\r\n]*"
)
# See qemu.py: what the kernel says when it was qemu that erred.
_EMULATION_FAULT = re.compile(rb"Oops: int3")
_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Za-z0-9]|[=>78c])")


class Console:
    """What the guest's kernel and systemd print to the serial line, from the end of ``log`` on."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab+", buffering=0)
        self._lines: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._partial = b""
        self.fatal: str | None = None
        """The first line that means the guest will not go on."""
        self.emulation_fault = False
        """Whether qemu is known to be the reason."""

    def poll(self) -> bool:
        """Take in what was written since the last time; tell whether that was anything."""
        data = self._log.read()
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            plain = _ESCAPES.sub(b"", line).strip()
            if not plain:
                continue
            self._lines.append(plain)
            if _EMULATION_FAULT.search(plain):
                self.emulation_fault = True
            if self.fatal is None and (found := _FATAL.search(plain)):
                self.fatal = found.group().decode(errors="replace")
        return bool(data)

    def tail(self) -> str:
        """Return the last lines, without terminal escapes."""
        lines = [*self._lines, _ESCAPES.sub(b"", self._partial).strip()]
        return b"\n".join(filter(None, lines)).decode(errors="replace")

    def fileno(self) -> int:
        """Return the file's descriptor, for what qemu itself has to say."""
        return self._log.fileno()

    def close(self) -> None:
        """Close the file."""
        self._log.close()
