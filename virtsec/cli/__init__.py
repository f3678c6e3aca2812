"""The command line: the only part of virtsec that prints and exits."""

from __future__ import annotations


def main() -> None:
    """Run `virtsec` with the words it was called with, and exit with its status."""
    import sys  # noqa: PLC0415

    from virtsec.cli.run import run  # noqa: PLC0415

    sys.exit(run(sys.argv[1:]))
