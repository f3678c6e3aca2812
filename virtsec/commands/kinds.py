"""set --privileged and --unprivileged: whether root inside is root outside."""

from __future__ import annotations

from dataclasses import dataclass

from virtsec.commands.facts import gather
from virtsec.commands.find import check_policy, find_ours
from virtsec.commands.host import open_host
from virtsec.commands.results import Kind
from virtsec.host.lock import host_lock
from virtsec.plans.tree import plan_kind
from virtsec.spec import IdRange
from virtsec.step import Host, Watcher, execute


@dataclass(frozen=True, slots=True)
class Shifted:
    """What a container is now."""

    name: str  #: the container's
    kind: Kind
    ids: IdRange | None  #: of its own; None when they are the host's
    changed: bool  #: False where it was that before


def shift(
    name: str, host: Host | None = None, *, privileged: bool, watch: Watcher | None = None
) -> Shifted:
    """Have container `name` be privileged or not: its tree, its definition and its policy.

    Raises `Refused` while it runs, and `Failed` when a step fails; what was begun is undone then.
    One that was killed is taken up by the next.
    """
    host = host or open_host()
    check_policy(host)
    kind = Kind.PRIVILEGED if privileged else Kind.UNPRIVILEGED
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        if container.spec.privileged == privileged:
            return Shifted(name, kind, container.identity.ids, changed=False)
        after, steps = plan_kind(container, record, gather(host), host.mac, privileged=privileged)
        execute(steps, host, watch)
    return Shifted(name, kind, after.identity.ids, changed=True)
