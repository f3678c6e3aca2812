"""Linux containers on libvirt, confined by SELinux or Smack, and shown to be.

As a library:

    import virtsec
    from pathlib import PurePosixPath

    host = virtsec.open_host()
    spec = virtsec.ContainerSpec(name="vs1", rootfs=PurePosixPath("/var/lib/virtsec/vs1/rootfs"))
    virtsec.define(spec, host)
    virtsec.start("vs1", host)

The command line is built on these functions and nothing else. They raise the errors of
`virtsec.errors`. What is named here is imported when it is first used: lxml and libvirt take longer
to import than `virtsec --help` may take.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from virtsec.commands.definition import define, label, plan_only, undefine
    from virtsec.commands.host import open_host
    from virtsec.commands.lifecycle import destroy, reboot, shutdown, start
    from virtsec.commands.listing import info, list_domains
    from virtsec.errors import VirtsecError
    from virtsec.spec import ContainerSpec, InitPolicy, Mount, Network, NetworkKind

__version__ = "0.1.0"

__all__ = [
    "ContainerSpec",
    "InitPolicy",
    "Mount",
    "Network",
    "NetworkKind",
    "VirtsecError",
    "__version__",
    "define",
    "destroy",
    "info",
    "label",
    "list_domains",
    "open_host",
    "plan_only",
    "reboot",
    "shutdown",
    "start",
    "undefine",
]

_HOMES = {
    "virtsec.commands.definition": ("define", "label", "plan_only", "undefine"),
    "virtsec.commands.host": ("open_host",),
    "virtsec.commands.lifecycle": ("destroy", "reboot", "shutdown", "start"),
    "virtsec.commands.listing": ("info", "list_domains"),
    "virtsec.errors": ("VirtsecError",),
    "virtsec.spec": ("ContainerSpec", "InitPolicy", "Mount", "Network", "NetworkKind"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'virtsec' has no attribute {name!r}")
