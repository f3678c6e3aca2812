"""What commands that work on the host begin with, and how they go through several names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from virtsec.cli.output import Output, clean, error_document
from virtsec.errors import VirtsecError

if TYPE_CHECKING:
    from virtsec.step import Host, Step, Watcher

_Result = TypeVar("_Result")


def open_host(output: Output) -> Host:
    """The host, with progress on standard error; says so loudly when nothing is enforced."""
    from virtsec.cli.progress import progress_for  # noqa: PLC0415  (slow imports)
    from virtsec.commands import host as hosts  # noqa: PLC0415
    from virtsec.mac.protocol import Enforcement  # noqa: PLC0415

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
    """Tells of each step when it begins, on standard error: some take minutes."""

    def watch(_index: int, step: Step) -> None:
        if not output.json:
            output.note(f"- {clean(step.describe())}")

    return watch


def each(
    output: Output,
    names: Sequence[str],
    act: Callable[[str], _Result],
    render: Callable[[_Result], None],
) -> int:
    """Do `act` for each of `names`, going on after a failure; the status of the worst."""
    from virtsec.commands.results import as_json  # noqa: PLC0415

    results: list[Any] = []
    errors: list[dict[str, Any]] = []
    worst = 0
    for name in dict.fromkeys(names):
        try:
            result = act(name)
        except VirtsecError as error:
            errors.append({"name": name, "error": error_document(error)})
            worst = max(worst, error.exit_status)
            if not output.json:
                output.error(error)
        else:
            results.append(as_json(result))
            if not output.json:
                render(result)
    output.show({"results": results, "errors": errors}, lambda: None)
    return worst
