"""Files and directories that setup puts on a host, and how it knows its own again."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from virtsec.errors import Failed, Refused
from virtsec.host.places import Places
from virtsec.kernel.rmdir import remove_empty
from virtsec.kernel.whole import write_whole
from virtsec.step import Host

#: First or second line of each text that setup installs: what makes it ours, in whatever version.
MARK = b"# Installed by 'virtsec setup'; 'virtsec setup --remove' takes it away.\n"


def marked(content: bytes) -> bytes:
    """`content` with `MARK`: after its first line where that names an interpreter."""
    if not content.startswith(b"#!"):
        return MARK + content
    shebang, rest = content.split(b"\n", 1)
    return shebang + b"\n" + MARK + rest


def compiled(source: bytes, path: Path) -> bytes:
    """What Python keeps of the module with this source at `path`: used while the source is that.

    PEP 552 has the header: the flags are for a hash that is checked. Of what follows only the first
    object is read, so there is room for `MARK`. In marshal's version 2 the same is always the same.
    """
    code = compile(source, str(path), "exec", dont_inherit=True, optimize=0)
    flags = (0b11).to_bytes(4, "little")
    header = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source)
    return header + marshal.dumps(code, 2) + MARK


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is now."""

    content: bytes
    mode: int  #: permission bits
    uid: int
    gid: int

    @property
    def ours(self) -> bool:
        """Whether setup, of this version or another, installed it."""
        return MARK in self.content


def find(path: Path) -> Found | None:
    """What is at `path`, or None; raises `Refused` for anything but a regular file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} is not a file that setup could replace.", _REMEDY) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{path} is not a file that setup could replace.", _REMEDY)
        return Found(file.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


_REMEDY = "Move it away, then run `virtsec setup` again."


def check_ancestors(path: Path, places: Places) -> None:
    """Raise `Refused` when others than the owner may replace what is at `path`.

    A root process will execute what is there, so every directory above it must be root's alone.
    """
    for directory in path.parents:
        if not directory.is_relative_to(places.prefix):
            return
        try:
            status = directory.stat()
        except FileNotFoundError:
            continue
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if status.st_uid != places.uid or (shared and not status.st_mode & stat.S_ISVTX):
            raise Refused(
                f"{directory}, which holds what root executes, can be written by others.",
                f"Make it root's alone: `chown root {directory}; chmod go-w {directory}`.",
            )


@dataclass(frozen=True, slots=True)
class InstallFile:
    """Put `content` at `target`, all at once or not at all."""

    target: Path
    content: bytes = field(repr=False)
    mode: int
    uid: int
    gid: int
    #: Where it is written before it is renamed; not in lxc.d, where libvirt would execute it.
    staging: Path
    before: Found | None = field(default=None, repr=False)  #: what is replaced

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"{'replace' if self.before else 'install'} {self.target}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        self._put(Found(self.content, self.mode, self.uid, self.gid))
        host.mac.restore([PurePosixPath(self.target)])

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        self.staging.unlink(missing_ok=True)
        if self.before is None:
            self.target.unlink(missing_ok=True)
        else:
            self._put(self.before)
            host.mac.restore([PurePosixPath(self.target)])

    def _put(self, wanted: Found) -> None:
        owner = wanted.uid, wanted.gid
        try:
            write_whole(self.target, wanted.content, self.staging, wanted.mode, owner)
        except OSError as error:
            raise Failed(
                f"{self.target} could not be written: {error.strerror}.",
                "Mend that, then run the command again.",
            ) from error


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Take away a file of ours."""

    target: Path
    before: Found = field(repr=False)
    #: It is libvirt's to execute: one that it has just chosen to must not go before it is read.
    between_starts: bool = False

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove {self.target}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        if self.between_starts:
            # libvirt answers about a domain only when it is not about to start it.
            host.libvirt.domains()
        try:
            self.target.unlink(missing_ok=True)
        except OSError as error:
            raise Failed(
                f"{self.target} could not be removed: {error.strerror}.",
                "Mend that, then run the command again.",
            ) from error

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if not self.target.exists():
            again = self.before
            staging = staging_of(self.target)
            InstallFile(
                self.target, again.content, again.mode, again.uid, again.gid, staging
            ).apply(host)


def staging_of(target: Path) -> Path:
    """Where a file is written before it is renamed to `target`: one directory further up."""
    return target.parent.parent / f".{target.name}.virtsec-new"


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory that is not there."""

    path: Path
    mode: int
    uid: int
    gid: int

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"make {self.path}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        try:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=self.mode)
            os.chown(self.path, self.uid, self.gid, follow_symlinks=False)
            self.path.chmod(self.mode)
        except OSError as error:
            raise Failed(
                f"{self.path} could not be made: {error.strerror}.",
                "Mend that, then run `virtsec setup` again.",
            ) from error
        host.mac.restore([PurePosixPath(self.path)])

    def undo(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.undo`."""
        remove_empty(self.path)  # what was put there meanwhile stays, and it


@dataclass(frozen=True, slots=True)
class ChangeMode:
    """Give a directory of ours the mode and owner it should have."""

    path: Path
    mode: int
    uid: int
    gid: int
    before: tuple[int, int, int]  #: mode, uid, gid

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"set the mode of {self.path} to {self.mode:04o}"

    def apply(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.apply`."""
        self._set(self.mode, self.uid, self.gid)

    def undo(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.undo`."""
        self._set(*self.before)

    def _set(self, mode: int, uid: int, gid: int) -> None:
        os.chown(self.path, uid, gid, follow_symlinks=False)
        self.path.chmod(mode)


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Take away a directory of ours that is empty by then."""

    path: Path
    mode: int
    uid: int
    gid: int

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove {self.path}, when it is empty"

    def apply(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.apply`."""
        try:
            remove_empty(self.path)  # what is there by then is somebody's, and stays
        except OSError as error:
            raise Failed(
                f"{self.path} could not be removed: {error.strerror}.",
                "Mend that, then run `virtsec setup --remove` again.",
            ) from error

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        MakeDirectory(self.path, self.mode, self.uid, self.gid).apply(host)
