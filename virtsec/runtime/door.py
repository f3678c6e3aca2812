"""The door into a running container: becomes what a process started by its init is, then execs.

`virtsec exec` runs it on the host as root, with nothing open but /dev/null and its end of a pair of
sockets that keep messages apart (`order`), whose number is the argument.

Two processes share the work, since only a child is in a PID namespace that its parent joined:

  the door      joins init's limits and namespaces, waits for the command, passes signals on. It is
                not in the container's PID namespace or cgroup: nothing inside can see or stop it;
  the command   takes on what else makes up confinement: init's cgroup, a session, the filter of
                system calls, init's capabilities, its label; makes its own pipes or terminal there,
                so that nothing of the host's is handed in; looks up its user inside; and execs.

No descriptor of the host's is open inside but the socket until the exec, and the working directory
is the container's (CVE-2024-21626). What runs until then is a sealed copy of Python, so that even
/proc/self/exe is no file of the host's (CVE-2019-5736). It is not dumpable: /proc/PID/exe, fd, root
and mem are refused to all who have no power over the host's user namespace (ptrace(2)), and the
label refuses the rest.

The standard library and a little of virtsec's own, all of it loaded before the host's files are out
of sight.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

from virtsec.kernel import userns
from virtsec.kernel.privilege import prctl
from virtsec.runtime.command import run_command
from virtsec.runtime.confinement import (
    State,
    change_root,
    leave_keyring,
    open_cgroup,
    read_state,
    started,
    take_label,
    take_limits,
    to_enter,
)
from virtsec.runtime.order import MESSAGE, Failed, Order, send
from virtsec.runtime.system import close_all_but
from virtsec.runtime.user import PR_SET_DUMPABLE, ROOT, become


def main(descriptor: int) -> None:
    """Take the order, enter, run it, tell how it ended."""
    outside = socket.socket(fileno=descriptor)
    outside.set_inheritable(False)
    close_all_but({0, 1, 2, descriptor})
    try:
        prctl(PR_SET_DUMPABLE, 0)
        if not str(Path("/proc/self/exe").readlink()).startswith("/memfd:"):
            raise Failed("what enters would be a file of the host's")
        content = json.loads(outside.recv(MESSAGE))["order"]
        content["command"] = tuple(content["command"])
        order = Order(**content)
        init = os.pidfd_open(order.init)
        if started(order.init) != order.started:
            raise Failed("it has stopped")
        state = read_state(order.init)
        cgroup = enter(order, state, init)
        child = os.fork()
        if child == 0:
            os.close(init)
            run_command(order, state, cgroup, outside)
        said = wait(child, outside)
    except Failed as reason:
        said = {"failed": str(reason)}
    except BaseException as error:
        said = {"failed": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(OSError):  # nobody listens any more
        send(outside, said)
    os._exit(1 if "failed" in said else 0)


def enter(order: Order, state: State, init: int) -> int:
    """Join what is joined from outside: limits, label under Smack, namespaces, root.

    Returns a descriptor by which the child joins init's cgroup.
    """
    flags = to_enter(order.init)
    root = os.open(f"/proc/{order.init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    leave_keyring()
    take_limits(order.init)
    cgroup = open_cgroup(state)
    # All that was read was init's: it lives still, and `init` refers to it whatever its number.
    signal.pidfd_send_signal(init, 0)
    if order.model == "smack":
        # It asks for mac_admin over the host, which ends with its user namespace. Nothing that has
        # the same label can reach this process: it is not in the container's PID namespace.
        take_label(order.model, order.label)
    userns.enter(init, flags)
    become(ROOT)  # of the container; the host's root is nobody in a user namespace
    change_root(root)
    return cgroup


def wait(child: int, outside: socket.socket) -> dict[str, object]:
    """Pass signals on until the command is over; what to say of its end."""
    handle = os.pidfd_open(child)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(outside, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if handle in ready:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            return {"exited": status if status >= 0 else 128 - status}
        message = outside.recv(MESSAGE)
        number = json.loads(message)["signal"] if message else signal.SIGHUP
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
        if not message:  # nobody waits for it any more
            os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
