"""What confines a container's init, read from it, and taken on by another process.

Each function is one part of it: namespaces, root, cgroup, limits, capabilities, label; and the
keyring, which the caller must not bring along. The door takes on all of them, in an order of its
own; what `virtsec verify` attacks with leaves some out where that is the question.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
from dataclasses import dataclass
from pathlib import Path

from virtsec.kernel.privilege import prctl
from virtsec.kernel.syscall import check, libc, syscall
from virtsec.runtime.order import Failed
from virtsec.runtime.view import CGROUPS

#: Namespaces by their names in /proc/PID/ns, with setns(2)'s flags. A container has all those in
#: `OWN` to itself; one of ids only when it is unprivileged, one of time as libvirt has none.
NAMESPACES = {
    "user": 0x10000000,
    "mnt": 0x00020000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "cgroup": 0x02000000,
    "time": 0x00000080,
}
OWN = {"mnt", "pid", "net", "ipc", "uts", "cgroup"}

PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24  # linux/prctl.h
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAPABILITY_VERSION = 0x20080522  # linux/capability.h, version 3
CAPABILITIES = range(64)  # more than any kernel has; one it does not know is refused with EINVAL
KEYCTL, JOIN_SESSION_KEYRING = {"x86_64": 250, "ppc64le": 271, "s390x": 280}, 1
LSM_SET_SELF_ATTR, LSM_ATTR_CURRENT = 460, 100  # linux/lsm.h, Linux 6.8
LSM_ID = {"selinux": 101, "smack": 102}


@dataclass(frozen=True)
class State:
    """What makes up init's confinement, from /proc (proc_pid_status(5))."""

    cgroup: str
    bounding: int
    inheritable: int
    no_new_privs: bool


def read_state(pid: int) -> State:
    """How process `pid` is confined now."""
    process = Path(f"/proc/{pid}")
    status = (process / "status").read_text("utf-8", "replace").splitlines()
    fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    groups = (process / "cgroup").read_text("utf-8", "surrogateescape").splitlines()
    cgroup = next(line[3:] for line in groups if line.startswith("0::"))
    return State(
        cgroup,
        int(fields["CapBnd"], 16),
        int(fields["CapInh"], 16),
        fields["NoNewPrivs"] == "1",
    )


def started(pid: int) -> int:
    """When process `pid` started, in the kernel's ticks; a later one of its number did later."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return int(fields[19])


def to_enter(pid: int) -> int:
    """setns(2)'s flags of the namespaces of `pid` that are not ours.

    Raises Failed when it shares one that every container has to itself: then it is no container.
    """
    other = {
        name
        for name in NAMESPACES
        if not Path(f"/proc/{pid}/ns/{name}").samefile(f"/proc/self/ns/{name}")
    }
    if shared := OWN - other:
        raise Failed(f"it shares namespaces with the host: {', '.join(sorted(shared))}")
    return sum(NAMESPACES[name] for name in other)


def change_root(root: int) -> None:
    """Have the directory that `root` refers to as the root, and be there."""
    os.fchdir(root)
    os.chroot(".")
    os.chdir("/")
    os.close(root)
    os.umask(0o022)


def open_cgroup(state: State) -> int:
    """A descriptor by which a child joins init's cgroup: the kernel asks who opened it."""
    return os.open(f"{CGROUPS}{state.cgroup}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)


def take_limits(init: int) -> None:
    """Have init's resource limits, and be scheduled, and killed for want of memory, as init is."""
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            limit = getattr(resource, name)
            resource.setrlimit(limit, resource.prlimit(init, limit))
    score = Path(f"/proc/{init}/oom_score_adj").read_text("ascii")
    Path("/proc/self/oom_score_adj").write_text(score, "ascii")
    os.sched_setscheduler(0, os.sched_getscheduler(init), os.sched_getparam(init))
    os.sched_setaffinity(0, os.sched_getaffinity(init))
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, init))


def leave_keyring() -> None:
    """Give up the caller's session keyring for an empty one: keys in it could be used inside."""
    number = KEYCTL.get(os.uname().machine, 219)  # all others number as asm-generic/unistd.h does
    syscall(number, "keyctl", JOIN_SESSION_KEYRING, None, 0, 0, 0)


def limit_capabilities(state: State) -> None:
    """Take init's bounding and inheritable sets; what is permitted follows at the exec."""
    for number in CAPABILITIES:
        if not state.bounding >> number & 1:
            with contextlib.suppress(OSError):  # one that this kernel does not know
                prctl(PR_CAPBSET_DROP, number)
    left = read_own_bounding()
    if left & ~state.bounding:
        raise Failed("a capability could not be dropped")
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    allowed, inheritable = state.bounding, state.inheritable
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    words = [
        half >> shift & 0xFFFFFFFF for shift in (0, 32) for half in (allowed, allowed, inheritable)
    ]
    check(libc.capset(header, struct.pack("=6I", *words)), "capset")


def read_own_bounding() -> int:
    """The bounding set as the kernel has it (prctl(2))."""
    return sum(
        1 << number
        for number in CAPABILITIES
        if libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0) == 1
    )


def take_label(model: str, label: str) -> None:
    """Run under `label` from here on (lsm_set_self_attr(2), which asks no file system)."""
    context = label.encode() + b"\0"
    size = 32 + len(context)
    content = struct.pack("=QQQQ", LSM_ID[model], 0, size, len(context)) + context
    what = f"taking on the label {label}"
    syscall(LSM_SET_SELF_ATTR, what, LSM_ATTR_CURRENT, content, size, 0)
