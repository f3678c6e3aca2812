"""Running tar where it can do no harm, whatever the archive says.

The child has a mount namespace of its own in which everything is read-only; its working directory
is a mount of the tree that is attached nowhere, so neither `..` nor a link, absolute or not, leads
to anything it could write. For an unprivileged container it is in a user namespace that has the
container's ids and no others: owners, setuid bits and file capabilities are born shifted by the
kernel itself. All other privileges are given up before tar is executed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from virtsec.errors import HostNotReady
from virtsec.kernel import privilege, userns
from virtsec.kernel.mounts import make_all_read_only
from virtsec.rootfs.feed import CLEAN, end
from virtsec.spec import IdRange

#: What unpacking needs: owners, modes, set-id bits and file capabilities of any inode in the tree.
UNPACK = frozenset(
    {
        privilege.CAP_CHOWN,
        privilege.CAP_DAC_OVERRIDE,
        privilege.CAP_FOWNER,
        privilege.CAP_FSETID,
        privilege.CAP_SETFCAP,
    }
)
#: What reading a tree needs.
READ = frozenset({privilege.CAP_DAC_READ_SEARCH})

_KEPT_ERRORS = 16384
_ROOM = 1 << 20  #: bytes that tar may write before it has to wait
_PAUSE = 100  #: milliseconds


@dataclass(frozen=True, slots=True)
class Place:
    """Where tar runs: the tree's detached mount, whose ids it has, and what it may do."""

    tree: int
    ids: IdRange | None
    capabilities: Collection[int]
    birth: Callable[[], None] | None = None  #: run first, with all privileges still there


@contextmanager
def confined(
    words: Sequence[str],
    place: Place,
    stdin: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """tar running in `place`, its output piped; ended when the block is left.

    Raises `HostNotReady` when the kernel does not give the namespaces.
    """
    namespace = (
        nullcontext(None)
        if place.ids is None
        else userns.user_namespace(place.ids.start, place.ids.count)
    )
    try:
        with namespace as ids:
            process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(CLEAN),
                umask=0o022,
                preexec_fn=lambda: _enter(place, ids),  # noqa: PLW1509 - system calls only
            )
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error).removesuffix(".")  # Python's own is a sentence
        raise HostNotReady(
            f"The kernel does not give tar a place of its own to unpack in: {why}.",
            "Check that /proc/sys/user/max_user_namespaces and max_mnt_namespaces are not 0.",
        ) from error
    try:
        yield process
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        end(process)


def _enter(place: Place, namespace: int | None) -> None:
    """Between fork and exec, in the child."""
    if place.birth is not None:
        place.birth()
    if namespace is not None:
        userns.enter(namespace, userns.CLONE_NEWUSER)
    userns.unshare(userns.CLONE_NEWNS)
    make_all_read_only()
    os.fchdir(place.tree)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    privilege.keep_only(place.capabilities)
    privilege.die_with_parent(signal.SIGKILL)


def follow(process: subprocess.Popen[bytes], line: Callable[[int], None]) -> str:
    """Wait for `process`; `line` is told how many lines more it wrote.

    Returns what it wrote to its standard error, up to 16 KiB. The lines are looked at now and then:
    waking up for each would take as long as what tar does for it.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    said, complained = process.stdout.fileno(), process.stderr.fileno()
    os.set_blocking(said, False)
    with suppress(OSError):  # more than this user may have; what is full makes tar wait a little
        fcntl.fcntl(said, fcntl.F_SETPIPE_SZ, _ROOM)
    errors = bytearray()
    waiting = select.poll()
    waiting.register(said, 0)  # told of its end only
    waiting.register(complained, select.POLLIN)
    there = {said, complained}
    while there:
        ready = {descriptor for descriptor, _ in waiting.poll(_PAUSE)}
        for descriptor in there & {said, *ready}:
            try:
                data = os.read(descriptor, _ROOM)
            except BlockingIOError:
                continue
            if not data:
                waiting.unregister(descriptor)
                there.discard(descriptor)
            elif descriptor == said:
                line(data.count(b"\n"))
            elif len(errors) < _KEPT_ERRORS:
                errors += data
    process.wait()
    return errors.decode("utf-8", "replace")


def is_full(complaint: str) -> bool:
    """Whether tar's words say that there was no room; pure. Half a block written means it too."""
    said = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), ": Wrote only ")
    return any(words in complaint for words in said)
