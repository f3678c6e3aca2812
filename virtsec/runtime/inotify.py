"""A container's share of inotify, limited once it has started and before it can take more.

The kernel counts inotify instances and watches for each user namespace, and those of all containers
together as if they were the host's root's own (sysctl/user.rst). Nobody inside can raise what is
written here: no security module lets a container write these files. A privileged container has no
user namespace of its own, and no limit.
"""

import posix

from .domain import Element
from .start import INOTIFY, NAMESPACE
from .system import call, read, write

WATCHES = 128  # for each instance
CLONE_NEWUSER = 0x10000000  # linux/sched.h


def limit(domain: Element) -> None:
    """Keep a container that has just started from taking what all of them share."""
    ours = domain.find("metadata", f"{NAMESPACE} container")
    if [each.get("kind") for each in ours] == ["unprivileged"]:
        instances = int(ours[0].get("inotify", f"{NAMESPACE} limits") or INOTIFY)
        write_limits(int(domain.get("id")), instances)


def write_limits(controller: int, instances: int) -> None:
    """Enter the user namespace of the controller's container, for good, and limit it there."""
    init = int(read(f"/proc/{controller}/task/{controller}/children").split()[0])
    call("setns", posix.open(f"/proc/{init}/ns/user", posix.O_RDONLY), CLONE_NEWUSER)
    for what, number in (("instances", instances), ("watches", instances * WATCHES)):
        write(f"/proc/sys/user/max_inotify_{what}", str(number))
