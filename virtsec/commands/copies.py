"""clone, export, import, rename: a container once more, elsewhere, or by another name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from virtsec.commands.definition import define_locked
from virtsec.commands.facts import gather
from virtsec.commands.find import find_ours
from virtsec.commands.host import check_ready, open_host
from virtsec.commands.results import Defined
from virtsec.domain.metadata import read, readable
from virtsec.errors import BadInput, Refused
from virtsec.host.lock import host_lock
from virtsec.names import check_name
from virtsec.plans.host import check_stopped
from virtsec.plans.rename import plan_rename
from virtsec.rootfs.export import check_target, definition_in, export_tree
from virtsec.rootfs.layers import in_view
from virtsec.rootfs.renew import RenewTree
from virtsec.spec import ContainerSpec, Network, default_root
from virtsec.step import Host, Watcher, execute, shown

Addresses = Sequence[IPv4Interface | IPv6Interface]


@dataclass(frozen=True, slots=True)
class Exported:
    """An archive that was written."""

    name: str  #: the container's
    path: Path  #: of the archive
    size: int  #: in bytes


@dataclass(frozen=True, slots=True)
class Renamed:
    """A container that has another name."""

    before: str  #: what it was called
    name: str  #: what it is called


def clone(
    name: str,
    new: str,
    host: Host | None = None,
    addresses: Addresses = (),
    watch: Watcher | None = None,
) -> Defined:
    """Make container `new` of a stopped one: of its tree, its limits, its mounts and its network.

    Its ids and labels are its own, and so are its host name, its machine-id and, where it has
    static ones, its `addresses`. Links, exposed ports and autostart are not copied. Raises as
    `define` does.
    """
    host = host or open_host()
    check_ready(host)
    check_name(new)
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        check_stopped(record, "copied")
        source = container.spec
        spec = replace(
            _alone(source, new),
            source=str(source.rootfs),
            network=_at(source.network, addresses),
            autostart=False,
        )
        fitting = [RenewTree(spec.rootfs, new)]
        return in_view(source.rootfs, lambda: define_locked(spec, host, watch, fitting=fitting))


def export(name: str, path: Path, host: Host | None = None) -> Exported:
    """Write a stopped container into an archive at `path`, from which `import_` makes it again.

    Raises `Refused` while it runs, `BadInput` for a name that says no way to pack it or is taken,
    `NotFound` where there is no such directory, and `Failed`; nothing is left then.
    """
    host = host or open_host()
    check_target(path)
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        check_stopped(record, "exported")
        spec, identity = container.spec, container.identity
        with shown(host.progress, f"write {path}") as advance:
            size = in_view(
                spec.rootfs,
                lambda: export_tree(spec.rootfs, identity.ids, record.xml, path, advance),
            )
    return Exported(name, path, size)


def import_(
    path: Path,
    host: Host | None = None,
    name: str | None = None,
    addresses: Addresses | None = None,
    watch: Watcher | None = None,
    *,
    trusted: bool = False,
) -> Defined:
    """Make the container that `export` wrote, as `name` or as it was called.

    Labels and ids are made anew. Links are not taken along: who they lead to may be somebody else
    here. Nor are ports that it exposed, which this host may need itself, and what its policy allows
    beyond all others' only where the same security module runs. Without `addresses` it has those it
    had. Raises as `define` does, `BadInput` for what `export` did not write, and `Refused` for what
    has more of the host than its own tree, unless whoever made the archive is `trusted`.
    """
    host = host or open_host()
    check_ready(host)
    container = read(definition_in(path))
    if container is None:
        raise BadInput(f"The definition in {path} is none of virtsec's.", "Export it again.")
    spec = container.spec
    network = spec.network
    if addresses is not None:
        network = _at(network, addresses)
    spec = replace(_alone(spec, check_name(name or spec.name)), source=str(path), network=network)
    if container.identity.label.model != host.mac.model:
        spec = replace(spec, additions=())
    if not trusted and (wanted := beyond_its_tree(spec)):
        raise Refused(
            f"{path} is of a container that has more of the host than its own tree: "
            f"{', '.join(wanted)}.",
            "Import it with --trust if you know who made it, and want that.",
        )
    with host_lock(host.progress):
        return define_locked(spec, host, watch)


def rename(name: str, new: str, host: Host | None = None, watch: Watcher | None = None) -> Renamed:
    """Call a stopped container `new`: its domain, its labels, its place in the store, its links.

    Its UUID is another one; its addresses and its ids stay. Raises `BadInput` for a
    name that cannot be had, `Refused` while it runs, and `Failed` when a step fails; what was begun
    is undone then. One that was killed is taken up by the next.
    """
    host = host or open_host()
    check_ready(host)
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        others = [each for each in readable(host.libvirt.domains()) if each.name != name]
        steps = plan_rename(container, record, others, new, facts=gather(host), mac=host.mac)
        execute(steps, host, watch)
    return Renamed(name, new)


def beyond_its_tree(spec: ContainerSpec) -> list[str]:
    """What of a definition reaches the host, in words for a sentence; pure."""
    return [
        *(["root inside is root outside"] if spec.privileged else []),
        *(f"{mount.source} is mounted at {mount.target}" for mount in spec.mounts),
        *(
            f"its policy allows {' '.join((*each.access, 'of', each.object, each.kind)).strip()}"
            for each in spec.additions
        ),
    ]


def _at(network: Network, addresses: Addresses) -> Network:
    """The network with these addresses; whoever asks for one is told the router as well."""
    gateway = network.gateway if addresses else None
    return replace(network, addresses=tuple(addresses), gateway=gateway)


def _alone(spec: ContainerSpec, name: str) -> ContainerSpec:
    """As `name`, at the place of that name, and whole: a base is copied with it.

    With no link, and not exposed: the host has each of its ports once.
    """
    rootfs = default_root(name)
    whole = replace(spec, base=None, scratch=False)
    return replace(whole, name=name, rootfs=rootfs, links=(), served=(), exposed=())
