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
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            # Output is read by us and by recipes: it must not change with the user's language.
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            input=text or "",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{words[0]}: no such command on this host") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).splitlines()[-TAIL_LINES:]
        raise LabError(
            "\n    ".join([f"`{' '.join(words)}` exited with status {done.returncode}:", *said])
        )
    return done.stdout
