"""What a spec must keep to, whatever host it is for; each failure one `BadInput`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import PurePosixPath

from virtsec.errors import BadInput, Refused
from virtsec.names import MOST_INTERFACE, check_name
from virtsec.runtime.checks import LIBVIRT_MOUNTS
from virtsec.runtime.domain import beneath
from virtsec.spec import (
    ApartBy,
    ContainerSpec,
    Egress,
    Limits,
    Mount,
    Network,
    NetworkKind,
    default_root,
)

Interface = IPv4Interface | IPv6Interface
Address = IPv4Address | IPv6Address

LEAST_MEMORY, MOST_MEMORY = 16, 2**30  # MiB; below it no init starts, above it no machine is
MOST_VCPUS = 4096
LEAST_PIDS, MOST_PIDS = 16, 2**22  # with fewer nobody gets in; PID_MAX_LIMIT of the kernel
MOST_WEIGHT = 10_000  # cgroup-v2.rst
LEAST_INOTIFY, MOST_INOTIFY = 8, 2**20  # systemd itself needs some
MOST_NAME, MOST_PATH = 255, 4095  # bytes; NAME_MAX of the kernel, and PATH_MAX but for the 0
LEAST_FILES, MOST_FILES = 64, 2**20  # systemd itself needs some; fs.nr_open of the kernel

#: Trees of the host that are never a container's root, nor hold one.
HOST_TREES = tuple(
    PurePosixPath("/", name)
    for name in (
        *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin"),
        *("sys", "usr"),
    )
)
#: Directories that hold much of the host: roots are beneath them.
HOST_DIRECTORIES = frozenset(
    PurePosixPath("/", name)
    for name in (
        *("", "home", "media", "mnt", "opt", "root", "srv", "tmp", "var"),
        *("var/cache", "var/lib", "var/log", "var/spool", "var/tmp"),
        *("var/lib/libvirt", "var/lib/machines", "var/lib/virtsec"),
    )
)


def check_spec(spec: ContainerSpec) -> None:
    """Raise `BadInput` or `Refused` for the first thing in `spec` that makes no sense."""
    check_name(spec.name)
    if spec.privileged and spec.apart_by is not ApartBy.TYPE:
        raise BadInput(
            "A privileged container has a policy of its own, no shared one.",
            "Leave out --privileged, or --confinement category.",
        )
    _check_root(spec.rootfs)
    if spec.base is not None:
        check_name(spec.base.name)
        if spec.source is not None or spec.rootfs != default_root(spec.name):
            raise BadInput(
                "What a container on a base has of its own is kept in virtsec's store.",
                "Leave --from and --rootfs out, or --base.",
            )
    elif spec.scratch:
        raise BadInput("Only what is written on a base can be scratch.", "Name one with --base.")
    if spec.source is not None:
        _check_text(spec.source, "source")
        _check_length(spec.source, "source")
    check_limits(spec.limits)
    _check_path(spec.init, "init")
    if spec.init == PurePosixPath("/"):
        raise BadInput("init cannot be '/'.", "Give the path of a program, such as /sbin/init.")
    for argument in spec.init_args:
        _check_text(argument, "argument of init")
    _check_mounts(spec.mounts)
    if spec.privileged and any(mount.idmap for mount in spec.mounts):
        raise BadInput(
            "A privileged container has the host's ids; there is nothing to map.",
            "Leave :idmap out.",
        )
    if spec.privileged and spec.limits.files is not None:
        raise BadInput(
            "Root in a privileged container may raise any limit on open files.",
            "Leave out --files, or --privileged.",
        )
    _check_network(spec.network)
    if spec.egress is not Egress.ALL and spec.network.kind is NetworkKind.NONE:
        raise BadInput(f"{spec.name} has no network to limit its egress on.", "Leave --egress out.")
    _check_exposed(spec)


def _check_exposed(spec: ContainerSpec) -> None:
    if spec.exposed and not spec.network.addresses:
        raise BadInput(
            f"{spec.name} has no static address to be exposed at.",
            "Give it one: by `--address 192.168.122.10/24` when it is defined, later by `<ip "
            "address='192.168.122.10' prefix='24'/>` in its interface by `virsh -c lxc:/// edit`.",
        )
    ports = [each.at for each in spec.exposed]
    if twice := [port for port in ports if ports.count(port) > 1]:
        raise BadInput(f"Two ports would be exposed at port {twice[0]}.", "Choose another port.")


def check_limits(limits: Limits) -> None:
    """Raise `BadInput` for the first thing in `limits` that makes no sense."""
    if not LEAST_MEMORY <= limits.memory_mib <= MOST_MEMORY:
        raise BadInput(
            f"{limits.memory_mib} MiB is not an amount of memory a container can have.",
            f"Give at least {LEAST_MEMORY} MiB.",
        )
    if not 0 <= limits.swap_mib <= MOST_MEMORY:
        raise BadInput(
            f"{limits.swap_mib} MiB is not an amount of swap a container can have.",
            "Give 0 or more.",
        )
    for number, least, most, what in (
        (limits.vcpus, 1, MOST_VCPUS, "vcpus"),
        (limits.pids, LEAST_PIDS, MOST_PIDS, "processes"),
        (limits.cpu_shares, 1, MOST_WEIGHT, "shares of processors"),
        (limits.io_weight, 1, MOST_WEIGHT, "as its weight for block devices"),
        (limits.inotify, LEAST_INOTIFY, MOST_INOTIFY, "inotify instances"),
        (limits.files, LEAST_FILES, MOST_FILES, "open files"),
    ):
        if number is not None and not least <= number <= most:
            raise BadInput(f"A container cannot have {number} {what}.", f"Give {least} to {most}.")


def check_addresses(network: Network, own: Iterable[Interface], where: str) -> None:
    """Raise `BadInput` when a static address does not fit a network with the addresses `own`.

    `own` are the host's addresses on it and `where` is its name, both for one kind of IP or both;
    a network without an address of one kind takes any of that kind.
    """
    for address in network.addresses:
        there = [each for each in own if each.version == address.version]
        if any(address.ip == each.ip for each in there):
            raise BadInput(
                f"{address.ip} is the host's own address on {where}.",
                "Choose another --address.",
            )
        if there and not any(address.ip in each.network for each in there):
            ranges = ", ".join(str(each.network) for each in there)
            raise BadInput(
                f"The address {address.ip} is outside {where} ({ranges}).",
                f"Choose an --address within {ranges}.",
            )


def gateway_on(addresses: Iterable[Interface], own: Iterable[Interface]) -> Address | None:
    """The host's address that a container with `addresses` reaches directly; IPv4 before IPv6."""
    networks = [address.network for address in addresses]
    found = [host.ip for host in own if any(host.ip in network for network in networks)]
    return min(found, key=lambda ip: ip.version, default=None)


def _check_root(rootfs: PurePosixPath) -> None:
    _check_path(rootfs, "root")
    for tree in HOST_TREES:
        if rootfs.is_relative_to(tree):
            raise Refused(
                f"{rootfs} belongs to the host: a container's root would take its labels away.",
                "Choose a directory such as /srv/containers/NAME.",
            )
    if rootfs in HOST_DIRECTORIES:
        raise Refused(
            f"{rootfs} holds other things than a container's root.",
            f"Choose a directory beneath it, such as {rootfs / 'NAME'}.",
        )


def _check_mounts(mounts: tuple[Mount, ...]) -> None:
    seen: set[PurePosixPath] = set()
    for mount in mounts:
        _check_path(mount.source, "mount source")
        _check_path(mount.target, "mount target")
        if mount.target == PurePosixPath("/"):
            raise BadInput(
                f"{mount.source} cannot be mounted over the container's root.",
                "Choose a directory inside, or give the tree with --rootfs.",
            )
        for path in (mount.source, mount.target):
            if beneath(str(path), *LIBVIRT_MOUNTS):
                raise Refused(
                    f"{path} is the kernel's, or libvirt mounts there itself.",
                    f"Choose a directory outside of {', '.join(LIBVIRT_MOUNTS)}.",
                )
        same = [each for each in mounts if each.source == mount.source]
        if any(each.idmap != mount.idmap for each in same):
            raise BadInput(
                f"{mount.source} would be mounted with ids of two kinds.",
                "Give both :idmap, or none.",
            )
        if any(each.read_only != mount.read_only for each in same):
            raise BadInput(f"{mount.source} would be mounted read-only and not.", "Choose one.")
        if mount.target in seen:
            raise BadInput(f"Two directories would be mounted at {mount.target}.", "Keep one.")
        if any(each.target in mount.target.parents for each in mounts):
            raise BadInput(
                f"{mount.target} lies in another directory that is mounted: whoever writes that "
                "one would say where this one goes.",
                "Mount them beside each other.",
            )
        seen.add(mount.target)


def _check_network(network: Network) -> None:
    if network.kind is NetworkKind.NONE:
        if network.addresses or network.gateway:
            raise BadInput(
                "A container without a network has no addresses.",
                "Give --network or --bridge with --address.",
            )
        return
    _check_text(network.source, network.kind.value)
    if network.kind is NetworkKind.BRIDGE and (
        len(network.source) > MOST_INTERFACE or "/" in network.source or " " in network.source
    ):
        raise BadInput(
            f"{network.source!r} is not the name of an interface.",
            "See `ip link show type bridge`.",
        )
    ips = [address.ip for address in network.addresses]
    for address in network.addresses:
        _check_address(address)
        if ips.count(address.ip) > 1:
            raise BadInput(f"The address {address.ip} is given twice.", "Give it once.")
    gateway = network.gateway
    if gateway is not None and not any(gateway in each.network for each in network.addresses):
        raise BadInput(
            f"The gateway {gateway} is in none of the container's networks.",
            "Give an --address in the gateway's network; with DHCP leave the gateway out.",
        )
    if gateway is not None and _has_zone(gateway):
        raise BadInput(f"The gateway {gateway} has a zone.", "Leave out what begins with '%'.")
    if gateway in ips:
        raise BadInput(f"The gateway {gateway} is the container's own address.", "Give another.")


def _has_zone(ip: Address | Interface) -> bool:
    """Whether it says on which interface of whose (RFC 4007), in any characters at all."""
    return "%" in str(ip)


def _check_address(address: Interface) -> None:
    ip, network = address.ip, address.network
    ends = {network.network_address, network.broadcast_address}
    roomy = network.num_addresses > 2  # /31 and /127 have no address to spare (RFC 3021, 6164)
    if (
        _has_zone(address)
        or ip.is_unspecified
        or ip.is_multicast
        or ip.is_loopback
        or ip == IPv4Address("255.255.255.255")
        or (roomy and address.version == 4 and ip in ends)
    ):
        raise BadInput(
            f"{address} is not an address a container can have.",
            "Give one of a network's own, such as 192.168.122.10/24.",
        )


def _check_path(path: PurePosixPath, what: str) -> None:
    _check_text(str(path), what)
    _check_length(str(path), what)
    if not path.is_absolute() or ".." in path.parts:
        raise BadInput(
            f"The {what} {path} is not an absolute path.", "Begin it with '/' and leave out '..'."
        )
    if str(path).startswith("//"):
        raise BadInput(f"The {what} {path} begins with two slashes.", "Begin it with one.")


def _check_length(path: str, what: str) -> None:
    if len(path.encode()) > MOST_PATH or max(map(len, path.encode().split(b"/"))) > MOST_NAME:
        raise BadInput(
            f"The {what} is longer than a path can be: {MOST_PATH} bytes, and {MOST_NAME} of each "
            "name in it.",
            "Name a file or directory that is there.",
        )


def _check_text(text: str, what: str) -> None:
    """What goes into XML and libvirt's files: something, and no control characters."""
    if not text:
        raise BadInput(f"The {what} is empty.", "Give one, or leave it out.")
    if any(unicodedata.category(char) in {"Cc", "Cs"} or char in "\ufffe\uffff" for char in text):
        raise BadInput(f"The {what} {text!r} has control characters.", "Leave them out.")
