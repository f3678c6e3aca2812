"""define, also in two steps, plan and apply; undefine, label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from virtsec.commands.bases import check_base
from virtsec.commands.facts import gather
from virtsec.commands.find import find_ours
from virtsec.commands.host import check_ready, open_host
from virtsec.commands.reaching import with_labels
from virtsec.commands.results import Defined, Kind, Labelled, Undefined
from virtsec.domain.adopt import called
from virtsec.domain.metadata import Container, readable
from virtsec.domain.pristine import kept
from virtsec.domain.records import DomainRecord
from virtsec.errors import BadInput, Failed, NotFound, VirtsecError
from virtsec.host.expose import check_free
from virtsec.host.lock import host_lock
from virtsec.plans import define as define_plans
from virtsec.plans.define import DefinePlan
from virtsec.plans.tree import plan_label
from virtsec.plans.undefine import check_undefine, plan_undefine
from virtsec.rootfs.layers import InView, base_of
from virtsec.rootfs.mapped import check_mapped
from virtsec.rootfs.remove import refuse_mounts
from virtsec.rootfs.renew import RenewTree
from virtsec.rootfs.sources import Source, default_source, inspect_source
from virtsec.rootfs.unfinished import is_begun, is_gone
from virtsec.spec import ContainerSpec, InitPolicy, Mount
from virtsec.step import Host, Step, Watcher, execute


def plan(spec: ContainerSpec, host: Host | None = None) -> DefinePlan:
    """What `define` would do now; changes nothing. Raises as `define` does."""
    host = host or open_host()
    check_ready(host)
    return _plan(spec, host)


def plan_from_xml(xml: str, host: Host | None = None, name: str | None = None) -> DefinePlan:
    """What `define_from_xml` would do now; changes nothing. Raises as it does."""
    host = host or open_host()
    check_ready(host)
    return _plan_from_xml(called(xml, name), host)


def apply(plan: DefinePlan, host: Host | None = None, watch: Watcher | None = None) -> Defined:
    """Do what `plan` or `plan_from_xml` said: what comes of it is what they showed, or nothing.

    Raises `Failed` where the same would come out otherwise by now, since somebody took the name, an
    id or a label, and as `define` does; nothing is changed then.
    """
    host = host or open_host()
    check_ready(host)
    with host_lock(host.progress):
        if plan.given is None:
            now = _plan(plan.container.spec, host)
        else:
            now = _plan_from_xml(plan.given, host)
        if (now.container, now.policy, now.xml) != (plan.container, plan.policy, plan.xml):
            raise Failed(
                f"This host is not as it was when {plan.container.name} was planned.",
                "Plan it again.",
            )
        execute(now.steps, host, watch)
    return _defined(now, host)


def define(spec: ContainerSpec, host: Host | None = None, watch: Watcher | None = None) -> Defined:
    """Make the container `spec` describes.

    Without a source it gets the tree that is at `rootfs`, or where there is none a Debian of the
    host's own release. `watch` is called before each step.

    Raises `BadInput` or `Refused` before anything is done, and `Failed` when a step fails; what
    was begun is undone then.
    """
    host = host or open_host()
    check_ready(host)
    with host_lock(host.progress):
        return define_locked(spec, host, watch)


def define_from_xml(
    xml: str, host: Host | None = None, name: str | None = None, watch: Watcher | None = None
) -> Defined:
    """Make a container of the definition of an LXC domain that libvirt does not know.

    It is called as the definition says, or `name`. Raises as `define` does.
    """
    host = host or open_host()
    check_ready(host)
    with host_lock(host.progress):
        made = _plan_from_xml(called(xml, name), host)
        execute(made.steps, host, watch)
    return _defined(made, host)


def define_locked(
    spec: ContainerSpec, host: Host, watch: Watcher | None = None, fitting: Sequence[Step] = ()
) -> Defined:
    """`define` for who holds the host's lock; `fitting` is done in the tree once it is there."""
    made = _plan(spec, host, fitting)
    execute(made.steps, host, watch)
    return _defined(made, host)


def _defined(plan: DefinePlan, host: Host) -> Defined:
    """What came of a plan."""
    spec, identity = plan.container.spec, plan.container.identity
    return Defined(
        name=spec.name,
        kind=Kind.PRIVILEGED if spec.privileged else Kind.UNPRIVILEGED,
        rootfs=spec.rootfs,
        label=identity.label,
        ids=identity.ids,
        enforcement=host.mac.enforcement(),
        autostart=spec.autostart,
        unlabelled=tuple(
            each.source
            for each in spec.mounts
            if host.mac.file_label(each.source) != identity.label.file
        ),
    )


def undefine(
    names: str | Sequence[str],
    host: Host | None = None,
    storage: bool = False,
    watch: Watcher | None = None,
) -> dict[str, Undefined | VirtsecError]:
    """Take containers apart: their domains, policies and labels, and with `storage` their trees.

    All in one go, since a change of the policy takes seconds whatever its size: when that fails it
    fails for each, and what was begun is undone. One that cannot be undefined is left out before:
    instead of what was done it has its error, `NotFound`, or `Refused` when it runs or is not ours.
    """
    host = host or open_host()
    outcomes: dict[str, Undefined | VirtsecError] = {}
    leaving = []
    with host_lock(host.progress):
        for name in [names] if isinstance(names, str) else dict.fromkeys(names):
            try:
                record, container = find_ours(name, host)
                check_undefine(container, record, storage)
                if storage:
                    check_removable(container.spec)
            except VirtsecError as error:
                outcomes[name] = error
            else:
                outcomes[name] = Undefined(name, container.spec.rootfs, removed=storage)
                leaving.append((container, record))
        if leaving:
            containers = list(readable(host.libvirt.domains()))
            try:
                inits = kept_inits(leaving)
                steps = plan_undefine(leaving, containers, storage, host.mac, inits)
                execute(steps, host, watch)
            except VirtsecError as error:
                outcomes |= {record.name: error for _, record in leaving}
    return outcomes


def kept_inits(
    leaving: Sequence[tuple[Container, DomainRecord]],
) -> Mapping[str, bytes | None]:
    """The copies that are kept of containers' inits, by name. Raises `RootfsFailed`."""
    specs = [container.spec for container, _ in leaving]
    return {each.name: kept(each.name) for each in specs if each.init_policy is InitPolicy.PRISTINE}


def check_removable(spec: ContainerSpec) -> None:
    """Raise `Refused` where something is mounted in a tree that is to go.

    What comes to light when others' trees are gone already would be the failure of all.
    """
    if not is_gone(spec.rootfs):
        refuse_mounts(spec.rootfs)


def label(name: str, host: Host | None = None, watch: Watcher | None = None) -> Labelled:
    """Put the labels (and owners) of container `name` on its tree again.

    Raises `Refused` when it is running, and `Failed` when a step fails; what was begun is undone
    then.
    """
    host = host or open_host()
    check_ready(host)
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        execute(plan_label(container, record, host.mac), host, watch)
    return Labelled(name=name, rootfs=container.spec.rootfs, label=container.identity.label)


def _plan(spec: ContainerSpec, host: Host, fitting: Sequence[Step] = ()) -> DefinePlan:
    facts = gather(host)
    spec = on_its_base(spec)
    if is_begun(spec.rootfs):
        rest = define_plans.plan_rest(spec, facts, host.mac)
        if rest is not None:
            return rest
    spec = replace(spec, exposed=with_labels(spec.exposed, host.mac.port_label))
    # Once without the source: a bad name is told before an archive is read.
    define_plans.plan_define(spec, facts, host.mac)
    ready = prepared(spec)
    return define_plans.plan_define(
        ready.spec, facts, host.mac, ready.source, fitting=[*ready.fitting, *fitting]
    )


def _plan_from_xml(xml: str, host: Host) -> DefinePlan:
    planned = define_plans.plan_from_xml(xml, gather(host), host.mac)
    inspect_source(None, planned.container.spec.rootfs, planned.container.spec.init)
    return planned


@dataclass(frozen=True, slots=True)
class Prepared:
    """A spec that goes with what is on the disk, and what its tree comes from."""

    spec: ContainerSpec
    source: Source | None = None  #: None for one on a base
    fitting: tuple[Step, ...] = ()  #: what is done in the tree


def on_its_base(spec: ContainerSpec) -> ContainerSpec:
    """`spec` on the base of what an earlier definition left: a layer still, and nothing without."""
    if spec.base is None and spec.source is None:
        return replace(spec, base=base_of(spec.rootfs))
    return spec


def prepared(spec: ContainerSpec) -> Prepared:
    """Look at what a spec names on the host; changes nothing.

    Raises `BadInput`, `NotFound` or `Refused` for what is not there or not as it must be.
    """
    for mount in spec.mounts:
        _check_mount(mount)
    check_free(spec.exposed)
    if spec.base is not None:
        check_base(spec.base, spec.init)
        own = InView(spec.rootfs, RenewTree(spec.rootfs, spec.name))
        return Prepared(spec, fitting=(own,))
    if spec.source is None:
        spec = replace(spec, source=default_source(spec.rootfs))
    return Prepared(spec, inspect_source(spec.source, spec.rootfs, spec.init))


def _check_mount(mount: Mount) -> None:
    try:
        directory = Path(mount.source).is_dir()
    except OSError as error:
        raise BadInput(
            f"The directory {mount.source} cannot be mounted: {error.strerror}.",
            "Choose another, or make it one that root may look at.",
        ) from None
    if not directory:
        raise NotFound(f"There is no directory {mount.source} to mount.", "Make it first.")
    if mount.idmap:
        check_mapped(mount.source)
