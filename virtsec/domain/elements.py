"""The elements of virtsec's metadata: what may and must be there, and what each says.

`virtsec.domain.metadata` writes and reads by this table, and `docs/reference/metadata.md` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Element:
    """One element, and what its attributes say."""

    meaning: str
    must: Mapping[str, str] = field(default_factory=dict)  #: attributes that are always there
    may: Mapping[str, str] = field(default_factory=dict)  #: and those that need not be
    needed: bool = False  #: whether there is one in every container


_PORT = {"port": "The port, a number.", "protocol": "`tcp` or `udp`."}
_PORT_LABEL = {"label": "What the policy calls that port: a type of SELinux's. Not under Smack."}

#: The element itself, in `<metadata>`.
CONTAINER = Element(
    "A domain is virtsec's when its `<metadata>` has this element.",
    {
        "version": "`1`.",
        "kind": "`unprivileged`, or `privileged`: root inside is root of the host.",
    },
    {"apart": "`category` where categories alone keep it apart from others; else its types do."},
)

#: Those in it, by name.
ELEMENTS: Mapping[str, Element] = {
    "label": Element(
        "The labels that no other container on this host has.",
        {
            "model": "`selinux` or `smack`.",
            "process": "The label of its processes.",
            "file": "The label of its files.",
            "init": "The label of the file that init is.",
        },
        needed=True,
    ),
    "ids": Element(
        "The host's ids that its own are mapped to. Not where it is privileged.",
        {"start": "The host's id of its root.", "count": "How many there are."},
    ),
    "root": Element(
        "Its tree.",
        {"path": "Where it is on the host."},
        {"source": "What it was made from."},
        needed=True,
    ),
    "base": Element(
        "What its tree is a layer on, see `virtsec base`.",
        {"tree": "The base's tree, as seen from where it is linked."},
        {"scratch": "`yes` where what it writes is gone when it stops."},
    ),
    "init": Element(
        "The first program.",
        {
            "path": "Where it is inside.",
            "policy": "`own`: the container may replace it. `pristine`: it is put back.",
        },
        needed=True,
    ),
    "controller": Element(
        "What the domain has as its `<emulator>`.",
        {"path": "Where it is on the host."},
        needed=True,
    ),
    "limits": Element(
        "What it may take of the host, as far as libvirt has no words for it.",
        may={
            "pids": "Processes and threads.",
            "swap": "MiB of swap besides memory.",
            "cpu": "Its share of the processors, against 100 of others.",
            "io": "Its weight at block devices, against 100 of others.",
            "files": "Files that one process may have open.",
            "inotify": "Instances of inotify, 64 where nothing is said.",
        },
    ),
    "idmap": Element(
        "A mount in which user N inside is user N of the host; any number.",
        {"source": "The directory of the host that is mounted."},
    ),
    "addition": Element(
        "What it may do beyond what all may, see `virtsec policy suggest`; any number.",
        {
            "object": "A type under SELinux, a label under Smack.",
            "access": "Permissions, or Smack's letters, with blanks between them.",
        },
        {"kind": "The class of objects. Not under Smack."},
    ),
    "link": Element(
        "What it may ask another container for, see `virtsec link`; any number.",
        {"to": "The other container's name.", **_PORT},
        _PORT_LABEL,
    ),
    "served": Element(
        "A port that others have links to, on which it may listen; any number.", _PORT, _PORT_LABEL
    ),
    "exposed": Element(
        "A TCP port of it that is one of the host's as well; any number.",
        {"at": "The host's port.", "port": "Its own, on which it may listen."},
        _PORT_LABEL,
    ),
    "egress": Element(
        "Whom it may ask over the network. Not where it may ask all.",
        {
            "to": "`none` or `lan`.",
            "port": "The host's end of its network interface, which is held to that.",
        },
    ),
    "before": Element(
        "The definition it had before it was adopted, which `virtsec release` gives back."
    ),
}
