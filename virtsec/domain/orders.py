"""What a container's controller does before it starts libvirt_lxc, and libvirt has no word for.

It is not told the domain's definition, only the name: so it reads STORE/NAME/orders, a line for
each. The hook compares that with the definition before every start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.domain.keep import drop, keep
from virtsec.domain.metadata import Container
from virtsec.runtime.view import ORDERS
from virtsec.spec import STORE
from virtsec.step import Host


def orders(container: Container) -> str:
    """The text of the file; empty where there is nothing to do; pure."""
    spec, ids = container.spec, container.identity.ids
    lines = [] if spec.limits.files is None else [f"files {spec.limits.files}"]
    if ids is not None:
        lines += [f"idmap {ids.start} {mount.source}" for mount in spec.mounts if mount.idmap]
    lines += [f"ro {mount.source}" for mount in spec.mounts if mount.read_only]
    return "".join(f"{line}\n" for line in lines)


def kept(name: str, store: PurePosixPath = STORE) -> str:
    """What the file of container `name` says now; empty where there is none."""
    try:
        return Path(store, name, ORDERS).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def write_orders(name: str, text: str, store: PurePosixPath = STORE) -> None:
    """Have the file say that; no file where there is nothing to do."""
    directory = store / name
    if text:
        keep(directory, ORDERS, text.encode("utf-8", "surrogateescape"))
    else:
        drop(directory, ORDERS)


@dataclass(frozen=True, slots=True)
class KeepOrders:
    """Have a container's controller do this from its next start on; nothing where it is empty."""

    name: str
    before: str
    after: str
    store: PurePosixPath = STORE

    def describe(self) -> str:
        """See `Step.describe`."""
        said = ", ".join(self.after.splitlines()) or "nothing"
        return f"have the controller of {self.name} see to: {said}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`."""
        write_orders(self.name, self.after, self.store)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`."""
        write_orders(self.name, self.before, self.store)
