"""Strategies for specs that `check_spec` lets through."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from pathlib import PurePosixPath

from hypothesis import strategies as st

from tests.unit.samples import Sample, seclabel, selinux_label
from virtsec.spec import (
    ContainerSpec,
    Egress,
    Exposed,
    Identity,
    IdRange,
    InitPolicy,
    Limits,
    Mount,
    Network,
    NetworkKind,
)

#: Text that XML carries: no control characters, surrogates or non-characters.
TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), min_size=1
)
COMPONENT = TEXT.map(lambda text: text.replace("/", "_")).filter(lambda t: t not in {".", ".."})
PATHS = st.lists(COMPONENT, min_size=1, max_size=4).map(lambda c: PurePosixPath("/", *c))
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
PORTS = st.integers(1, 65535)
INTERFACES = st.one_of(
    st.builds(
        lambda ip, prefix: IPv4Interface((ip, prefix)), st.ip_addresses(v=4), st.integers(1, 32)
    ),
    st.builds(
        lambda ip, prefix: IPv6Interface((ip, prefix)),
        # Text of an IPv6 address with a zone is none of libvirt's.
        st.ip_addresses(v=6),
        st.integers(1, 128),
    ),
)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A network of any kind, with a gateway or without."""
    kind = draw(st.sampled_from(NetworkKind))
    if kind is NetworkKind.NONE:
        return Network(kind, "")
    addresses = tuple(draw(st.lists(INTERFACES, max_size=3)))
    gateway = draw(st.one_of(st.none(), st.ip_addresses()))
    return Network(kind, draw(COMPONENT), addresses, gateway)


@st.composite
def samples_of_any_kind(draw: st.DrawFn) -> Sample:
    """Any container at all."""
    name = draw(NAMES)
    privileged = draw(st.booleans())
    mounts = st.builds(Mount, PATHS, PATHS, st.booleans())
    spec = ContainerSpec(
        name=name,
        rootfs=draw(PATHS),
        source=draw(st.one_of(st.none(), TEXT)),
        privileged=privileged,
        limits=Limits(
            memory_mib=draw(st.integers(16, 2**30)),
            swap_mib=draw(st.integers(0, 2**30)),
            vcpus=draw(st.integers(1, 4096)),
            cpu_shares=draw(st.one_of(st.none(), st.integers(1, 10_000))),
            io_weight=draw(st.one_of(st.none(), st.integers(1, 10_000))),
            pids=draw(st.integers(16, 2**22)),
        ),
        network=draw(networks()),
        mounts=tuple(draw(st.lists(mounts, max_size=3))),
        init=draw(PATHS),
        init_args=tuple(draw(st.lists(TEXT, max_size=3))),
        init_policy=draw(st.sampled_from(InitPolicy)),
        autostart=draw(st.booleans()),
        egress=draw(st.sampled_from(Egress)),
        exposed=tuple(sorted(draw(st.lists(st.builds(Exposed, PORTS, PORTS), max_size=3)))),
    )
    ids = None if privileged else IdRange(draw(st.integers(1, 1000)) * 65536)
    label = selinux_label(name)
    return Sample(spec, Identity(label, ids), draw(st.sampled_from([None, seclabel(label)])))
