"""What starts again and again: the command line, the hook, the controller; against bare Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bench.paired import Row, by_turns

from virtsec.runtime.view import CGROUPS, group_of

TIMES = 15
BARE = ("/usr/bin/python3", "-I", "-S", "-c", "pass")
FOREIGN = """<domain type='lxc'><name>theirs</name><uuid>7c9b4a5e-0d5e-4c5c-8a54-3f1f7c2f7a11</uuid>
<memory>65536</memory><os><type>exe</type><init>/bin/sh</init></os></domain>"""
#: What the controller executes is this program instead, in a mount namespace of its own.
NOTHING = "/bin/true"
HIDDEN = ("/usr/bin/setpriv", "/usr/lib/libvirt/libvirt_lxc")


def runs(
    words: Sequence[str], stdin: str = "", environment: Mapping[str, str] | None = None
) -> None:
    """Run a program that has to succeed."""
    done = subprocess.run(
        words,
        input=stdin.encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{words} exited with {done.returncode}: {done.stderr.decode()}")


def command_line(*virtsec: str) -> Iterator[Row]:
    """Help and completion, of the program that the words `virtsec` run."""
    typer = (sys.executable, "-c", "import typer")
    completing = {
        "_VIRTSEC_COMPLETE": "complete_bash",
        "COMP_WORDS": "virtsec de",
        "COMP_CWORD": "1",
    }
    for work, words, environment in (
        ("virtsec --help", (*virtsec, "--help"), {}),
        ("completion of a command", virtsec, completing),
    ):
        ours, theirs = by_turns(
            TIMES, partial(runs, words, environment=environment), partial(runs, typer)
        )
        yield Row(work, "python3 -c 'import typer'", 1.3, ours, theirs)


def hook(path: str, name: str, xml: str) -> Iterator[Row]:
    """The hook before a start: of container `name` with this definition, and of a foreign one."""
    for work, limit, domain, text in (
        ("hook before a start of ours", 2.0, name, xml),
        ("hook before a foreign start", 1.3, "theirs", FOREIGN),
    ):
        words = (path, domain, "prepare", "begin", "-")
        ours, theirs = by_turns(TIMES, partial(runs, words, text), partial(runs, BARE))
        yield Row(work, "python3 -I -S -c pass", limit, ours, theirs)


def controller(path: str, name: str) -> Iterator[Row]:
    """The controller of container `name`, which does not run, up to its exec.

    Runs in a mount namespace of the caller's, where the programs in `HIDDEN` are `NOTHING`.
    """
    words = (path, "--name", name, "--security", SECURITY, "--handshakefds", "0:1")
    last = f"posix.execv({NOTHING!r}, [{NOTHING!r}])"
    bare = (*BARE[:-1], f"import posix; {last}")
    top = f"{CGROUPS}/{group_of(name)}"
    least = (*BARE[:-1], f"{LEAST.format(top=top)}{last}")
    ours, theirs, floor = by_turns(TIMES, *(partial(runs, each) for each in (words, bare, least)))
    against = "python3 -I -S -c, and exec"
    yield Row("controller until its exec", against, 1.5, ours, theirs, floor=floor)


#: What the controller asks of the kernel, whatever it decides: a group, namespaces, mounts.
LEAST = """
import _ctypes, posix
class F(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL
def call(name, *arguments):
    F(_ctypes.dlsym(_ctypes.dlopen(None, 0), name))(*arguments)
def enter(group):
    posix.write(posix.open(group + "/cgroup.procs", posix.O_WRONLY), b"0")
enter({top!r})
call("unshare", 0x02020000)
enter({top!r} + "/start")
call("mount", None, b"/", None, 0x84000, None)
call("umount2", b"/sys/fs/cgroup", 2)
call("mount", b"cgroup2", b"/sys/fs/cgroup", b"cgroup2", 0, None)
"""
SECURITY = "selinux" if os.path.exists("/sys/fs/selinux/enforce") else "none"
