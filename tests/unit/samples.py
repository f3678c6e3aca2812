"""Containers that tests and golden files speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path, PurePosixPath
from typing import Any

from virtsec.domain.metadata import CONTROLLER, Container
from virtsec.domain.xml import domain_xml
from virtsec.spec import (
    Base,
    ContainerSpec,
    Identity,
    IdRange,
    InitPolicy,
    Label,
    Limits,
    Link,
    Mount,
    Network,
    NetworkKind,
    Served,
    Transport,
)

GOLDEN = Path(__file__).parents[1] / "golden"


@dataclass(frozen=True)
class Sample:
    """A container, and what its security module says for `<seclabel>`."""

    spec: ContainerSpec
    identity: Identity
    seclabel: Mapping[str, str] | None

    @property
    def container(self) -> Container:
        """What is read back from its XML."""
        return Container(self.spec, self.identity)

    @property
    def xml(self) -> str:
        """Its domain."""
        return domain_xml(self.spec, self.identity, self.seclabel, CONTROLLER)


def selinux_label(name: str, pair: str = "c1,c2") -> Label:
    """The label SELinux gives container `name`."""
    return Label(
        model="selinux",
        process=f"system_u:system_r:{name}_t:s0:{pair}",
        file=f"system_u:object_r:{name}_file_t:s0:{pair}",
        init=f"system_u:object_r:{name}_exec_t:s0:{pair}",
    )


def seclabel(label: Label) -> dict[str, str]:
    """`<seclabel>` where libvirt knows SELinux."""
    return {"type": "static", "model": "selinux", "relabel": "no", "label": label.process}


def sample(name: str, *, smack: bool = False, **words: Any) -> Sample:
    """A container with `words` instead of the defaults of a spec."""
    rootfs = PurePosixPath(f"/var/lib/virtsec/{name}/rootfs")
    spec = ContainerSpec(**{"name": name, "rootfs": rootfs, **words})
    label = Label("smack", name, name, name) if smack else selinux_label(name)
    ids = None if spec.privileged else IdRange(0x70000000)
    return Sample(spec, Identity(label, ids), None if smack else seclabel(label))


#: By the name of its golden file.
SAMPLES = {
    "unprivileged": sample("vs1", source="/srv/images/debian.tar"),
    "privileged": sample("vs2", privileged=True),
    "static": sample(
        "vs3",
        network=Network(
            addresses=(ip_interface("192.168.122.10/24"), ip_interface("fd00::a/64")),
            gateway=ip_address("192.168.122.1"),
        ),
    ),
    "bridge": sample(
        "vs4",
        network=Network(
            NetworkKind.BRIDGE, "br0", (ip_interface("fd00::a/64"),), ip_address("fd00::1")
        ),
    ),
    "isolated": sample("vs5", network=Network(NetworkKind.NONE, "")),
    "full": sample(
        "vs6",
        rootfs=PurePosixPath("/srv/trees/one & two"),
        limits=Limits(1024, 2048, 4, cpu_shares=200, io_weight=50, pids=100),
        mounts=(
            Mount(PurePosixPath("/srv/data"), PurePosixPath("/mnt/data"), read_only=True),
            Mount(PurePosixPath("/srv/é <x>"), PurePosixPath("/mnt/y")),
        ),
        init=PurePosixPath("/bin/busybox"),
        init_args=("init", " spaced ", "<a&b>"),
        init_policy=InitPolicy.PRISTINE,
        links=(
            Link("vs1", 53, Transport.UDP, "dns_port_t"),
            Link("vs1", 5432, label="postgresql_port_t"),
        ),
        served=(Served(8080, label="http_cache_port_t"),),
    ),
    "smack": sample("vs7", smack=True),
    "layer": sample("vs8", base=Base("web", 3), scratch=True),
}
