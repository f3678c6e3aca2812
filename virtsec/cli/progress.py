"""How long steps are going: a bar on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from virtsec.cli.output import Output
    from virtsec.step import Progress


def progress_for(output: Output) -> Progress:
    """What suits standard error, where progress goes."""
    from virtsec.step import Silent  # noqa: PLC0415  (slow to import)

    if sys.stderr.isatty():
        return Bar()
    return Silent() if output.json else Lines(output)


@dataclass(slots=True)
class _Stage:
    """A piece of work that is going on."""

    what: str
    grain: int = 1  #: items between two updates of a bar; a tree has a hundred thousand
    waiting: int = 0  #: items that are done and not told yet
    task: TaskID | None = None  #: of a bar


class Lines:
    """A line when a stage that counts ends, such as `label /srv/vs1: 12345 done`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._stages: list[_Stage] = []  #: each within the one before

    def begin(self, what: str, total: int | None) -> None:  # noqa: ARG002
        """See `Progress.begin`."""
        self._stages.append(_Stage(what))

    def advance(self, items: int = 1) -> None:
        """See `Progress.advance`. After the end, as of what is cut off, it is told to nobody."""
        if self._stages:
            self._stages[-1].waiting += items

    def end(self) -> None:
        """See `Progress.end`."""
        stage = self._stages.pop()
        if stage.waiting:  # the step itself was told when it began
            self._output.note(f"  {stage.what}: {stage.waiting} done")


class Bar:
    """A bar on the terminal for each stage that is going on; it goes away when the stage ends."""

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
        self._shown: RichProgress | None = None  #: all bars: a terminal has one such display
        self._stages: list[_Stage] = []  #: each within the one before

    def begin(self, what: str, total: int | None) -> None:
        """See `Progress.begin`."""
        grain = 256 if total is None else max(1, total // 200)
        if self._shown is None:
            self._shown = self._make(
                *self._columns, console=self._console, transient=True, refresh_per_second=5
            )
            self._shown.start()
        task = self._shown.add_task(what, total=total)
        self._stages.append(_Stage(what, grain, task=task))

    def advance(self, items: int = 1) -> None:
        """See `Lines.advance`."""
        if self._stages:
            stage = self._stages[-1]
            stage.waiting += items
            if stage.waiting >= stage.grain:
                self._update(stage)

    def end(self) -> None:
        """See `Progress.end`."""
        stage = self._stages.pop()
        self._update(stage)
        assert self._shown is not None
        assert stage.task is not None
        if self._stages:
            self._shown.remove_task(stage.task)
        else:
            self._shown.stop()
            self._shown = None

    def _update(self, stage: _Stage) -> None:
        assert self._shown is not None
        assert stage.task is not None
        self._shown.advance(stage.task, stage.waiting)
        stage.waiting = 0
