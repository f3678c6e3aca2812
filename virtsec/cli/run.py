"""One run of the command line: words in, exit status out.

====== =======================================================================
status meaning
====== =======================================================================
0      done
1      it was attempted and failed; nothing was left behind
2      what was asked for makes no sense, or the words could not be read
3      refused: it would weaken confinement, or touch what runs or is not ours
130    interrupted from the keyboard (143 by SIGTERM, 129 by SIGHUP)
====== =======================================================================
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence

import typer

from virtsec.cli.app import app_for
from virtsec.cli.interrupt import Interrupted, signals_interrupt
from virtsec.cli.output import Output, error_document, notes
from virtsec.errors import BadInput, Failed, VirtsecError

#: Base of all of typer's complaints about words. Its own base class moved when typer 0.2x took
#: click in; this is it in every version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def run(words: Sequence[str]) -> int:
    """Do what `words` say and return the exit status."""
    _open_streams()
    _prepare_streams()
    output = Output()
    with signals_interrupt():
        status = _run(words, output)
    output.flush()
    if output.lost is not None and output.lost.errno != errno.EPIPE:
        output.error(
            Failed(
                f"The output could not be written: {output.lost.strerror}.",
                "What was to be done was.",
            )
        )
        return status or Failed.exit_status
    return status


def _run(words: Sequence[str], output: Output) -> int:
    try:
        app = app_for(words)
        return app(list(words), prog_name="virtsec", standalone_mode=False, obj=output) or 0
    except VirtsecError as error:
        return _tell(error, output)
    except _UsageError as error:
        output.json = output.json or "--json" in words
        return _tell(_usage(error), output)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        failed = Failed(f"The system refused: {what}.")
        for note in notes(error):
            failed.add_note(note)
        return _tell(failed, output)
    except Interrupted as error:
        return _tell_interrupted(error, output)


def _tell(error: VirtsecError, output: Output) -> int:
    if output.json and not output.shown:
        output.show({"error": error_document(error)}, lambda: None)
    else:
        output.error(error)
    return error.exit_status


def _tell_interrupted(error: Interrupted, output: Output) -> int:
    status = 128 + error.number
    said = "interrupted" if error.left else "interrupted; nothing was left behind"
    if output.json and not output.shown:
        document = {"sentence": f"It was {said}.", "remedy": "", "status": status}
        output.show({"error": {**document, "notes": error.left}}, lambda: None)
    else:
        for line in (said, *error.left):
            output.note(line)
    return status


def _usage(error: Exception) -> BadInput:
    """typer's complaint in our words."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "virtsec"
    missing = re.match(r"Missing argument '(.+)'", message)
    if missing:
        message = f"`{command}` needs {missing[1].rstrip('.')}."
    return BadInput(
        message if message.endswith((".", "?")) else f"{message}.", f"See `{command} --help`."
    )


def _open_streams() -> None:
    """Have those that are closed: else what is opened next would be taken for one of them."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)  # the lowest that is free is the stream's own
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if flags == os.O_RDONLY else "w"))


def _prepare_streams() -> None:
    """Have nothing fail for a character: the C locale gets ASCII, others what they can show."""
    name = next((os.environ[v] for v in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(v)), "C")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            encoding = "ascii" if name in {"C", "POSIX"} else None
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
