"""policy suggest: from what was refused a container to the smallest addition to its policy."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from virtsec.commands.find import check_policy, find_ours
from virtsec.commands.host import open_host
from virtsec.domain.metadata import Container, readable
from virtsec.domain.steps import SetMetadata
from virtsec.host.lock import host_lock
from virtsec.mac.denial import Weighed
from virtsec.mac.steps import ReplacePolicies
from virtsec.plans.host import policy_of
from virtsec.spec import Addition
from virtsec.step import Host, Step, execute


@dataclass(frozen=True, slots=True)
class Suggested:
    """What was refused one container, and what would allow it."""

    name: str  #: the container's
    model: str  #: the security module
    suggestions: tuple[Weighed, ...]  #: what can be added
    never: tuple[Weighed, ...]  #: what would break a promise, and is not added
    applied: bool  #: the suggestions are in force and in the domain's metadata


def suggest_policy(
    name: str,
    host: Host | None = None,
    since: datetime.datetime | None = None,
    *,
    apply: bool = False,
) -> Suggested:
    """Look at what was refused container `name` `since` then; with `apply` allow what can be.

    What its policy has meanwhile is not suggested again. Raises `HostNotReady` where what
    reads the records is not installed, and `Failed` when they cannot be read or it could not be
    applied; nothing is changed then.
    """
    host = host or open_host()
    check_policy(host)
    with host_lock(host.progress) if apply else nullcontext():
        _, container = find_ours(name, host)
        # A container is one whether its policy is loaded now or not.
        others = {*host.mac.loaded(), *(each.name for each in readable(host.libvirt.domains()))}
        names = [name, *sorted(others - {name})]
        have = container.spec.additions
        weighed = host.mac.refused(container.identity.label, names, since)
        news = [each for each in weighed if merged(have, [each.addition]) != have]
        wanted = tuple(each for each in news if not each.breaks)
        if apply and wanted:
            execute(_plan(container, [each.addition for each in wanted], host), host)
    return Suggested(
        name,
        host.mac.model,
        wanted,
        tuple(each for each in news if each.breaks),
        applied=apply and bool(wanted),
    )


def merged(have: Sequence[Addition], more: Iterable[Addition]) -> tuple[Addition, ...]:
    """Both together, one addition for each object and kind; pure."""
    found = {(each.object, each.kind): each.access for each in have}
    for each in more:
        place = (each.object, each.kind)
        before = found.get(place, ())
        found[place] = (*before, *(word for word in each.access if word not in before))
    return tuple(Addition(*place, access) for place, access in found.items())


def _plan(container: Container, additions: Iterable[Addition], host: Host) -> tuple[Step, ...]:
    """The metadata comes last: until then an interrupted command can be run again."""
    spec = container.spec
    merge = merged(spec.additions, additions)
    changed = replace(container, spec=replace(spec, additions=merge))
    return (
        ReplacePolicies((policy_of(container, host.mac),), (policy_of(changed, host.mac),)),
        SetMetadata(container, changed),
    )
