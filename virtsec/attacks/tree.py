"""Files to attack: a directory on a tmpfs that is mounted nowhere and ends with its descriptors."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from virtsec.attacks.probes import calls
from virtsec.kernel.mounts import detached_tmpfs
from virtsec.kernel.xattrs import held

_FILES = ("key", "program", "spare", "moved", "deleted")
_NO_PROGRAM = b"neither a program nor a script\n".ljust(4096, b"\n")


class Tree:
    """`key` and others with the attributes `marks`, of user `uid`, for everybody to use.

    Raises `OSError`.
    """

    def __init__(self, marks: Mapping[str, bytes], uid: int) -> None:
        self._marks = marks
        self.secret = secrets.token_hex(16)
        self._mount = detached_tmpfs()
        os.mkdir("tree", dir_fd=self._mount)
        self.descriptor = os.open("tree", os.O_PATH | os.O_CLOEXEC, dir_fd=self._mount)
        for name in _FILES:
            self._make(name, self.secret.encode() if name == "key" else _NO_PROGRAM)
        for path in (held(self._mount), self.path, *(f"{self.path}/{name}" for name in _FILES)):
            os.chown(path, uid, uid)
            Path(path).chmod(0o666 if path.endswith(("key", "spare")) else 0o777)
            for attribute, value in marks.items():
                os.setxattr(path, attribute, value)
        #: `key`'s file handle, as `virtsec.attacks.probes.calls` has it
        self.handle = calls.name_to_handle(self.descriptor, "key")
        self._before = self._state()

    @property
    def path(self) -> str:
        """The directory, for calls that take no descriptor."""
        return held(self.descriptor)

    def opened(self) -> int:
        """A descriptor that file handles can be opened by, which needs one open for reading."""
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _make(self, name: str, content: bytes) -> None:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        file = os.open(name, flags, 0o600, dir_fd=self.descriptor)
        with os.fdopen(file, "wb") as made:
            made.write(content)

    def mark(self, name: str) -> None:
        """Label what a process of ours made there since; it counts as there from the start."""
        for attribute, value in self._marks.items():
            try:
                os.setxattr(f"{self.path}/{name}", attribute, value)
            except OSError as error:
                if error.errno != errno.EINVAL:  # Smack labels the socket, and never its name
                    raise
        self._before = self._state()

    def seen(self) -> list[str]:
        """What has changed there since it was asked last, a phrase each."""
        now = self._state()
        names = sorted({*self._before, *now})
        changed = [name for name in names if self._before.get(name) != now.get(name)]
        self._before = now
        return [f"{name} {'changed' if name in now else 'is gone'}" for name in changed]

    def _state(self) -> dict[str, object]:
        return {name: self._of(name) for name in os.listdir(self.path)}  # noqa: PTH208

    def _of(self, name: str) -> object:
        path = f"{self.path}/{name}"
        status = os.lstat(path)
        names = os.listxattr(path, follow_symlinks=False)
        attributes = {each: os.getxattr(path, each, follow_symlinks=False) for each in names}
        content = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else b""
        return (status.st_mode, status.st_uid, status.st_nlink, content, attributes)

    def close(self) -> None:
        """Have it go, once nobody else holds it."""
        os.close(self.descriptor)
        os.close(self._mount)


class Nodes:
    """Copies of the host's device nodes: the same labels, modes open to all. Raises `OSError`."""

    def __init__(self, paths: Mapping[str, str], attributes: Collection[str]) -> None:
        mount = detached_tmpfs()
        self.descriptors: dict[str, int] = {}
        for name, path in paths.items():
            with suppress(FileNotFoundError):
                status = Path(path).stat()
                os.mknod(name, status.st_mode, status.st_rdev, dir_fd=mount)
                made = f"{held(mount)}/{name}"
                Path(made).chmod(0o666)
                for attribute in attributes:
                    with suppress(OSError):
                        os.setxattr(made, attribute, os.getxattr(path, attribute))
                self.descriptors[name] = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=mount)
        os.close(mount)

    def close(self) -> None:
        """Have them go."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
