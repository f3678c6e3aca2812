"""qemu's monitor: a machine's memory and devices saved to a file, to go on from at once."""

import json
import shlex
import socket
import time
from pathlib import Path
from typing import Any

from .errors import LabError

POLL = 0.1  # seconds


class Monitor:
    """A conversation over QMP. It begins when the first thing is asked."""

    def __init__(self, end: socket.socket) -> None:
        self._lines = end.makefile("rwb")
        self._greeted = False

    def save(self, memory_image: Path) -> None:
        """Stop the machine for good and save its memory. Raises LabError."""
        self._ask("stop")
        # As fast as it goes: the machine stands still.
        self._ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        command = f"zstd -q -1 -T0 -o {shlex.quote(str(memory_image))}"
        self._ask("migrate", uri=f"exec:{command}")
        while (state := self._ask("query-migrate"))["status"] not in ("completed", "failed"):
            time.sleep(POLL)
        if state["status"] == "failed":
            raise LabError(f"qemu could not save the guest: {state.get('error-desc', state)}")
        self._ask("quit")

    def go_on(self) -> None:
        """Let a machine run that was saved, once its memory is there. Raises LabError."""
        while self._ask("query-status")["status"] == "inmigrate":
            time.sleep(POLL)
        self._ask("cont")

    def close(self) -> None:
        """End the conversation."""
        self._lines.close()

    def _ask(self, command: str, **arguments: object) -> Any:
        if not self._greeted:
            self._greeted = True
            self._lines.readline()
            self._ask("qmp_capabilities")
        words = {"execute": command, "arguments": arguments}
        self._lines.write(json.dumps(words).encode() + b"\n")
        self._lines.flush()
        while line := self._lines.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise LabError(f"qemu refused {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise LabError(f"qemu ended when asked to {command}")
