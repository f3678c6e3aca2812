"""How long steps are going: a bar on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import sys
import threading
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


class _Stages:
    """All that is going on: of each thread what it began, since several make trees at once."""

    def __init__(self) -> None:
        self._of: dict[int, _Stage] = {}

    def begin(self, stage: _Stage) -> None:
        """This thread is at that."""
        self._of[threading.get_ident()] = stage

    def here(self) -> _Stage | None:
        """What this thread is at; where it began nothing, what it helps with is the latest."""
        found = self._of.get(threading.get_ident())
        return found or next(iter([*self._of.values()][-1:]), None)

    def end(self) -> _Stage | None:
        """What this thread was at; it is no more."""
        return self._of.pop(threading.get_ident(), None)


class Lines:
    """A line when a stage that counts ends, such as `label /srv/vs1: 12345 done`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._stages = _Stages()

    def begin(self, what: str, total: int | None) -> None:  # noqa: ARG002
        """See `Progress.begin`."""
        self._stages.begin(_Stage(what))

    def advance(self, items: int = 1) -> None:
        """See `Progress.advance`."""
        if stage := self._stages.here():
            stage.waiting += items

    def end(self) -> None:
        """See `Progress.end`."""
        stage = self._stages.end()
        if stage and stage.waiting:  # the step itself was told when it began
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
        self._lock = threading.Lock()
        self._shown: RichProgress | None = None  #: all bars: a terminal has one such display
        self._stages = _Stages()

    def begin(self, what: str, total: int | None) -> None:
        """See `Progress.begin`."""
        grain = 256 if total is None else max(1, total // 200)
        with self._lock:
            if self._shown is None:
                self._shown = self._make(
                    *self._columns, console=self._console, transient=True, refresh_per_second=5
                )
                self._shown.start()
            task = self._shown.add_task(what, total=total)
        self._stages.begin(_Stage(what, grain, task=task))

    def advance(self, items: int = 1) -> None:
        """See `Progress.advance`."""
        if stage := self._stages.here():
            stage.waiting += items
            if stage.waiting >= stage.grain:
                self._update(stage)

    def end(self) -> None:
        """See `Progress.end`."""
        stage = self._stages.end()
        if stage is None:
            return
        self._update(stage)
        with self._lock:
            if self._shown is None or stage.task is None:
                return
            if len(self._shown.task_ids) > 1:
                self._shown.remove_task(stage.task)
            else:
                self._shown.stop()
                self._shown = None

    def _update(self, stage: _Stage) -> None:
        if self._shown is not None and stage.task is not None:
            self._shown.advance(stage.task, stage.waiting)
        stage.waiting = 0
