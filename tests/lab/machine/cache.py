"""A content-addressed cache: what takes long to make is kept under the hash of what went in.

Layout: ``ROOT/KIND/KEY/`` is one finished entry, a directory that is never changed again.
It is built in ``ROOT/KIND/.building-XXXX/`` and renamed, so an interrupted build leaves nothing
that could be taken for finished. ``ROOT/KIND/.lock`` lets one process build at a time.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEY_DIGITS = 20


def digest(*parts: str | bytes | Path) -> str:
    """Return a short hexadecimal key for ``parts``; a Path stands for its content.

    A directory stands for the names, execute bits and contents of all files in it.
    """
    total = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            # The length first, so that ("ab", "c") and ("a", "bc") differ.
            total.update(f"{len(piece)}:".encode())
            total.update(piece)
    return total.hexdigest()[:KEY_DIGITS]


def _pieces(part: str | bytes | Path) -> Iterator[bytes]:
    if isinstance(part, bytes):
        yield part
    elif isinstance(part, str):
        yield part.encode()
    elif part.is_dir():
        for path in sorted(path for path in part.rglob("*") if path.is_file()):
            if "__pycache__" in path.parts:
                continue
            yield os.fsencode(path.relative_to(part))
            yield b"x" if path.stat().st_mode & 0o100 else b"-"
            yield path.read_bytes()
    else:
        yield part.read_bytes()


class Cache:
    """The cache at ``$XDG_CACHE_HOME/virtsec-lab``, or at ``root``."""

    def __init__(self, root: Path | None = None) -> None:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.root = root or Path(base) / "virtsec-lab"
        # Open directories of the entries in use: their locks last as long as this process.
        self._used: list[int] = []

    def entry(self, kind: str, key: str, build: Callable[[Path], None], *, keep: int = 2) -> Path:
        """Return the directory of entry ``key``, calling ``build(empty directory)`` if need be.

        Of all entries of ``kind`` the ``keep`` last used stay, and those that some process uses.
        """
        home = self.root / kind
        final = home / key
        if not self._take(final):
            home.mkdir(parents=True, exist_ok=True)
            with locked(home / ".lock"):
                if not self._take(final):
                    self._build(home, final, build)
                    self._take(final)
                self._prune(home, keep)
        return final

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a directory on the cache's own file system that is gone afterwards."""
        home = self.root / "scratch"
        home.mkdir(parents=True, exist_ok=True)
        with locked(home / ".lock"):
            # A run that was killed could not clean up behind itself.
            for left in home.iterdir():
                if left.is_dir() and _unused(left):
                    shutil.rmtree(left, ignore_errors=True)
            path = Path(tempfile.mkdtemp(dir=home))
            mine = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(mine, fcntl.LOCK_SH)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(mine)

    def _build(self, home: Path, final: Path, build: Callable[[Path], None]) -> None:
        for left in home.glob(".building-*"):
            # The lock is ours, so whoever made this was interrupted.
            shutil.rmtree(left, ignore_errors=True)
        beside = Path(tempfile.mkdtemp(prefix=".building-", dir=home))
        try:
            build(beside)
            # Names must not outlive a power cut that contents did not survive.
            os.sync()
            beside.chmod(0o755)
            beside.rename(final)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _take(self, entry: Path) -> bool:
        """Mark ``entry`` as used, now and until this process ends; False if there is none."""
        try:
            handle = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        fcntl.flock(handle, fcntl.LOCK_SH)
        if not entry.exists():
            # It was pruned between the two calls.
            os.close(handle)
            return False
        os.utime(entry)
        self._used.append(handle)
        return True

    @staticmethod
    def _prune(home: Path, keep: int) -> None:
        entries = [path for path in home.iterdir() if not path.name.startswith(".")]
        entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for old in entries[keep:]:
            if _unused(old):
                shutil.rmtree(old, ignore_errors=True)


def _unused(entry: Path) -> bool:
    """Tell whether no process holds the lock of directory ``entry``."""
    handle = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on file ``path``, which is made if it is not there."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
