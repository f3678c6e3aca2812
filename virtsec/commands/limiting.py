"""set: what a container may take of the host, changed while it runs as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from virtsec.commands.find import check_policy, find_ours
from virtsec.commands.host import open_host
from virtsec.errors import BadInput
from virtsec.host.lock import host_lock
from virtsec.plans.change import plan_limits
from virtsec.spec import Limits
from virtsec.step import Host, execute


@dataclass(frozen=True, slots=True)
class Limited:
    """What one container may take from now on."""

    name: str  #: the container's
    limits: Limits


def limit(name: str, wanted: Mapping[str, int], host: Host | None = None) -> Limited:
    """Give container `name` other limits: `wanted` by the fields of `Limits`, the rest stays.

    Raises `BadInput` for what makes no sense, and `Failed` when it could not be changed; nothing
    is changed then.
    """
    host = host or open_host()
    if not wanted:
        raise BadInput("Nothing is to be set.", "Name a limit, such as --memory 1G.")
    known = [field.name for field in fields(Limits)]
    if unknown := sorted(wanted.keys() - set(known)):
        raise BadInput(f"There is no limit {unknown[0]}.", f"Choose of {', '.join(known)}.")
    check_policy(host)
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        limits = replace(container.spec.limits, **wanted)
        execute(plan_limits(container, record, limits), host)
    return Limited(name, limits)
