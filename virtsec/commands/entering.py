"""exec, shell, cp, console, logs: into a running container, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from virtsec.commands.find import find_ours
from virtsec.commands.host import open_host
from virtsec.commands.live import wait_for_init
from virtsec.domain.metadata import Container
from virtsec.enter import copy, door
from virtsec.enter.door import Command, Completed, Target
from virtsec.errors import Failed, Refused
from virtsec.rootfs.journal import Query, read_journal
from virtsec.runtime.confinement import started
from virtsec.step import Host

_VIRSH = "/usr/bin/virsh"


def run(name: str, command: Command, host: Host | None = None, content: bytes = b"") -> Completed:
    """Run a command inside container `name`, confined as all in it, with `content` as its input.

    Raises `Failed` when the container does not run or the command cannot be run, `Refused` when it
    runs without the label it is defined with, and `BadInput` for a command that is too long.
    """
    return door.run(target(name, host or open_host()), command, content)


def attach(name: str, command: Command, host: Host | None = None, *, terminal: bool) -> int:
    """Run a command inside container `name` on this process's own input and output.

    With `terminal` it gets one inside. Returns its exit status; raises as `run` does.
    """
    return door.attach(target(name, host or open_host()), command, terminal=terminal)


def copy_in(
    name: str, source: Path, path: str, host: Host | None = None, user: str = "root"
) -> None:
    """Copy `source` of the host to `path` inside container `name`, for `user`.

    Raises as `run` does, and `NotFound` for a source that is not there.
    """
    copy.copy_in(target(name, host or open_host()), source, path, user)


def copy_out(
    name: str, path: str, destination: Path, host: Host | None = None, user: str = "root"
) -> None:
    """Copy `path` inside container `name`, as `user` reads it, to `destination` on the host.

    Raises as `run` does, `NotFound` where there is no directory to put it in, and `Refused` where
    something is there that is not a file to be replaced by a file.
    """
    copy.copy_out(target(name, host or open_host()), path, destination, user)


def console(name: str, host: Host | None = None) -> tuple[str, ...]:
    """The words of the command that attaches to the console of container `name`: virsh's.

    Raises `Failed` when it does not run.
    """
    record, _ = find_ours(name, host or open_host())
    if not record.active:
        raise Failed(f"{name} does not run.", f"Start it first: `virtsec start {name}`.")
    return (_VIRSH, "-c", "lxc:///", "console", "--", name)


def logs(
    name: str,
    write: Callable[[str], None],
    host: Host | None = None,
    query: Query | None = None,
) -> int:
    """Give `write` the journal of container `name`, whether it runs or not, as data.

    Returns how many older files of it are too large to read. Raises `NotFound` where it keeps none,
    and `BadInput` for a query that journalctl does not understand.
    """
    _, container = find_ours(name, host or open_host())
    return read_journal(container.spec.rootfs, query or Query(), write)


def target(name: str, host: Host) -> Target:
    """Where to enter the container `name`.

    Raises `NotFound`, `Failed` when it does not run, and `Refused` when virtsec did not make it or
    it runs without the label it is defined with: what enters would be as little confined.
    """
    found, container = entry(name, host)
    wanted = container.identity.label.process
    if found.label != wanted:
        raise Refused(
            f"{name} runs as {found.label} and not as {wanted}.",
            f"Stop it and start it again: `virtsec destroy {name}; virtsec start {name}`.",
        )
    return found


def entry(name: str, host: Host) -> tuple[Target, Container]:
    """Where to enter the container `name`, whatever label it runs with now.

    Raises `NotFound`, `Refused` when virtsec did not make it, `Failed` when it does not run.
    """
    record, container = find_ours(name, host)
    pid = wait_for_init(record.pid)
    if not record.active or pid is None:
        raise Failed(f"{name} does not run.", f"Start it first: `virtsec start {name}`.")
    try:
        begun = started(pid)
    except OSError as error:
        raise Failed(f"{name} has just stopped.", f"Start it: `virtsec start {name}`.") from error
    live = host.mac.process_label(pid)
    if live is None:
        raise Failed(f"{name} has just stopped.", f"Start it: `virtsec start {name}`.")
    return Target(pid, begun, host.mac.model, live), container
