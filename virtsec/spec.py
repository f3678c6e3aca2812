"""What a container is to be: the first stage of spec, plan, apply.

A `ContainerSpec` says what was asked for; it comes from options, a file or a domain's metadata and
touches nothing. An `Identity` says what the host gave it: the ranges and labels nobody else has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import PurePosixPath

#: Where the roots of containers live unless `--rootfs` says otherwise (NAME/rootfs beneath it).
STORE = PurePosixPath("/var/lib/virtsec")


def default_root(name: str) -> PurePosixPath:
    """Where the root of container `name` is unless told otherwise."""
    return STORE / name / "rootfs"


#: User and group ids in one container's range; 0 to 65,535 inside.
ID_COUNT = 65536


class InitPolicy(StrEnum):
    """What the hook does with init before each start."""

    OWN = "own"  #: the container may replace its init; whatever is there is relabelled
    PRISTINE = "pristine"  #: a copy kept outside the tree is put back when it differs


class ApartBy(StrEnum):
    """What parts containers from each other, where the security module gives a choice."""

    TYPE = "type"  #: types of their own, and categories
    CATEGORY = "category"  #: categories of their own alone: the types are the same for all of them


class Egress(StrEnum):
    """Whom a container may ask over the network, ever more; it may answer whoever may ask it."""

    NONE = "none"  #: nobody, but for links
    LAN = "lan"  #: who has an address that is not routed in the Internet, the host among them
    ALL = "all"  #: everybody but other containers


class NetworkKind(StrEnum):
    """How a container is attached; each has a network namespace of its own."""

    NETWORK = "network"  #: one of libvirt's networks, by name
    BRIDGE = "bridge"  #: a bridge of the host, by name
    NONE = "none"  #: loopback only (libvirt's `<privnet/>`)


@dataclass(frozen=True, slots=True)
class Network:
    """The one network interface of a container, eth0 inside."""

    kind: NetworkKind = NetworkKind.NETWORK  #: what it is attached to
    source: str = "default"  #: the network's or the bridge's name; empty where there is none
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()  #: static ones; none: DHCP gives one
    gateway: IPv4Address | IPv6Address | None = None  #: the router, where addresses are static


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory of the host seen inside at `target` (both absolute)."""

    source: PurePosixPath  #: on the host
    target: PurePosixPath  #: inside
    read_only: bool = False  #: nothing can be written through it
    idmap: bool = False  #: user N inside is user N of the host in it, not of the container's range


@dataclass(frozen=True, slots=True)
class Base:
    """One generation of a tree that containers share; see `virtsec base`."""

    name: str  #: of the base
    generation: int = 1  #: which of its trees, counted from 1


@dataclass(frozen=True, slots=True)
class Addition:
    """What a container may do beyond what all of its kind may; see `virtsec policy suggest`."""

    object: str  #: a type under SELinux, a label under Smack
    kind: str  #: the class of objects under SELinux; empty under Smack
    access: tuple[str, ...]  #: permissions, or Smack's letters, in order


class Transport(StrEnum):
    """What a link is for: it has ports, and whoever is asked may answer."""

    TCP = "tcp"
    UDP = "udp"


class AtPort:
    """What is about a port, and is told by it."""

    __slots__ = ()
    port: int
    protocol: Transport

    def __str__(self) -> str:
        """Port and protocol."""
        return f"{self.port}/{self.protocol}"


@dataclass(frozen=True, slots=True, order=True)
class Link(AtPort):
    """What a container may ask another one for, which may answer; see `virtsec link`."""

    to: str  #: the other container's name
    port: int  #: that it listens on
    protocol: Transport = Transport.TCP  #: of that port
    #: The policy's name for the port: a type of SELinux's; empty where ports have none.
    label: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Served(AtPort):
    """A port that some link leads to: the container may listen on it."""

    port: int  #: that it may listen on
    protocol: Transport = Transport.TCP  #: of that port
    label: str = field(default="", compare=False)  #: as in `Link`


@dataclass(frozen=True, slots=True, order=True)
class Exposed:
    """A port of a container that is a port of the host as well, for whoever is outside; TCP."""

    at: int  #: the host's port
    port: int  #: the container's, which it may listen on
    label: str = field(default="", compare=False)  #: of the container's, as in `Link`

    def __str__(self) -> str:
        """Both, as users write it."""
        return f"{self.at}:{self.port}"


#: What each container of a host may ask others for, by name; who may nothing need not be there.
Links = Mapping[str, tuple[Link, ...]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the packets of all containers of a host may reach."""

    links: Links = field(default_factory=dict)
    egress: Mapping[str, Egress] = field(default_factory=dict)  #: of those that may not ask all
    exposed: frozenset[int] = frozenset()  #: ports of the host that are those of containers
    #: Static addresses of those that expose ports, which lead there, by container.
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdRange:
    """Host ids that a container's ids 0 to `count` - 1 are mapped to."""

    start: int  #: the host's id of the container's root
    count: int = ID_COUNT  #: how many there are

    @property
    def stop(self) -> int:
        """First id after the range."""
        return self.start + self.count

    def overlaps(self, other: IdRange) -> bool:
        """Whether both ranges share an id."""
        return self.start < other.stop and other.start < self.stop


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may take of the host."""

    memory_mib: int = 512  #: MiB of memory
    swap_mib: int = 512  #: MiB of swap besides memory
    vcpus: int = 1  #: processors that it may keep busy
    cpu_shares: int | None = None  #: its share of processors that are scarce, against 100 of others
    io_weight: int | None = None  #: its share of block devices, likewise
    pids: int = 4096  #: processes and threads
    inotify: int = 64  #: instances of inotify, with 128 watches each
    files: int | None = None  #: files that one process may have open; None: as many as libvirtd


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that `virtsec define` was asked for."""

    name: str  #: lower-case letters, digits and hyphens, 23 at most
    rootfs: PurePosixPath  #: the root of its tree on the host
    source: str | None = None  #: a tree, a tar file or `debian:SUITE`; None: `rootfs` is there
    privileged: bool = False  #: whether root inside is root outside
    limits: Limits = field(default_factory=Limits)  #: what it may take of the host
    network: Network = field(default_factory=Network)  #: its one interface
    mounts: tuple[Mount, ...] = ()  #: directories of the host seen inside
    init: PurePosixPath = PurePosixPath("/sbin/init")  #: the first program, a path inside
    init_args: tuple[str, ...] = ()  #: its arguments
    init_policy: InitPolicy = InitPolicy.OWN  #: whether the container may replace it
    apart_by: ApartBy = ApartBy.TYPE  #: what the policy tells it from others by
    autostart: bool = False  #: whether it is started with the host
    additions: tuple[Addition, ...] = ()  #: what its policy allows beyond all others'
    links: tuple[Link, ...] = ()  #: what it may ask other containers for
    served: tuple[Served, ...] = ()  #: at which ports others may ask it, by their links
    egress: Egress = Egress.ALL  #: whom it may ask besides
    exposed: tuple[Exposed, ...] = ()  #: its ports that are the host's as well
    base: Base | None = None  #: what the root is a layer on; there is no source then
    scratch: bool = False  #: whether all that is written on the base is gone at stop


@dataclass(frozen=True, slots=True)
class Label:
    """A container's labels in the words of the security module in force.

    SELinux: whole contexts. Smack: the same label three times.
    """

    model: str  #: 'selinux' or 'smack'
    process: str  #: of its processes
    file: str  #: of its files
    init: str  #: of the file that init is


@dataclass(frozen=True, slots=True)
class Identity:
    """What is unique to one container on this host."""

    label: Label
    ids: IdRange | None  #: None for a privileged container
