"""The CIL text of policy modules: the base that `virtsec setup` loads, and one per container."""

from __future__ import annotations

import re
from collections.abc import Iterator

from virtsec.errors import BadInput, Refused
from virtsec.mac.protocol import Policy
from virtsec.mac.selinux.context import MODEL, categories_of, is_shared, types_of
from virtsec.resources import resource
from virtsec.spec import ContainerSpec, IdRange, Label, Transport

#: Base modules, in the order a reader should meet them.
BASE = ("virtsec", "virtsec-libvirt", "virtsec-host")
_CONTAINER = "virtsec-container-"
#: How the base lets containers have ports.
_OPEN_PORT = re.compile(r"\(allow virtsec_domain (\w+_port_t) \((\w+) \(([\w ]+)\)\)\)")
#: What a file-context pattern (PCRE) treats as more than itself.
_SPECIAL = re.compile(r"([.^$*+?()\[\]{}|\\])")


def module_name(container: str) -> str:
    """The name of a container's module in the policy store."""
    return _CONTAINER + container


def container_name(module: str) -> str | None:
    """The container a module belongs to, or None when it is not one of these."""
    return module.removeprefix(_CONTAINER) if module.startswith(_CONTAINER) else None


def base_modules() -> dict[str, str]:
    """The base modules by name, as this version of virtsec would install them."""
    return {name: resource("policies", "selinux", f"{name}.cil").read_text() for name in BASE}


def container_module(spec: ContainerSpec, label: Label, ids: IdRange | None) -> Policy:
    """The module of one container: three types, the macro, and where its files are.

    One that shares its types needs none, as does one of another security module, which is not
    started. Raises `Refused` when one that shares would need it all the same.
    """
    if label.model != MODEL:
        return Policy(spec.name, "")
    if is_shared(label):
        if spec.additions or _opened_ports(spec):
            raise Refused(
                f"{spec.name} shares its policy with other containers, which would be let do "
                "the same.",
                "Define it without `--confinement category`, in a fleet's file with `confinement: "
                f"type`; `virtsec undefine {spec.name}` keeps the tree of one that is there.",
            )
        return Policy(spec.name, "")
    types = types_of(spec.name)
    first, second = sorted(categories_of(label.file))
    level = f"(s0 (c{first} c{second}))"
    kind = "virtsec_privileged" if ids is None else "virtsec_unprivileged"
    pattern = _SPECIAL.sub(r"\\\1", str(spec.rootfs)) + "(/.*)?"
    quoted = pattern.replace('"', r"\"")
    text = f"""\
; Container {spec.name}, made by virtsec; `virtsec undefine {spec.name}` takes it out.
(type {types.domain})
(type {types.exec})
(type {types.file})
(call virtsec_container ({types.domain} {types.exec} {types.file}))
(call {kind} ({types.domain}))

; A relabel of the whole host leaves the tree as it is; init's label is put back at each start.
(filecon "{quoted}" any (system_u object_r {types.file} ({level} {level})))
"""
    if spec.additions:
        text += "\n; Added by `virtsec policy suggest --apply`.\n"
    for each in spec.additions:
        if not each.kind:
            raise BadInput(
                f"{spec.name} may do more to what Smack labels {each.object}, not SELinux.",
                "Undefine it, and define it again under the security module that runs.",
            )
        permissions = " ".join(each.access)
        text += f"(allow {types.domain} {each.object} ({each.kind} ({permissions})))\n"
    ports = _opened_ports(spec)
    if ports:
        text += "\n; Ports of links, by which it may ask or be asked, and those it exposes.\n"
    for port, tclass, permission in sorted(ports):
        text += f"(allow {types.domain} {port} ({tclass} ({permission})))\n"
    return Policy(spec.name, text)


def _opened_ports(spec: ContainerSpec) -> set[tuple[str, str, str]]:
    """What links and exposed ports need that not every container has: type, class, permission."""
    ports = {*_asked(spec), *_listened(spec)}
    return ports - _open_to_all() if ports else ports


def _asked(spec: ContainerSpec) -> Iterator[tuple[str, str, str]]:
    """The kernel asks about the port of TCP alone."""
    for link in spec.links:
        if link.protocol is Transport.TCP:
            yield link.label, "tcp_socket", "name_connect"


def _listened(spec: ContainerSpec) -> Iterator[tuple[str, str, str]]:
    for served in spec.served:
        yield served.label, f"{served.protocol}_socket", "name_bind"
    for exposed in spec.exposed:
        if exposed.label:  # which earlier versions did not note
            yield exposed.label, "tcp_socket", "name_bind"


def _open_to_all() -> set[tuple[str, str, str]]:
    """What the base gives every container: such a port changes no policy."""
    return {
        (port, tclass, permission)
        for port, tclass, permissions in _OPEN_PORT.findall(base_modules()["virtsec"])
        for permission in permissions.split()
    }
