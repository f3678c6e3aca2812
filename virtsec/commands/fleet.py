"""fleet plan, apply, destroy, diff, export: a host's containers and what a fleet file asks for."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

from virtsec.commands import bases
from virtsec.commands.host import check_ready, open_host
from virtsec.commands.linking import Known, check_new_links
from virtsec.commands.reaching import with_labels
from virtsec.commands.rollout import Outcomes, Rollout
from virtsec.domain.links import with_links
from virtsec.domain.metadata import Container, readable
from virtsec.errors import NotFound
from virtsec.fleet.difference import BASE, CONTAINER, Action, Difference, as_defined, differences
from virtsec.fleet.document import load
from virtsec.fleet.export import as_text, exported, with_links_to_others
from virtsec.fleet.schema import schema
from virtsec.fleet.wanted import Fleet, wanted
from virtsec.host.lock import host_lock
from virtsec.plans.host import name_is_taken, policy_of
from virtsec.rootfs import debian
from virtsec.rootfs.unfinished import is_begun, is_going, is_gone
from virtsec.spec import ApartBy, Identity
from virtsec.step import Host, Watcher


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What there is to do, in order; nothing where all is as the file asks."""

    path: Path  #: of the fleet file
    differences: tuple[Difference, ...]


def plan_fleet(path: Path, host: Host | None = None, *, prune: bool = False) -> FleetPlan:
    """Compare a fleet file with the containers there are; changes nothing.

    With `prune` containers that the file does not name are to be removed; domains that are not
    virtsec's never are. Raises `BadInput` with file and line, and where another domain has the name
    of one to be made, `NotFound` where what something is to be made from is not on this host, and
    `Refused` for what cannot be given to one of those that share a policy, and for links between
    containers that no rule could let through.
    """
    host = host or open_host()
    fleet = wanted(load(path))
    _check_shared(fleet, host)
    records = {record.name: record for record in host.libvirt.domains()}
    have = list(readable(records.values()))
    found = _differences(fleet, have, prune)
    _check_links(found, {each.name: (records[each.name], each) for each in have})
    known = {*bases.base_names(), *fleet.bases}
    foreign = records.keys() - {each.name for each in have}
    for each in found:
        if each.action is Action.MAKE:
            if each.kind == CONTAINER and each.name in foreign:
                raise name_is_taken(each.name)
            _check_there(each, known)
    return FleetPlan(path, found)


def apply_fleet(
    path: Path,
    host: Host | None = None,
    *,
    prune: bool = False,
    parallel: int | None = None,
    watch: Watcher | None = None,
) -> Outcomes:
    """Have the containers that a fleet file asks for, whatever there is of them already.

    One change of the policy for all of them; trees are made `parallel` at a time. It goes on after
    one has failed: instead of what was done that has its error. Raises `BadInput` with file and
    line, `Refused` for what those who share a policy cannot be given, and what fails for all at
    once; nothing is changed then.
    """
    host = host or open_host()
    check_ready(host)
    fleet = wanted(load(path))
    _check_shared(fleet, host)
    work = Rollout(host, watch, parallel)
    with host_lock(host.progress), work.telling():
        found = _differences(fleet, _containers(host), prune)
        work.make_bases(_of(found, Action.MAKE, BASE))
        work.remove([each.name for each in _of(found, Action.REMOVE)])
        work.finish([each.name for each in _of(found, Action.MAKE) if each.spec is None])
        work.change(_of(found, Action.CHANGE))  # what these had others may get
        work.make([each.spec for each in _of(found, Action.MAKE) if each.spec is not None])
        work.link(fleet)
    return work.outcomes


def destroy_fleet(path: Path, host: Host | None = None, watch: Watcher | None = None) -> Outcomes:
    """Undefine the containers that a fleet file asks for, with the trees that virtsec made.

    Bases stay, and so do containers that run: these have an error. Raises as `apply_fleet` does.
    """
    host = host or open_host()
    check_ready(host)
    fleet = wanted(load(path))
    work = Rollout(host, watch)
    with host_lock(host.progress), work.telling():
        there = {each.name for each in _containers(host)}
        work.remove([spec.name for spec in fleet.containers if spec.name in there])
    return work.outcomes


def export_fleet(host: Host | None = None) -> dict[str, Any]:
    """What a fleet file says that would make the containers there are: its plan is empty.

    But for links that lead nowhere by now: these are left out, and `apply_fleet` takes them away.
    """
    host = host or open_host()
    return exported(with_links_to_others([each.spec for each in _containers(host)]), {})


def fleet_text(document: Mapping[str, Any]) -> str:
    """What `export_fleet` gives, as a fleet file: YAML."""
    return as_text(document)


def fleet_schema() -> dict[str, Any]:
    """The JSON schema of fleet files."""
    return schema()


def diff_fleet(path: Path, host: Host | None = None) -> str:
    """How this host differs from what a fleet file asks for, as diff(1) has two of `export_fleet`.

    Empty where it does not; containers that the file does not name are left out. Raises as
    `plan_fleet` does.
    """
    host = host or open_host()
    fleet = wanted(load(path))
    there = {each.name: each.spec for each in _containers(host)}
    asked = [
        as_defined(spec, there[spec.name]) if spec.name in there else spec
        for spec in fleet.containers
    ]
    have = [there[spec.name] for spec in fleet.containers if spec.name in there]
    one, other = (
        as_text(exported(specs, fleet.bases)).splitlines(keepends=True) for specs in (have, asked)
    )
    return "".join(unified_diff(one, other, "this host", str(path)))


def _differences(fleet: Fleet, have: Sequence[Container], prune: bool) -> tuple[Difference, ...]:
    named = {spec.name for spec in fleet.containers}
    roots = {each.name: each.spec.rootfs for each in have if each.name in named}
    gone = {name for name, root in roots.items() if is_gone(root)}
    going = {name for name, root in roots.items() if name not in gone and is_going(root)}
    begun = {name for name, root in roots.items() if name not in gone and is_begun(root)}
    return differences(
        have, bases.base_names(), fleet, unfinished=gone | begun, going=going, prune=prune
    )


def _check_links(found: Sequence[Difference], there: Known) -> None:
    """Raise `Refused` where two that stay where they are cannot be linked as the file asks."""
    moved = {
        each.name
        for each in found
        if each.kind == CONTAINER
        and (each.action is not Action.CHANGE or "network" in {one.field for one in each.changes})
    }
    staying = {name: ours for name, ours in there.items() if name not in moved}
    for each in found:
        if each.spec is not None and each.name in staying:
            check_new_links(each.spec, staying[each.name][1].spec.links, staying)


def _check_there(made: Difference, known: Collection[str]) -> None:
    """Raise `NotFound` where a container or base is to be made from what there is not."""
    spec, name = made.spec, made.name
    source = spec.source if spec else made.source
    # What cannot be looked at is not there to os.path; Path raises for some of it.
    if spec and spec.base and spec.base.name not in known:
        raise NotFound(
            f"{name} is to be on the base {spec.base.name}, which is not there.",
            f"Add it to `bases`, or run `virtsec base create {spec.base.name}`.",
        )
    if source and not source.startswith(debian.PREFIX) and not os.path.exists(source):  # noqa: PTH110
        raise NotFound(f"{name} is to be made from {source}, which is not there.", "Make it first.")
    for mount in spec.mounts if spec else ():
        if not os.path.isdir(mount.source):  # noqa: PTH112
            raise NotFound(
                f"{name} is to have {mount.source} mounted, which is no directory.",
                "Make it first, or choose another.",
            )


def _check_shared(fleet: Fleet, host: Host) -> None:
    """Raise `Refused` where a link or an exposed port needs a policy that many containers share."""
    if not any(spec.links or spec.exposed for spec in fleet.containers):
        return
    label_of = host.mac.port_label
    asked = {
        spec.name: tuple(replace(each, label=label_of(each.port, each.protocol)) for each in links)
        for spec in fleet.containers
        if (links := spec.links)
    }
    give = host.mac.labels(()).give
    sharing = [
        Container(
            replace(spec, exposed=with_labels(spec.exposed, label_of)),
            Identity(give(spec.name, spec.apart_by), None),
        )
        for spec in fleet.containers
        if spec.apart_by is ApartBy.CATEGORY
    ]
    for each in with_links(sharing, asked):
        policy_of(each, host.mac)


def _containers(host: Host) -> list[Container]:
    return list(readable(host.libvirt.domains()))


def _of(found: Sequence[Difference], action: Action, kind: str = CONTAINER) -> list[Difference]:
    return [each for each in found if (each.action, each.kind) == (action, kind)]
