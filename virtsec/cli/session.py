"""What commands that work on the host begin with, and how they go through several names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from virtsec.cli.output import Output, clean, error_document, notes
from virtsec.errors import VirtsecError

if TYPE_CHECKING:
    from virtsec.step import Host, Step, Watcher

_Result = TypeVar("_Result")


def open_host(output: Output) -> Host:
    """The host, with progress on standard error; says so loudly when nothing is enforced."""
    from virtsec import Enforcement  # noqa: PLC0415
    from virtsec.cli.progress import progress_for  # noqa: PLC0415  (slow imports)
    from virtsec.commands import host as hosts  # noqa: PLC0415

    host = hosts.open_host(progress_for(output))
    if host.mac.enforcement() is Enforcement.PERMISSIVE:
        output.warn(
            f"{module_name(host)} is permissive: it refuses nothing, and no container is confined."
        )
    return host


def module_name(host: Host) -> str:
    """The security module as people write it."""
    return {"selinux": "SELinux", "smack": "Smack"}.get(host.mac.model, host.mac.model)


def watcher(output: Output) -> Watcher:
    """Tells of each step when it begins, on standard error: some take minutes.

    Of what several processes do at once a terminal has a bar for the whole.
    """
    here = os.getpid()
    bars = sys.stderr.isatty()

    def watch(_index: int, step: Step) -> None:
        if not output.json and (os.getpid() == here or not bars):
            output.note(f"- {clean(step.describe())}")

    return watch


def each(
    output: Output,
    names: Sequence[str],
    act: Callable[[str], _Result],
    render: Callable[[_Result], None],
) -> int:
    """Do `act` for each of `names`, going on after a failure; the status of the worst."""

    def attempt(name: str) -> _Result | VirtsecError:
        try:
            return act(name)
        except VirtsecError as error:
            return error

    return tell(output, ((name, attempt(name)) for name in dict.fromkeys(names)), render)


def tell(
    output: Output,
    outcomes: Iterable[tuple[str, _Result | VirtsecError]],
    render: Callable[[_Result], None],
) -> int:
    """Say what became of each name, as soon as it is known; the status of the worst.

    What ends this early, such as Ctrl-C, has notes on what was done before.
    """
    from virtsec.commands.results import as_json  # noqa: PLC0415

    results: list[Any] = []
    errors: list[dict[str, Any]] = []
    told: list[VirtsecError] = []
    done: list[str] = []
    try:
        for name, outcome in outcomes:
            if isinstance(outcome, VirtsecError):
                errors.append({"name": name, "error": error_document(outcome)})
                # What was attempted for all at once failed once.
                if not output.json and outcome not in told:
                    output.error(outcome)
                told.append(outcome)
            else:
                done.append(name)
                results.append(as_json(outcome))
                if not output.json:
                    render(outcome)
    except KeyboardInterrupt as error:
        before = [f"What was asked for was done with {name}." for name in done]
        if output.json:  # else it was told when it failed
            before += [f"{each['name']}: {each['error']['sentence']}" for each in errors]
        for note in dict.fromkeys([*before, *(note for each in told for note in notes(each))]):
            error.add_note(note)
        raise
    output.show({"results": results, "errors": errors}, lambda: None)
    return max((error.exit_status for error in told), default=0)
