"""What the SELinux policy the kernel has lets containers reach, by setools, which reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from virtsec.errors import HostNotReady
from virtsec.mac.reach import Access, Channel
from virtsec.mac.selinux.context import categories_of, type_of
from virtsec.spec import Label, Transport

POLICY = Path("/sys/fs/selinux/policy")
PACKET_TYPE, LINK_TYPE = "virtsec_packet_t", "virtsec_link_t"

_FILES = {"file", "dir", "lnk_file", "sock_file", "fifo_file", "chr_file", "blk_file"}
_MESSAGES = {"sem", "shm", "msgq", "msg", "key", "bpf", "memfd_file"}
_PASSIVE = {"getattr", "associate"}
_READS = {"read", "execute", "map", "receive", "unix_read", "map_read", "view", "search"}
_WRITES = {
    "write", "append", "create", "add_name", "remove_name", "setattr", "send", "enqueue",
    "unix_write", "map_write", "link", "rename", "unlink",
}  # fmt: skip
_SIGNALS = {"signal", "sigkill", "sigstop", "ptrace", "setsched", "setrlimit", "setpgid"}
_PERMISSIVE = "a policy that is permissive for it"
_UNLABELLED = "packets, which are not labelled now"
_KEPT = {
    "cgroup_t": "each sees its own control groups only",
    "sysctl_net_t": "each network namespace has its own",
    "sysctl_net_unix_t": "each network namespace has its own",
    "devtty_t": "it is the terminal of whoever opens it",
    "null_device_t": "it keeps nothing",
    "zero_device_t": "it keeps nothing",
}

#: The permissions on each pair of a type and a class.
_Rules = dict[tuple[str, str], set[str]]


class SELinuxReach:
    """See `virtsec.mac.reach.Reach`."""

    def __init__(self, labels: Iterable[Label], *, packets: bool, policy: Path = POLICY) -> None:
        """Read the policy for those of `labels`; `packets`: whether containers' are labelled.

        Raises `HostNotReady` when setools is not installed.
        """
        read = _open(policy)
        self._packets = packets
        domains = {_type(label.process) for label in labels}
        self._permissive = {each for each in domains if read.lookup_type(each).ispermissive}
        self._rules = _rules(read, domains)
        self._tasks = {str(each) for each in read.lookup_typeattr("domain").expand()}
        self._own = {str(each) for each in read.lookup_typeattr("virtsec_file").expand()}
        self._labels = int(read.type_count)

    def host_labels(self) -> int:
        """See the protocol."""
        return self._labels

    def of_host(self, label: Label) -> Mapping[Access, Collection[str]]:
        """See the protocol."""
        rules = self._rules[_type(label.process)]
        return {
            access: sorted(
                kind
                for (kind, of), permissions in rules.items()
                if of == "file" and access.value in permissions and kind not in self._own
                and kind not in self._tasks  # /proc/PID of its own processes
            )
            for access in Access
        }  # fmt: skip

    def between(self, one: Label, other: Label) -> Mapping[Channel, Collection[str]]:
        """See the protocol. Where the categories of `other` are not among `one`'s, all is closed.

        But packets: they carry no container's categories.
        """
        found = {**self._on_files_and_processes(one, other), **self._by_packets(other)}
        return {channel: by for channel, by in found.items() if by}

    def _on_files_and_processes(self, one: Label, other: Label) -> dict[Channel, Collection[str]]:
        domain = _type(one.process)
        if domain in self._permissive:
            return {Channel.FILES: [_PERMISSIVE], Channel.SIGNALS: [_PERMISSIVE]}
        if not categories_of(one.process) >= categories_of(other.process):
            return {}
        rules = self._rules[domain]
        theirs = {_type(other.file), _type(other.init)}
        return {
            Channel.FILES: sorted(
                f"{kind}:{of}"
                for (kind, of), permissions in rules.items()
                if kind in theirs and of in _FILES and permissions - _PASSIVE
            ),
            Channel.SIGNALS: sorted(rules.get((_type(other.process), "process"), set()) & _SIGNALS),
        }

    def _by_packets(self, other: Label) -> dict[Channel, Collection[str]]:
        target = _type(other.process)
        if not self._packets:
            return {Channel.NETWORK: [_UNLABELLED]}
        if target in self._permissive:
            return {Channel.NETWORK: [_PERMISSIVE]}
        received = self._rules[target].get((PACKET_TYPE, "packet"), set())
        return {Channel.NETWORK: [f"{PACKET_TYPE}:packet"] if "recv" in received else []}

    def through(self, one: Label, other: Label) -> Mapping[str, str]:
        """See the protocol."""
        written = self._objects(_type(one.process), _WRITES)
        read = self._objects(_type(other.process), _READS)
        both = {kind for kind, _ in written & read}
        apart = not categories_of(other.process) >= categories_of(one.process)
        kept = {**_KEPT, **({"container_file_t": "each has its container's categories"}
                            if apart else {})}  # fmt: skip
        return {kind: kept.get(kind, "") for kind in sorted(both)}

    def _objects(self, domain: str, wanted: set[str]) -> set[tuple[str, str]]:
        """Types and classes, of neither tasks nor containers, that a domain may do that to."""
        return {
            (kind, of)
            for (kind, of), permissions in self._rules[domain].items()
            if of in _FILES | _MESSAGES and permissions & wanted
            if kind not in self._tasks and kind not in self._own
        }


def _open(policy: Path) -> Any:
    try:
        import setools  # noqa: PLC0415  (only audit needs it, and not every host has it)
    except ImportError:
        raise HostNotReady(
            "The policy cannot be read without setools.", "Run `apt install python3-setools`."
        ) from None
    return setools.SELinuxPolicy(str(policy))


def attributes(types: Collection[str], policy: Path = POLICY) -> dict[str, set[str]]:
    """The attributes of each of `types` in the policy; raises `HostNotReady` as `SELinuxReach`."""
    read = _open(policy)
    return {each: set(map(str, read.lookup_type(each).attributes())) for each in types}


def port_type(port: int, protocol: Transport, policy: Path = POLICY) -> str:
    """The type of a port, by which a policy speaks of it; raises `HostNotReady` as `SELinuxReach`.

    Of several ranges the first counts, as for the kernel (security_port_sid).
    """
    ports, other = _ports(policy)
    return next(
        (kind for of, low, high, kind in ports if of == protocol.value and low <= port <= high),
        other,
    )


@cache
def _ports(policy: Path) -> tuple[list[tuple[str, int, int, str]], str]:
    """Protocol, range and type of ports, and the type of all others.

    Kept: a policy takes long to read, and what virtsec loads changes nothing about ports.
    """
    read = _open(policy)
    ports = [
        (str(each.protocol), each.ports.low, each.ports.high, str(each.context.type_))
        for each in read.portcons()
    ]
    other = next(str(each.context.type_) for each in read.initialsids() if str(each) == "port")
    return ports, other


def _rules(policy: Any, domains: Collection[str]) -> dict[str, _Rules]:
    """What each domain is allowed now, booleans as they are set, attributes expanded."""
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for domain in domains:
        kind = policy.lookup_type(domain)
        for name in (domain, *map(str, kind.attributes())):
            holders[name].add(domain)
    found: dict[str, _Rules] = {domain: defaultdict(set) for domain in domains}
    targets: dict[str, list[str]] = {}
    for rule in policy.terules():
        sources = holders.get(str(rule.source))
        if not sources or str(rule.ruletype) != "allow" or not rule.enabled():
            continue
        name = str(rule.target)
        if name not in targets:
            targets[name] = [str(each) for each in rule.target.expand()]
        for source in sources:
            for target in [source] if name == "self" else targets[name]:
                found[source][target, str(rule.tclass)] |= set(rule.perms)
    return found


def _type(context: str) -> str:
    kind = type_of(context)
    assert kind is not None, context
    return kind
