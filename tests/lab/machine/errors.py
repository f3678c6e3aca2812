"""What goes wrong in the laboratory itself, as opposed to in a script or test that runs in it."""

LAB_FAILED = 125
"""Exit status when the laboratory, not the script in it, is at fault."""


class LabError(Exception):
    """The laboratory cannot do what it was asked; the text is all its user needs to read."""


class GuestDied(LabError):
    """The guest stopped by itself: a panic, a power-off, a lost heartbeat, qemu gone.

    ``tail`` holds the last lines of its console. ``blameless`` is true where a known fault of the
    emulator killed it, so that a second try is fair.
    """

    def __init__(self, reason: str, tail: str = "", *, blameless: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.tail = tail
        self.blameless = blameless

    def __str__(self) -> str:
        if not self.tail:
            return f"the guest died: {self.reason}"
        indented = "\n".join(f"    {line}" for line in self.tail.splitlines())
        return f"the guest died: {self.reason}\nlast lines of its console:\n{indented}"
