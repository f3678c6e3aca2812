"""What a container may take of the host is not its own to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from virtsec.attacks.probe import Group, NotApplicable, Targets

GROUP = Group("limits", "What a container takes, others lack: its limits are the host's to set.")

_TREE = Path("/sys/fs/cgroup")
_NONE = ("max", "max 100000")  # as the kernel writes that there is no limit


def _raised(file: str) -> Callable[[Targets], str]:
    """Set a limit anew, to what it is: who may do that may raise it."""

    def attack(targets: Targets) -> str:
        # From inside a namespace of control groups the container's own is the top of the tree.
        outside = _TREE / targets.group
        top = outside if outside.exists() else _TREE
        try:
            text = (top / file).read_text("utf-8").strip()
        except FileNotFoundError:
            text = _NONE[0]
        if text in _NONE:
            raise NotApplicable("no such limit is set")
        (top / file).write_text(text, "utf-8")
        return "the kernel would do it"

    return attack


for _id, _file, _sentence in (
    ("limit-pids", "pids.max", "have more processes than it may"),
    ("limit-memory", "memory.max", "have more memory than it may"),
    ("limit-swap", "memory.swap.max", "have more swap than it may"),
    ("limit-cpu", "cpu.max", "keep more processors busy than it may"),
):
    GROUP.probe(_id, _sentence, "cgroup-v2.rst, nsdelegate")(_raised(_file))
