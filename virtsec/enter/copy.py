"""`virtsec cp`: files into a running container and out of it, through the door.

Paths inside are resolved inside. What comes out is unpacked by tar where it can do no harm: into an
empty directory of root's own, beside where it will be, with nothing else writable (see
`virtsec.rootfs.confined`); only then it gets its name.
"""

from __future__ import annotations

import os
import select
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from virtsec.enter import door
from virtsec.enter.door import Target
from virtsec.enter.relay import Sink
from virtsec.errors import Failed, NotFound, Refused
from virtsec.kernel.mounts import detached_mount
from virtsec.kernel.privilege import CAP_DAC_OVERRIDE, CAP_FOWNER
from virtsec.rootfs.archive import TAR
from virtsec.rootfs.confined import Place, confined
from virtsec.rootfs.feed import CLEAN
from virtsec.runtime.parcel import CONTENTS, name_of

_PACK = (TAR, "--create", "--format=posix", "--file=-")
_UNPACK = (
    *(TAR, "--extract", "--no-same-owner", "--no-same-permissions", "--no-xattrs", "--no-acls"),
    *("--warning=no-timestamp", "--file=-"),
)
#: To go on in directories that the archive says nobody may write to.
_NEEDED = frozenset({CAP_DAC_OVERRIDE, CAP_FOWNER})
_CHUNK = 65536


def copy_in(target: Target, source: Path, path: str, user: str = "root") -> None:
    """Copy `source`, a file or a directory, to `path` inside, for `user`.

    Raises `NotFound` for a source that is not there, `Failed` when it could not be copied.
    """
    if not os.path.lexists(source):
        raise NotFound(f"There is no {source}.", "Name a file or a directory that is there.")
    name = name_of(str(source))
    parent = source if name == CONTENTS else source.parent
    words = (*_PACK, "--directory", str(parent), "--", name)
    pipe, env = subprocess.PIPE, dict(CLEAN)  # $TAR_OPTIONS are options of tar's
    with os.fdopen(os.memfd_create("errors"), "w+b") as errors:  # a pipe would be full some time
        with subprocess.Popen(words, stdout=pipe, stderr=errors, env=env) as tar:
            assert tar.stdout is not None
            why = door.unpack(target, path, name, user, tar.stdout.fileno())
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip().splitlines()
    if why or tar.returncode:
        why = why or (said or ["tar failed"])[-1].removeprefix(f"{TAR}: ")
        raise Failed(f"{source} was not copied: {why.rstrip('.')}.")


def copy_out(target: Target, path: str, destination: Path, user: str = "root") -> None:
    """Copy `path` inside, as `user` reads it, to `destination` on the host.

    Owned by root, without set-id bits, extended attributes or devices. Raises `NotFound` when
    there is no directory to put it in, `Refused` when something is there that is not a file to be
    replaced by a file, `Failed` when it could not be copied; nothing is left behind then.
    """
    name = name_of(path)
    final = destination / name if destination.is_dir() and name != CONTENTS else destination
    if not final.parent.is_dir():
        raise NotFound(f"There is no directory {final.parent}.", "Make it first.")
    beside = Path(tempfile.mkdtemp(prefix=".virtsec-cp-", dir=final.parent))
    try:
        _receive(target, path, user, beside)
        _take_off_set_id(beside)
        _put(beside if name == CONTENTS else beside / name, final)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _receive(target: Target, path: str, user: str, into: Path) -> None:
    reading, writing = os.pipe()
    tree = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with os.fdopen(reading, "rb", 0) as inlet, os.fdopen(writing, "wb", 0) as outlet:
        mount = detached_mount(tree)
        os.close(tree)
        try:
            with confined(_UNPACK, Place(mount, None, _NEEDED), inlet.fileno()) as tar:
                inlet.close()
                assert tar.stderr is not None
                heard = bytearray()
                try:
                    feed = _feeder(outlet.fileno(), tar.stderr.fileno(), heard)
                    why = door.pack(target, path, user, feed)
                except BrokenPipeError:
                    why = ""
                outlet.close()
                _, rest = tar.communicate()
        finally:
            os.close(mount)
    if why or tar.returncode:
        said = bytes(heard + rest).decode("utf-8", "replace").strip().splitlines()
        why = why or (said or ["tar failed"])[0].removeprefix(f"{TAR}: ")
        raise Failed(f"{path} was not copied: {why.rstrip('.')}.")


def _feeder(inlet: int, complaints: int, heard: bytearray) -> Sink:
    """Write all to a program, and hear what it complains of: with that pipe full it reads no more.

    Of complaints the first are kept, since the container says how many there are.
    """
    os.set_blocking(inlet, False)
    waiting = select.poll()
    waiting.register(inlet, select.POLLOUT)
    waiting.register(complaints, select.POLLIN)

    def feed(data: bytes) -> None:
        while data:
            ready = {descriptor for descriptor, _ in waiting.poll()}
            if complaints in ready:
                said = os.read(complaints, _CHUNK)
                if not said:
                    waiting.unregister(complaints)
                elif len(heard) < _CHUNK:
                    heard.extend(said)
            if inlet in ready:
                with suppress(BlockingIOError):
                    data = data[os.write(inlet, data) :]

    return feed


def _take_off_set_id(tree: Path) -> None:
    """Whoever is root inside is not to say whose rights a program of the host runs with."""
    for folder, _, files in os.walk(tree):
        for name in files:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & 0o777)


def _put(made: Path, final: Path) -> None:
    """Give what is complete its name; a file may replace a file."""
    if not os.path.lexists(made):
        raise Failed(
            f"{final} was not copied: the container sent something of another name.",
            "Look at what is there, by `virtsec shell`.",
        )
    directory = made.is_dir() and not made.is_symlink()
    if os.path.lexists(final):
        file = made.is_file() and not made.is_symlink() and final.is_file()
        empty = directory and final.is_dir() and not any(final.iterdir())
        if not file and not empty:
            raise Refused(f"{final} is there already.", "Move it away, or choose another name.")
    if directory:  # without set-id bits; what was private stays so
        made.chmod(made.stat().st_mode & 0o777)
    made.rename(final)
