"""Steps and their execution: the last stage of spec, plan, apply.

A plan is a list of small steps, each frozen data that can say what it is about to do, do it, and
undo it. `execute` applies them in order; when one fails, or the user interrupts, those already done
are undone in reverse, so a failed command leaves the host as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from virtsec.host.systemd import Systemd
from virtsec.kernel.signals import ENDING, cut_off_once

if TYPE_CHECKING:
    from virtsec.domain.connection import Libvirt
    from virtsec.mac.protocol import MacModule


class Progress(Protocol):
    """What long steps report to; the CLI shows a bar, tests record."""

    def begin(self, what: str, total: int | None) -> None:
        """A piece of work named `what` starts; `total` items where that is known."""

    def advance(self, items: int = 1) -> None:
        """So many more items of it are done."""

    def end(self) -> None:
        """It is over, well or not."""


class Silent:
    """Progress that nobody looks at."""

    def begin(self, what: str, total: int | None) -> None:
        """See `Progress.begin`."""

    def advance(self, items: int = 1) -> None:
        """See `Progress.advance`."""

    def end(self) -> None:
        """See `Progress.end`."""


@contextmanager
def shown(
    progress: Progress, what: str, total: int | None = None
) -> Iterator[Callable[[int], None]]:
    """A piece of work that `progress` shows from begin to end, whatever happens."""
    progress.begin(what, total)
    try:
        yield progress.advance
    finally:
        progress.end()


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """The edges steps act through."""

    libvirt: Libvirt
    mac: MacModule
    progress: Progress = dataclasses.field(default_factory=Silent)
    systemd: Systemd = dataclasses.field(default_factory=Systemd)


@runtime_checkable
class Step(Protocol):
    """One change of the host. Implementations are frozen dataclasses.

    `apply` may be run again after it was interrupted half way and then ends in the same state;
    `undo` may be run after an `apply` that failed half way.
    """

    def describe(self) -> str:
        """What it does, in the imperative: `label /var/lib/virtsec/vs1/rootfs`."""

    def apply(self, host: Host) -> None:
        """Do it. Raises `VirtsecError`."""

    def undo(self, host: Host) -> None:
        """Take it back; whatever was there before `apply` stays."""


#: Called before each step with (index, step); tests inject faults here.
Watcher = Callable[[int, Step], None]


def execute(steps: Sequence[Step], host: Host, watch: Watcher | None = None) -> None:
    """Apply `steps` in order; on any failure undo what was begun, last first, and re-raise.

    What cannot be undone is a note on what is raised, and the others are undone. Signals that ask
    the process to end wait until that is over.
    """
    begun: list[Step] = []
    with cut_off_once(ENDING) as hold:
        try:
            try:
                for index, step in enumerate(steps):
                    if watch is not None:
                        watch(index, step)
                    begun.append(step)
                    step.apply(host)
            except BaseException:
                hold()  # one that comes before this is raised here, and nothing after it
                raise
        except BaseException as error:
            for step in reversed(begun):
                _undo(step, host, error)
            raise


def _undo(step: Step, host: Host, error: BaseException) -> None:
    try:
        step.undo(host)
    except BaseException as left:
        error.add_note(f"Could not undo '{step.describe()}': {str(left) or type(left).__name__}")


def as_json(step: Step) -> dict[str, Any]:
    """A step as the documented object `{"step": NAME, "does": SENTENCE}`."""
    return {"step": type(step).__name__, "does": step.describe()}
