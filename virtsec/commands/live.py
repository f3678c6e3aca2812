"""What runs in a container, seen from the host through /proc.

Nothing here is trusted for more than display and a choice of signal: a container names its
processes as it likes.
"""

from __future__ import annotations

import time
from pathlib import Path

PROC = Path("/proc")
_PATIENCE = 30.0  #: seconds that setting up mounts and devices may take, before init is executed
_INTERVAL = 0.02  #: seconds between looks


def init_pid(controller: int | None, proc: Path = PROC) -> int | None:
    """The process that is number 1 inside: the controller's child that is in another PID namespace.

    None when there is none, or no longer one (proc(5): `children`, and `NSpid` in `status`).
    """
    if controller is None:
        return None
    for children in proc.glob(f"{controller}/task/*/children"):
        for pid in _read(children).split():
            if _namespaced(_read(proc / pid / "status")):
                return int(pid)
    return None


def wait_for_init(controller: int | None, proc: Path = PROC) -> int | None:
    """As `init_pid`, once init is executed.

    libvirt says that a container runs some moments before: what is to be init is still the
    controller then, and has no label of the container's under SELinux.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        init = init_pid(controller, proc)
        executed = init is None or not _same_program(proc / str(controller), proc / str(init))
        if executed or time.monotonic() >= deadline:
            return init
        time.sleep(_INTERVAL)


def init_name(controller: int | None, proc: Path = PROC) -> str | None:
    """What init calls itself, at most 15 bytes (proc(5): `comm`)."""
    pid = init_pid(controller, proc)
    return None if pid is None else _read(proc / str(pid) / "comm").strip() or None


def _same_program(one: Path, other: Path) -> bool:
    try:
        return (one / "exe").samefile(other / "exe")
    except OSError:
        return False  # one of both is gone


def _namespaced(status: str) -> bool:
    ids = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(ids) > 1 and ids[-1] == "1"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # a process that is gone
