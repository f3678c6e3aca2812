"""Limits of what runs in a container already, which are no group's."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

from virtsec.errors import Failed
from virtsec.runtime.inotify import write_limits
from virtsec.runtime.view import CGROUPS, group_of

GROUPS = Path(CGROUPS)


def limit_files(name: str, files: int, groups: Path = GROUPS) -> None:
    """Let each process in container `name` have so many files open; more that it has stay open.

    Those that are forked meanwhile have their parents' limit: it goes on until nobody is left who
    has another one (getrlimit(2)).
    """
    wanted = (files, files)
    changed = True
    while changed:
        changed = False
        for tasks in (groups / group_of(name)).rglob("cgroup.procs"):
            for pid in map(int, tasks.read_text().split()):
                with suppress(ProcessLookupError):
                    if resource.prlimit(pid, resource.RLIMIT_NOFILE)[1] != files:
                        resource.prlimit(pid, resource.RLIMIT_NOFILE, wanted)
                        changed = True


def limit_inotify(name: str, controller: int, instances: int) -> None:
    """Let the container of a controller, a process id, have so many; more that it has stay.

    A child does it as the hook does at each start, since it does not come back from the container's
    user namespace. Raises `Failed`.
    """
    child = os.fork()
    if child == 0:
        try:
            write_limits(controller, instances)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        raise Failed(f"The inotify instances of {name} could not be limited.", "See `dmesg`.")
