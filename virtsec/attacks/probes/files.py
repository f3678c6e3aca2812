"""Files of the host and of another container, reached by a descriptor that leaked.

The descriptor is what an escape is about: a directory of the other side, held by a process inside
(CVE-2024-21626, CVE-2019-5736). Modes are open to everybody and the owner is the container's own
root, so that no file mode stands before the label.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable

from virtsec.attacks.probe import Aim, Group, Position, Targets, permitted, tried
from virtsec.attacks.probes import calls

_LEAK = "CVE-2024-21626"
_SMACK, _SELINUX = "security.SMACK64", "security.selinux"
_READ = os.O_RDONLY | os.O_CLOEXEC


def _read(aim: Aim, targets: Targets) -> str:
    del targets
    return _content(os.open("key", _READ, dir_fd=aim.tree), aim)


def _content(descriptor: int, aim: Aim) -> str:
    if os.read(descriptor, len(aim.secret)).decode() != aim.secret:
        raise OSError(errno.ENOMSG, "something else is there")
    return "read what only it knows"


def _write(aim: Aim, targets: Targets) -> str:
    del targets
    descriptor = os.open("key", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, dir_fd=aim.tree)
    os.write(descriptor, b"owned\n")
    return "wrote to it"


def _truncate(aim: Aim, targets: Targets) -> str:
    del targets
    os.truncate(f"/proc/self/fd/{aim.tree}/spare", 1)
    return "cut it short"


def _execute(aim: Aim, targets: Targets) -> str:
    del targets
    program = os.open("program", os.O_PATH | os.O_CLOEXEC, dir_fd=aim.tree)
    # It is no program: what says so has been permitted to execute it.
    return permitted(lambda: calls.execute(program), errno.ENOEXEC)


def _map(aim: Aim, targets: Targets) -> str:
    del targets
    program = os.open("program", _READ, dir_fd=aim.tree)
    mmap.mmap(program, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
    return "mapped it to run code from"


def _list(aim: Aim, targets: Targets) -> str:
    del targets
    directory = os.open(".", _READ | os.O_DIRECTORY, dir_fd=aim.tree)
    return f"saw {len(os.listdir(directory))} names"  # noqa: PTH208  (a descriptor)


def _create(aim: Aim, targets: Targets) -> str:
    del targets
    os.open("planted", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=aim.tree)
    return "made a file there"


def _link(aim: Aim, targets: Targets) -> str:
    del targets
    os.link("key", "linked", src_dir_fd=aim.tree, dst_dir_fd=aim.tree)
    return "gave it a second name"


def _symlink(aim: Aim, targets: Targets) -> str:
    del targets
    os.symlink("/etc/shadow", "pointer", dir_fd=aim.tree)
    return "made a link there"


def _rename(aim: Aim, targets: Targets) -> str:
    del targets
    os.rename("moved", "gone", src_dir_fd=aim.tree, dst_dir_fd=aim.tree)
    return "renamed it"


def _unlink(aim: Aim, targets: Targets) -> str:
    del targets
    os.unlink("deleted", dir_fd=aim.tree)
    return "deleted it"


def _chmod(aim: Aim, targets: Targets) -> str:
    del targets
    os.chmod("program", 0o4777, dir_fd=aim.tree)  # noqa: S103
    return "made it set-user-id"


def _xattr(aim: Aim, targets: Targets) -> str:
    del targets
    os.setxattr(f"/proc/self/fd/{aim.tree}/spare", "trusted.virtsec", b"x")
    return "set an attribute of the host's root"


def _relabel(aim: Aim, targets: Targets) -> str:
    name = _SMACK if targets.model == "smack" else _SELINUX
    os.setxattr(f"/proc/self/fd/{aim.tree}/spare", name, targets.own_label.encode())
    return f"gave it the label {targets.own_label}"


def _handle(aim: Aim, targets: Targets) -> str:
    del targets
    return _content(calls.open_handle(aim.mount, aim.handle), aim)


def _proc_root(aim: Aim, targets: Targets) -> str:
    del targets
    os.open("root/.", _READ | os.O_DIRECTORY, dir_fd=aim.proc)  # which every root has
    return "opened its root directory"


def _proc_cwd(aim: Aim, targets: Targets) -> str:
    del targets
    os.open("cwd/.", _READ | os.O_DIRECTORY, dir_fd=aim.proc)
    return "opened its working directory"


def _proc_fd(aim: Aim, targets: Targets) -> str:
    del targets
    return _content(os.open(f"fd/{aim.descriptor}", _READ, dir_fd=aim.proc), aim)


def _proc_exe(aim: Aim, targets: Targets) -> str:
    del targets
    os.open("exe", _READ, dir_fd=aim.proc)
    return "opened the program it runs"


#: id, what it tries to do to `{it}`, where to read of it, attack
_TRIED: tuple[tuple[str, str, str, Callable[[Aim, Targets], str]], ...] = (
    ("read", "read a key of {who}", "article: protecting the host", _read),
    ("write", "write to a key of {who}", "article: protecting the host", _write),
    ("truncate", "cut short a file of {who}", "truncate(2)", _truncate),
    ("exec", "execute a program of {who}", "CVE-2019-5736", _execute),
    ("map", "map a program of {who} to run its code", "mmap(2)", _map),
    ("list", "list a directory of {who}", _LEAK, _list),
    ("create", "make a file in a directory of {who}", _LEAK, _create),
    ("link", "give a file of {who} another name", "protected_hardlinks, proc_sys_fs(5)", _link),
    ("symlink", "plant a link in a directory of {who}", "CVE-2018-15664", _symlink),
    ("rename", "rename a file of {who}", "rename(2)", _rename),
    ("unlink", "delete a file of {who}", "unlink(2)", _unlink),
    ("chmod", "make a program of {who} set-user-id", "chmod(2)", _chmod),
    ("xattr", "set an attribute of a file of {who}", "xattr(7)", _xattr),
    ("relabel", "give a file of {who} the own label", "xattr(7)", _relabel),
    ("handle", "open a key of {who} by its file handle", "open_by_handle_at(2), shocker", _handle),
    ("proc-root", "walk through /proc/PID/root of a task of {who}", "proc(5)", _proc_root),
    ("proc-cwd", "walk through /proc/PID/cwd of a task of {who}", "proc(5)", _proc_cwd),
    ("proc-fd", "open what a task of {who} has open", "proc(5)", _proc_fd),
    ("proc-exe", "open the program of a task of {who}", "CVE-2019-5736", _proc_exe),
)


_AT = [(name, words, see, Position.INSIDE, attack) for name, words, see, attack in _TRIED]

GROUPS = (
    tried(Group("files of the host", "The host's key files are protected."), "file-", _AT, True),
    tried(
        Group("files of containers", "One container cannot reach another's files."),
        "file-",
        _AT,
        False,
    ),
)
