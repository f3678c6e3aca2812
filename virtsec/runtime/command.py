"""The command's own side of the door: confines itself as init is, then becomes the command.

It is in the container's namespaces and has the container's root when it begins. Its pipes or its
terminal are made here, inside, so that nothing of the host's is handed in, and their other ends go
out. Then nothing else is open, and it executes the command, or carries files (`parcel`) and ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import sys
import tarfile
import termios
from pathlib import Path
from typing import NoReturn

from virtsec.kernel.privilege import prctl
from virtsec.runtime import parcel
from virtsec.runtime.confinement import State, limit_capabilities, take_label
from virtsec.runtime.order import PACK, RUN, Failed, Order, send
from virtsec.runtime.seccomp import refuse_calls
from virtsec.runtime.system import close_all_but
from virtsec.runtime.user import User, become, find_user

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441  # asm-generic/ioctls.h: unlock; the other side
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # the shell's exit statuses


def run_command(order: Order, state: State, cgroup: int, outside: socket.socket) -> NoReturn:
    """What the child does: confine itself like init, and exec. Never returns."""
    os.write(cgroup, b"0")
    os.setsid()
    for each in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # what Python itself changes
        signal.signal(each, signal.SIG_DFL)
    refuse_calls()
    limit_capabilities(state)
    if order.model == "selinux":
        take_label(order.model, order.label)
    own, far = make_streams(order)
    user = find_user(order.user)
    if order.terminal is not None:
        os.fchown(own[0], user.uid, -1)
    become(user)
    if state.no_new_privs:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    send(outside, {"streams": len(far)}, *far)
    for number, descriptor in enumerate(own):
        os.dup2(descriptor, number)
    close_all_but({0, 1, 2})
    if order.task == RUN:
        execute(order, user)
    copy(order)


def make_streams(order: Order) -> tuple[list[int], list[int]]:
    """Descriptors for the command's input, output and errors, and their other ends."""
    if order.terminal is None:
        pipes = [os.pipe() for _ in range(3)]
        (own_in, far_in), (far_out, own_out), (far_err, own_err) = pipes
        return [own_in, own_out, own_err], [far_in, far_out, far_err]
    try:
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *order.terminal, 0, 0))
    except OSError as error:
        raise Failed(f"its /dev/ptmx makes no terminal ({error.strerror})") from None
    return [slave, slave, slave], [master]


def environment_of(user: User, order: Order) -> dict[str, str]:
    """What a login would have, and what was asked for."""
    return {
        "PATH": PATH,
        "HOME": user.home,
        "USER": user.name,
        "LOGNAME": user.name,
        "SHELL": user.shell,
        "LANG": "C.UTF-8",
        "container": "lxc-libvirt",
        **order.environment,
    }


def execute(order: Order, user: User) -> NoReturn:
    """Exec the command, from here on with nothing open but its own streams."""
    try:
        os.chdir(order.directory or user.home)
    except OSError:
        if order.directory is not None:
            complain(f"cannot enter {order.directory}", NOT_EXECUTABLE)
        os.chdir("/")
    environment = environment_of(user, order)
    command = list(order.command)
    if not command:
        command = [user.shell]
    arguments = command if order.command else [f"-{Path(user.shell).name}"]
    places = [""] if "/" in command[0] else [f"{p}/" for p in environment["PATH"].split(":")]
    reason, status = "there is no such program", NOT_FOUND
    for place in places:
        try:
            os.execve(place + command[0], arguments, environment)  # noqa: S606
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason, status = os.strerror(error.errno or 0), NOT_EXECUTABLE
    complain(f"cannot run {command[0]}: {reason}", status)


def copy(order: Order) -> NoReturn:
    """Pack or unpack files; its streams carry them."""
    try:
        os.chdir("/")
        if order.task == PACK:
            parcel.pack(*order.command)
        else:
            parcel.unpack(*order.command)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(1)
    except (parcel.Unfit, OSError, tarfile.TarError) as reason:
        complain(str(reason), 1)
    os._exit(0)


def complain(sentence: str, status: int) -> NoReturn:
    """End the command with a line where its own errors go."""
    with contextlib.suppress(OSError):
        os.write(2, f"virtsec: {sentence}\r\n".encode("utf-8", "backslashreplace"))
    os._exit(status)
