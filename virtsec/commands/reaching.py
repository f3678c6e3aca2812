"""set --egress, --expose and --unexpose: whom a container may ask, and who may ask it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from virtsec.commands.find import check_policy, find_ours
from virtsec.commands.host import open_host
from virtsec.domain.metadata import readable
from virtsec.errors import NotFound
from virtsec.host.expose import check_free
from virtsec.host.lock import host_lock
from virtsec.plans.reach import plan_reach
from virtsec.spec import Egress, Exposed, Transport
from virtsec.step import Host, execute


def with_labels(
    exposed: Iterable[Exposed], label_of: Callable[[int, Transport], str]
) -> tuple[Exposed, ...]:
    """Exposed ports with what the policy calls them: `label_of` is `MacModule.port_label`."""
    return tuple(replace(each, label=label_of(each.port, Transport.TCP)) for each in exposed)


@dataclass(frozen=True, slots=True)
class Reached:
    """Whom one container may ask from now on, besides those it has links to, and who may ask it."""

    name: str  #: the container's
    egress: Egress
    exposed: tuple[Exposed, ...]  #: its ports that are the host's as well


def reach(
    name: str,
    host: Host | None = None,
    egress: Egress | None = None,
    expose: Collection[Exposed] = (),
    unexpose: Collection[int] = (),
) -> Reached:
    """Have container `name` ask whom it may, and expose ports, from now on; it may run.

    What is not given stays. Raises `BadInput` where it has no network or no static address, or a
    port is taken, `NotFound` for a port of the host it is not exposed at,
    `Refused` where its interface is not called what the packet filter knows it by, and `Failed`;
    nothing is changed then.
    """
    host = host or open_host()
    check_policy(host)
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        others = [each for each in readable(host.libvirt.domains()) if each.name != name]
        spec = container.spec
        if unknown := set(unexpose).difference(each.at for each in spec.exposed):
            raise NotFound(
                f"{name} is not exposed at port {min(unknown)}.", f"See `virtsec info {name}`."
            )
        left = {each for each in spec.exposed if each.at not in unexpose}
        news = [each for each in expose if each not in left]
        new = set(with_labels(news, host.mac.port_label))
        exposed = tuple(sorted(new | left))
        spec = replace(spec, egress=egress or spec.egress, exposed=exposed)
        steps = plan_reach(record, container, replace(container, spec=spec), others, host.mac)
        check_free([each for each in new if each.at not in unexpose])
        execute(steps, host)
    return Reached(name, spec.egress, exposed)
