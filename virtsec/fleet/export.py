"""The file that would make the containers there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from virtsec.spec import (
    ApartBy,
    ContainerSpec,
    Egress,
    InitPolicy,
    Limits,
    Mount,
    Network,
    NetworkKind,
    default_root,
)

_LIMITS = {
    "memory_mib": "memory",
    "swap_mib": "swap",
    "vcpus": "vcpus",
    "cpu_shares": "cpu-shares",
    "io_weight": "io-weight",
    "pids": "pids",
    "files": "files",
    "inotify": "inotify",
}


def exported(specs: Sequence[ContainerSpec], sources: Mapping[str, str]) -> dict[str, Any]:
    """What a fleet file says: of it and these containers there is no difference; pure.

    `sources` says of bases what to make them from where they are not; what nobody knows is left for
    whoever moves the file to another host.
    """
    ordered = sorted(specs, key=lambda each: each.name)
    bases = sorted({each.base.name for each in ordered if each.base is not None})
    document: dict[str, Any] = {"version": 1}
    known = {name: {"from": sources[name]} for name in bases if name in sources}
    if known:
        document["bases"] = known
    document["containers"] = [dict(_settings(each)) for each in ordered]
    links = [
        {"from": each.name, "to": link.to, "port": str(link)}
        for each in ordered
        for link in each.links
    ]
    if links:
        document["links"] = links
    return document


def with_links_to_others(specs: Sequence[ContainerSpec]) -> list[ContainerSpec]:
    """The same, but for links that lead to nobody, or to another network: no file can ask for one.

    Those are left where virsh undefined who was asked, or one of both got another network; pure.
    """
    networks = {each.name: (each.network.kind, each.network.source) for each in specs}
    return [
        replace(
            each,
            links=tuple(
                link
                for link in each.links
                if networks.get(link.to) == networks[each.name]
                and each.network.kind is not NetworkKind.NONE
            ),
        )
        for each in specs
    ]


def as_text(document: Mapping[str, Any]) -> str:
    """The file, as YAML."""
    return str(yaml.dump(dict(document), Dumper=_Plain, sort_keys=False, allow_unicode=True))


class _Plain(yaml.SafeDumper):
    """No anchors, which a fleet file may not have."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
        return True


def _settings(spec: ContainerSpec) -> Iterator[tuple[str, Any]]:
    """What differs from what `define` takes unless told otherwise."""
    for word, value, usual in (
        ("name", spec.name, ""),
        ("from", spec.source if spec.base is None else None, None),
        ("base", None if spec.base is None else spec.base.name, None),
        ("scratch", spec.scratch, False),
        ("rootfs", str(spec.rootfs), str(default_root(spec.name))),
        ("privileged", spec.privileged, False),
        *_limits(spec.limits),
        *_network(spec.network),
        ("egress", spec.egress.value, Egress.ALL.value),
        ("expose", [str(each) for each in spec.exposed], []),
        ("mount", [_mount(each) for each in spec.mounts], []),
        ("init", str(spec.init), "/sbin/init"),
        ("init-args", list(spec.init_args), []),
        ("init-policy", spec.init_policy.value, InitPolicy.OWN.value),
        ("confinement", spec.apart_by.value, ApartBy.TYPE.value),
        ("autostart", spec.autostart, False),
    ):
        if value != usual:
            yield word, value


def _limits(limits: Limits) -> Iterator[tuple[str, Any, Any]]:
    usual = Limits()
    for field, word in _LIMITS.items():
        number, ordinary = getattr(limits, field), getattr(usual, field)
        megabytes = field.endswith("_mib") and number
        yield word, f"{number}M" if megabytes and number != ordinary else number, ordinary


def _network(network: Network) -> Iterator[tuple[str, Any, Any]]:
    kind, source = network.kind, network.source
    if kind is NetworkKind.BRIDGE:
        yield "bridge", source, None
    else:
        yield "network", source if kind is NetworkKind.NETWORK else "none", "default"
    yield "address", [str(each) for each in network.addresses], []
    yield "gateway", None if network.gateway is None else str(network.gateway), None


def _mount(mount: Mount) -> str:
    options = [word for word, given in (("ro", mount.read_only), ("idmap", mount.idmap)) if given]
    ends = [re.sub(r"[\\:]", r"\\\g<0>", str(path)) for path in (mount.source, mount.target)]
    return ":".join([*ends, ",".join(options)] if options else ends)
