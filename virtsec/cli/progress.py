"""How long steps are going: a bar on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from virtsec.cli.output import Output
    from virtsec.step import Progress


def progress_for(output: Output) -> Progress:
    """What suits standard error, where progress goes."""
    from virtsec.step import Silent  # noqa: PLC0415  (slow to import)

    if sys.stderr.isatty():
        return Bar()
    return Silent() if output.json else Lines(output)


class Lines:
    """A line when a stage that counts ends, such as `label /srv/vs1: 12345 done`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._what = ""
        self._done = 0

    def begin(self, what: str, total: int | None) -> None:  # noqa: ARG002
        """See `Progress.begin`."""
        self._what, self._done = what, 0

    def advance(self, items: int = 1) -> None:
        """See `Progress.advance`."""
        self._done += items

    def end(self) -> None:
        """See `Progress.end`."""
        if self._done:  # the step itself was told when it began
            self._output.note(f"  {self._what}: {self._done} done")


class Bar:
    """A bar on the terminal that goes away when the stage ends."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  (slow to import)
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as RichProgress  # noqa: PLC0415

        self._columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._make = RichProgress
        self._shown: RichProgress | None = None
        self._waiting = 0
        self._grain = 1  #: items between two updates of the bar; a tree has a hundred thousand

    def begin(self, what: str, total: int | None) -> None:
        """See `Progress.begin`."""
        self._waiting = 0
        self._grain = 256 if total is None else max(1, total // 200)
        self._shown = self._make(
            *self._columns, console=self._console, transient=True, refresh_per_second=5
        )
        self._shown.start()
        self._shown.add_task(what, total=total)

    def advance(self, items: int = 1) -> None:
        """See `Progress.advance`."""
        self._waiting += items
        if self._waiting >= self._grain:
            self._update()

    def end(self) -> None:
        """See `Progress.end`."""
        if self._shown is not None:
            self._update()
            self._shown.stop()
            self._shown = None

    def _update(self) -> None:
        if self._shown is not None:
            self._shown.advance(self._shown.task_ids[0], self._waiting)
        self._waiting = 0
