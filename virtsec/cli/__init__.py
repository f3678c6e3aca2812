"""The command line: the only part of virtsec that prints and exits."""

import gc
import sys

#: New objects until Python looks for garbage among them: what is imported is none.
GARBAGE = 50_000


def main() -> None:
    """Run `virtsec` with the words it was called with, and exit with its status."""
    gc.set_threshold(GARBAGE)
    _import_typer()
    from virtsec.cli.run import run  # noqa: PLC0415  (imports typer)

    sys.exit(run(sys.argv[1:]))


def _import_typer() -> None:
    """Have typer find no rich, which it imports if it can, for help that is plain here.

    That is most of the time its import takes. What shows tables imports rich itself.
    """
    before = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]  # what Python documents for this
    try:
        import typer  # noqa: F401, PLC0415
    finally:
        del sys.modules["rich"]
        if before is not None:
            sys.modules["rich"] = before
