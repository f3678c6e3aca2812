"""What the command line says, and where: results on standard output, everything else on error.

With `--json` standard output is one JSON document whatever happens, a result or
`{"error": …}`; warnings and progress stay on standard error.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from virtsec.errors import VirtsecError

_YELLOW, _RED, _BOLD, _PLAIN = "\x1b[33m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
#: Columns where there is no terminal: as wide as needed.
ENDLESS = 10_000


def clean(text: str) -> str:
    """`text` with what a terminal would obey made visible; names of others' domains are theirs."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, one: str, several: str) -> str:
    """So many of something: `1 way`, `2 ways`."""
    return f"{number} {one if number == 1 else several}"


class Output:
    """Both streams of one run of the command line."""

    def __init__(self) -> None:
        self.json = False  #: whether results are JSON
        self.shown = False  #: whether there is a document, and there is to be one
        self.lost: OSError | None = None  #: why standard output could not be written

    def show(
        self, document: dict[str, Any] | Callable[[], dict[str, Any]], render: Callable[[], None]
    ) -> None:
        """Print a result: `document` as JSON, else whatever `render` says.

        A document that takes long to make is made only then.
        """
        if self.json:
            import json  # noqa: PLC0415  (slow to import)

            made = document() if callable(document) else document
            self.shown = True
            self._write(sys.stdout, json.dumps(made, indent=2) + "\n")
        else:
            render()

    def say(self, text: str = "") -> None:
        """A line for people, part of a result."""
        if not self.json:
            self._write(sys.stdout, f"{text}\n")

    def pass_on(self, text: str) -> None:
        """What a container wrote, in lines; of what a terminal would obey only those are left."""
        self._write(sys.stdout, "".join(c if c in "\n\t" else clean(c) for c in text))

    def note(self, text: str) -> None:
        """A line on how it is going, on standard error."""
        self._write(sys.stderr, f"{text}\n")

    def warn(self, text: str) -> None:
        """A line nobody should miss."""
        self._write(sys.stderr, f"{coloured(sys.stderr, _YELLOW, f'warning: {text}')}\n")

    def error(self, error: VirtsecError) -> None:
        """What went wrong, for people."""
        lines = [f"{coloured(sys.stderr, _RED, 'error:')} {clean(error.sentence)}"]
        lines += [clean(line) for line in (error.remedy, *notes(error)) if line]
        self._write(sys.stderr, "\n".join(lines) + "\n")

    def console(self) -> Console:
        """For tables: as wide as the terminal, and as wide as needed where there is none."""
        from rich.console import Console  # noqa: PLC0415  (slow to import)

        terminal = sys.stdout.isatty()
        return Console(
            width=None if terminal else ENDLESS,
            force_terminal=terminal,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def width(self) -> int:
        """How long a line of a table may be."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else ENDLESS

    def bold(self, text: str) -> str:
        """The head of a table."""
        return coloured(sys.stdout, _BOLD, text)

    def render(self, thing: object) -> None:
        """Print what rich can render, without blanks at the ends of lines."""
        console = self.console()
        with console.capture() as captured:
            console.print(thing)
        text = "\n".join(line.rstrip() for line in captured.get().splitlines())
        if sys.stdout.encoding == "ascii":
            text = text.replace("…", "...")
        self._write(sys.stdout, f"{text}\n")

    def flush(self) -> None:
        """Write what is left; afterwards `lost` is known."""
        self._write(sys.stdout, "", flush=True)

    def _write(self, stream: TextIO, text: str, flush: bool = False) -> None:
        """Write; a reader that went away must not interrupt work that is being done."""
        if stream is sys.stdout and self.lost is not None:
            return
        try:
            stream.write(text)
            if flush:
                stream.flush()
        except OSError as error:
            if stream is sys.stdout:
                self.lost = error
                # Python flushes once more at exit, and would complain once more.
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def notes(error: BaseException) -> list[str]:
    """What was added to `error` on its way, such as what could not be undone."""
    return list(getattr(error, "__notes__", ()))


def error_document(error: VirtsecError) -> dict[str, Any]:
    """`error` as the object under the key `error`."""
    return {
        "sentence": error.sentence,
        "remedy": error.remedy,
        "status": error.exit_status,
        "notes": notes(error),
    }


def coloured(stream: TextIO, colour: str, text: str) -> str:
    """`text` in `colour` where `stream` is a terminal that wants colours (no-color.org)."""
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"{colour}{text}{_PLAIN}" if wanted else text
