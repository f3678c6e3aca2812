#!/usr/bin/python3
"""Write what the shells complete virtsec's words by, into a directory: completions.py DIRECTORY.

It is what `virtsec --show-completion SHELL` prints: the shell asks virtsec itself.
"""

import sys
from pathlib import Path

from typer.completion import get_completion_script

#: Shells, and the names under which they look for a command's completion.
NAMES = {"bash": "virtsec", "zsh": "_virtsec", "fish": "virtsec.fish"}
#: zsh reads the file when it first completes, and calls what is in it only from the second time on.
FIRST = {"zsh": '\n_virtsec_completion "$@"'}


def script(shell: str) -> str:
    """What `shell` reads."""
    text = get_completion_script(prog_name="virtsec", complete_var="_VIRTSEC_COMPLETE", shell=shell)
    return f"{text}{FIRST.get(shell, '')}\n"


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for shell, name in NAMES.items():
        (directory / name).write_text(script(shell))
