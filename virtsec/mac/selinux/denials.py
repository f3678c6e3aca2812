"""SELinux's refusals, as the audit system tells of them, and what a rule for each would mean.

sepolgen, the library of audit2allow, reads the records and asks the policy why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from virtsec.errors import HostNotReady
from virtsec.mac.denial import Denial, Weighed, grouped, weighed
from virtsec.mac.selinux.context import SHARED, categories_of, is_shared, type_of, types_of
from virtsec.spec import Addition, Label

_PORTS = {"tcp_socket", "udp_socket", "sctp_socket", "dccp_socket"}
_LOOK = {"getattr", "ioctl", "lock", "map", "open", "read", "search", "watch"}
_FILES = {"file", "dir", "lnk_file"}
#: What the kernel shows everybody; never these, which verify attacks.
_SHOWN = {"proc_type", "sysctl_type"}
_NEVER_SHOWN = {"proc_kcore_t", "proc_kmsg_t", "kmsg_t", "security_t", "system_map_t"}
_MEMORY = {"execmem", "execstack", "execheap"}
_BY_PORT = {"name_bind": "serve on", "name_connect": "connect to"}
_RELABEL = "Give the directory the container's label: `semanage fcontext -a`, `restorecon -R`."
_ALIKE = "Every container that shares its types would be let do the same."
_APART = "Containers are kept apart, and from all that has categories."


def denials(lines: Iterable[str], label: Label) -> Iterator[Denial]:
    """The refusals of the container labelled `label` among records that would be refused now, too.

    Raises `HostNotReady`.
    """
    try:
        from selinux import audit2why  # noqa: PLC0415  (slow, and only needed here)
        from sepolgen.audit import AuditParser  # noqa: PLC0415
    except ImportError:
        raise HostNotReady(
            "What was refused cannot be read without sepolgen.",
            "Run `apt install python3-sepolgen`.",
        ) from None
    audit2why.init()
    try:
        parser = AuditParser()
        # libsepol complains of types that are in no policy any more: others' are not asked about.
        kind = f":{type_of(label.process)}:"
        about = (each for each in lines if "scontext=" not in each or kind in each)
        parser.parse_string("\n".join(about))
    finally:
        audit2why.finish()
    own = _who(label.process)
    for each in parser.avc_msgs:
        refused = each.denial and each.type != audit2why.ALLOW
        if refused and _who(str(each.scontext)) == own:
            thing = each.path or each.name or _port(each.message)
            constrained = each.type == audit2why.CONSTRAINT
            yield Denial(str(each.tcontext), each.tclass, frozenset(each.accesses),
                         each.comm, thing, constrained)  # fmt: skip


def _who(context: str) -> tuple[str | None, frozenset[int]]:
    return type_of(context), categories_of(context)


def weigh(
    name: str,
    label: Label,
    refused: Iterable[Denial],
    attributes: Mapping[str, Collection[str]],
    containers: Collection[str],
) -> list[Weighed]:
    """What a rule for each type and class would mean to container `name`.

    `attributes` are those of each type in the loaded policy; `containers` are all names.
    """
    stem = SHARED if is_shared(label) else name
    others = {kind for each in (*containers, SHARED) if each not in {name, stem}
              for kind in types_of(each).all()}  # fmt: skip
    found = []
    for (context, kind), them in grouped(refused).items():
        target = type_of(context) or context
        access = tuple(sorted(frozenset().union(*(each.access for each in them))))
        own = target == types_of(stem).domain
        risk, breaks = _judge(name, target, kind, set(access), attributes.get(target, ()), own=own)
        if stem == SHARED:
            breaks = breaks or _ALIKE
        if target in others or any(each.constrained for each in them):
            breaks = _APART
        instead = _RELABEL if kind in _FILES else "Do without, or have the host do it."
        # By its name it would be another's once this one is renamed, cloned, or imported.
        thing = "self" if own and not breaks else target
        found.append(weighed(Addition(thing, kind, access), them, risk, breaks, instead))
    return found


def _judge(
    name: str,
    target: str,
    kind: str,
    access: set[str],
    attributes: Collection[str],
    *,
    own: bool,
) -> tuple[str, str]:
    """The risk, and the promise it would break (empty when it breaks none)."""
    does = " and ".join(sorted(access))
    if kind in _PORTS and "port_type" in attributes and access <= set(_BY_PORT):
        how = " and ".join(words for permission, words in _BY_PORT.items() if permission in access)
        return f"It would let {name} {how} every port of the type {target}, in its own network.", ""
    if own:
        if kind == "process" and access <= _MEMORY:
            return f"It would let programs in {name} run what they wrote into their own memory.", ""
        return (
            f"It would let what runs in {name} {does} ({kind}) itself.",
            "What a container may do with itself is a part of what keeps it in.",
        )
    if kind in _FILES and _SHOWN & set(attributes) and target not in _NEVER_SHOWN:
        return (
            f"It would let {name} {does} what the kernel shows as {target}.",
            "" if access <= _LOOK else "The kernel's switches are the host's.",
        )
    breaks = (
        "The host's files are protected, whatever their label."
        if kind in _FILES
        else "Nothing is known by which it would be harmless."
    )
    return f"It would let {name} {does} every {kind} of the host labelled {target}.", breaks


def _port(message: str) -> str:
    words = dict(word.split("=", 1) for word in message.split() if "=" in word)
    port = words.get("src") or words.get("dest")
    return f"port {port}" if port else ""
