"""Finding a container by name, and keeping away from what is not ours."""

from __future__ import annotations

from pathlib import Path

from virtsec.domain.metadata import Container, read_record
from virtsec.domain.records import DomainRecord
from virtsec.errors import HostNotReady, NotFound, Refused
from virtsec.runtime.refusal import is_name
from virtsec.spec import STORE
from virtsec.step import Host


def find(name: str, host: Host) -> DomainRecord:
    """The domain `name`, whoever made it; raises `NotFound`."""
    record = host.libvirt.domain(name)
    if record is None:
        if is_name(name) and Path(STORE / name).is_dir():
            raise NotFound(
                f"There is no domain {name}.",
                f"Its tree is left: `virtsec define {name}` takes it up, and after that `virtsec "
                f"undefine {name} --storage` removes it.",
            )
        raise NotFound(f"There is no domain {name}.", "See `virtsec list --all`.")
    return record


def find_ours(name: str, host: Host) -> tuple[DomainRecord, Container]:
    """The container `name`.

    Raises `NotFound`, `Refused` when virtsec did not make that domain, and `BadInput` when its
    metadata is broken.
    """
    record = find(name, host)
    container = read_record(record)
    if container is None:
        raise Refused(
            f"virtsec did not make the domain {name}, and leaves it alone.",
            "Use virsh for it.",
        )
    return record, container


def check_policy(host: Host) -> None:
    """Raise `HostNotReady` unless the base policy is loaded: what looks and mends needs no more."""
    missing = host.mac.ready()
    if missing is not None:
        raise HostNotReady(f"This host is not ready: {missing}.", "Run `virtsec setup`.")
