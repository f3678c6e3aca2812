"""Which process a command goes beside: the init of a running container."""

from __future__ import annotations

from virtsec.commands.find import find_ours
from virtsec.commands.live import wait_for_init
from virtsec.domain.metadata import Container
from virtsec.enter.door import Target
from virtsec.errors import Failed, Refused
from virtsec.runtime.confinement import started
from virtsec.step import Host


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
