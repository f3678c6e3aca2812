"""Tasks of the host and of another container.

No process id leads out of the container's PID namespace, so most of these begin outside of it:
what then refuses is what still would after an escape.
"""

from __future__ import annotations

import errno
import os
import resource
import signal

from virtsec.attacks.probe import Aim, Group, Position, Targets, Tried, tried
from virtsec.attacks.probes import calls
from virtsec.kernel.syscall import syscall

_PTRACE_SEIZE = 0x4206


def _kill(aim: Aim, targets: Targets) -> str:
    del targets
    os.kill(aim.victim, signal.SIGKILL)
    return "killed it"


def _signal(aim: Aim, targets: Targets) -> str:
    del targets
    os.kill(aim.task, signal.SIGCONT)
    return "sent it a signal"


def _pidfd(aim: Aim, targets: Targets) -> str:
    del targets
    signal.pidfd_send_signal(aim.pidfd, signal.SIGCONT)
    return "sent it a signal"


def _trace(aim: Aim, targets: Targets) -> str:
    del targets
    calls.call("ptrace", _PTRACE_SEIZE, aim.task, 0, 0)
    return "traced it"


def _peek(aim: Aim, targets: Targets) -> str:
    del targets
    secret = aim.secret.encode()
    if calls.read_memory(aim.task, aim.address, len(secret)) != secret:
        raise OSError(errno.ENOMSG, "something else is there")
    return "read its memory"


def _poke(aim: Aim, targets: Targets) -> str:
    del targets
    calls.write_memory(aim.task, aim.address, b"owned")
    return "wrote into its memory"


def _mem(aim: Aim, targets: Targets) -> str:
    del targets
    memory = os.open("mem", os.O_RDWR | os.O_CLOEXEC, dir_fd=aim.proc)
    os.pwrite(memory, b"owned", aim.address)
    return "wrote into its memory"


def _getfd(aim: Aim, targets: Targets) -> str:
    del targets
    syscall(calls.PIDFD_GETFD, "pidfd_getfd", aim.pidfd, aim.descriptor, 0)
    return "got a descriptor of it"


def _environ(aim: Aim, targets: Targets) -> str:
    del targets
    descriptor = os.open("environ", os.O_RDONLY | os.O_CLOEXEC, dir_fd=aim.proc)
    os.read(descriptor, 1)
    return "read its environment"


def _oom(aim: Aim, targets: Targets) -> str:
    del targets
    descriptor = os.open("oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=aim.proc)
    os.write(descriptor, b"1000")
    return "had the kernel kill it first when memory is short"


def _priority(aim: Aim, targets: Targets) -> str:
    del targets
    os.setpriority(os.PRIO_PROCESS, aim.task, 19)
    return "slowed it down"


def _affinity(aim: Aim, targets: Targets) -> str:
    del targets
    os.sched_setaffinity(aim.task, os.sched_getaffinity(0))
    return "chose its processors"


def _limits(aim: Aim, targets: Targets) -> str:
    del targets
    resource.prlimit(aim.stranger, resource.RLIMIT_CORE, (0, 0))
    return "set its limits"


def _compare(aim: Aim, targets: Targets) -> str:
    del targets
    calls.call("kcmp", os.getpid(), aim.task, 2, 0, 0)
    return "learned of the kernel's pointers"


def _move(aim: Aim, targets: Targets) -> str:
    del targets
    calls.call("move_pages", aim.task, 0, None, None, None, 0)
    return "moved its memory"


_ESCAPED, _INSIDE = Position.ESCAPED, Position.INSIDE
_TRIED: tuple[Tried, ...] = (
    ("kill", "kill a task of {who}", "article: kill -9 -1", _ESCAPED, _kill),
    ("signal", "send a signal to a task of {who}", "kill(2)", _ESCAPED, _signal),
    ("pidfd", "send a signal by a leaked pidfd of {who}", "pidfd_open(2)", _INSIDE, _pidfd),
    ("ptrace", "trace a task of {who}", "ptrace(2)", _ESCAPED, _trace),
    ("peek", "read the memory of a task of {who}", "process_vm_readv(2)", _ESCAPED, _peek),
    ("poke", "write into the memory of a task of {who}", "process_vm_writev(2)", _ESCAPED, _poke),
    ("mem", "write to /proc/PID/mem of a task of {who}", "proc(5)", _INSIDE, _mem),
    ("getfd", "take a descriptor from a task of {who}", "pidfd_getfd(2)", _ESCAPED, _getfd),
    ("environ", "read the environment of a task of {who}", "proc(5)", _INSIDE, _environ),
    ("oom", "have a task of {who} killed when memory is short", "proc(5)", _INSIDE, _oom),
    ("nice", "slow a task of {who} down", "setpriority(2)", _ESCAPED, _priority),
    ("affinity", "bind a task of {who} to processors", "sched_setaffinity(2)", _ESCAPED, _affinity),
    ("limits", "set limits of a task of {who}", "prlimit(2)", _ESCAPED, _limits),
    ("kcmp", "compare resources of a task of {who}", "kcmp(2)", _ESCAPED, _compare),
    ("move", "move the memory of a task of {who}", "move_pages(2)", _ESCAPED, _move),
)


GROUPS = (
    tried(Group("tasks of the host", "The host's tasks are protected."), "task-", _TRIED, True),
    tried(
        Group("tasks of containers", "One container cannot reach another's tasks."),
        "task-",
        _TRIED,
        False,
    ),
)
