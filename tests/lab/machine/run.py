"""The one way the laboratory runs a command of the host, and the one way it reports a failure."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import LabError

TAIL_LINES = 25

Word = str | os.PathLike[str]


def run(
    argv: Sequence[Word],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    text: str | None = None,
) -> str:
    """Run ``argv`` and return its standard output; ``text`` is its standard input.

    ``env`` is added to this process's environment. Raises LabError with the last lines of what
    the command said when it cannot be run or exits non-zero.
    """
    words = [os.fspath(word) for word in argv]
    process = subprocess.Popen(
        bound_to_us(words, "TERM"),
        cwd=cwd,
        # Output is read by us and by recipes: it must not change with the user's language.
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, error = process.communicate(text or "")
    except BaseException:
        # Not killed outright: what it is building is removed next, and it must be done with it.
        process.terminate()
        process.communicate()
        raise
    if process.returncode != 0:
        said = (out + error).splitlines()[-TAIL_LINES:]
        raise LabError(
            "\n    ".join([f"`{' '.join(words)}` exited with status {process.returncode}:", *said])
        )
    return out


def bound_to_us(argv: Sequence[str], name: str) -> list[str]:
    """Return ``argv`` as a command that gets signal ``name`` when this process dies, however."""
    return ["setpriv", f"--pdeathsig={name}", "--", *argv]
