"""Files and units that a security module needs on the host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from virtsec.errors import Failed, PolicyFailed
from virtsec.kernel.whole import write_whole

SYSTEMCTL = "/usr/bin/systemctl"


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` at `path`, all at once or not at all; raises `PolicyFailed`."""
    with failing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(errors="surrogateescape"), _staging(path), mode)


def remove(path: Path) -> None:
    """Have nothing at `path`, nor what a `replace` that was killed left; raises `PolicyFailed`."""
    with failing(path):
        path.unlink(missing_ok=True)
        _staging(path).unlink(missing_ok=True)


def _staging(path: Path) -> Path:
    # systemd passes over names that begin with a dot.
    return path.with_name(f".{path.name}.new")


@contextmanager
def failing(path: Path) -> Iterator[None]:
    """`OSError` within becomes `PolicyFailed`."""
    try:
        yield
    except OSError as error:
        raise PolicyFailed(
            f"{path} could not be written: {error.strerror}.",
            "Mend that, then run the command again.",
        ) from error


def read(path: Path) -> str | None:
    """What is in a file, UTF-8 or not; None when it is not there or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def active(unit: str) -> bool:
    """Whether a unit of systemd runs."""
    return call(SYSTEMCTL, "is-active", "--quiet", unit).returncode == 0


def run(*words: str) -> str:
    """What a program of the host's prints; raises `Failed` with what it said of its failure."""
    done = call(*words)
    if done.returncode:
        raise Failed(
            f"`{' '.join(words)}` failed: {done.stderr.strip()}",
            "See what `journalctl --boot --lines 50` says.",
        )
    return done.stdout


def call(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the host's to its end, however that is; raises `OSError` without it."""
    return subprocess.run(
        words,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
