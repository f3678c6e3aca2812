"""`MacModule` for SELinux."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput, Failed, HostNotReady
from virtsec.mac.denial import Weighed
from virtsec.mac.install import call
from virtsec.mac.packets import steps as packets
from virtsec.mac.packets.traffic import in_force as traffic_in_force
from virtsec.mac.protocol import Enforcement, Policy, TreeMarks
from virtsec.mac.records import records
from virtsec.mac.selinux import denials, kernel, policy, store
from virtsec.mac.selinux.category import choose_pair, taken_pairs
from virtsec.mac.selinux.context import (
    ATTRIBUTE,
    MODEL,
    SHARED,
    categories_of,
    label_of,
    type_of,
    types_of,
)
from virtsec.mac.selinux.reach import LINK_TYPE, PACKET_TYPE, SELinuxReach, attributes, port_type
from virtsec.spec import ApartBy, ContainerSpec, IdRange, Label, Traffic, Transport
from virtsec.step import Host, Step

RESTORECON = "/usr/sbin/restorecon"
#: What the tree of a container that is no longer defined carries: no container may use it.
REST = "system_u:object_r:virtsec_store_t:s0"
#: What a tree has that containers share.
BASE = "system_u:object_r:virtsec_base_t:s0"
#: What packets from containers are labelled.
PACKETS = packets.PacketLabels(
    sent=f"system_u:object_r:{PACKET_TYPE}:s0", linked=f"system_u:object_r:{LINK_TYPE}:s0"
)
#: What the host's policy calls the files that hold passwords.
SHADOW = "system_u:object_r:shadow_t:s0"


@dataclass(frozen=True, slots=True)
class LoadBase:
    """Load the modules every container's own module builds on."""

    modules: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict)  #: what there was of them

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"load the policy modules {', '.join(self.modules)}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        del host
        store.change(self.modules, ())

    def undo(self, host: Host) -> None:
        """See `Step.undo`. Containers of an earlier version go on under its modules."""
        del host
        there = store.installed("virtsec")
        store.change(
            {name: text for name, text in self.before.items() if there.get(name) != text},
            [name for name in there if name in self.modules and name not in self.before],
        )


@dataclass(frozen=True, slots=True)
class UnloadBase:
    """Take the base modules out again, with those that are left of containers and build on them."""

    modules: Mapping[str, str]

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"take out the policy modules {', '.join(self.modules)}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        del host
        store.change({}, [name for name in store.installed("virtsec") if name in self.modules])

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        del host
        store.change(self.modules, ())


class SELinux:
    """SELinux as this host runs it; see `virtsec.mac.protocol.MacModule` for each method."""

    model = MODEL

    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is where its files are on the host; another one in tests."""
        self._root = root

    def enforcement(self) -> Enforcement:
        """See the protocol."""
        return Enforcement.ENFORCING if kernel.enforcing() else Enforcement.PERMISSIVE

    def ready(self) -> str | None:
        """See the protocol."""
        have = store.installed("virtsec")
        missing = [name for name, text in policy.base_modules().items() if have.get(name) != text]
        if missing:
            return f"policy module {', '.join(missing)} not loaded or out of date"
        if files := packets.missing(self._root, PACKETS):
            return f"{files[0]} not installed or out of date"
        return None

    def labels(self, taken: Iterable[str]) -> SELinuxLabels:
        """See the protocol."""
        return SELinuxLabels(taken)

    def policy_for(self, spec: ContainerSpec, label: Label, ids: IdRange | None) -> Policy:
        """See the protocol."""
        return policy.container_module(spec, label, ids)

    def load(self, policies: Sequence[Policy]) -> None:
        """See the protocol."""
        have = self.loaded()
        store.change(
            {
                policy.module_name(each.name): each.text
                for each in policies
                if each.text and have.get(each.name) != each.text
            },
            (),
        )

    def unload(self, names: Collection[str]) -> None:
        """See the protocol."""
        have = self.loaded()
        store.change({}, [policy.module_name(name) for name in names if name in have])

    def loaded(self) -> Mapping[str, str]:
        """See the protocol."""
        modules = store.installed(policy.module_name(""))
        return {policy.container_name(module) or module: text for module, text in modules.items()}

    def texts(self, own: Policy) -> Mapping[str, str]:
        """See the protocol."""
        base = policy.base_modules()
        return {**base, policy.module_name(own.name): own.text} if own.text else base

    def texts_in_force(self, own: Policy) -> Mapping[str, str]:
        """See the protocol."""
        have = store.installed("virtsec")
        return {name: have[name] for name in self.texts(own) if name in have}

    def marks(self, label: Label) -> TreeMarks:
        """See the protocol."""
        file = {ATTRIBUTE: label.file.encode() + b"\0"}
        return TreeMarks(
            files=file,
            directories=file,
            init={ATTRIBUTE: label.init.encode() + b"\0"},
            rest={ATTRIBUTE: REST.encode() + b"\0"},
        )

    def base_marks(self) -> TreeMarks:
        """See the protocol."""
        mark = {ATTRIBUTE: BASE.encode() + b"\0"}
        return TreeMarks(files=mark, directories=mark, init=mark, rest=mark)

    def birth(self, marks: TreeMarks) -> Callable[[], None]:
        """See the protocol. A file's type comes from its directory, the rest from who makes it."""
        context = marks.files[ATTRIBUTE].rstrip(b"\0").decode()
        return lambda: kernel.make_files_as(context)

    def secret_marks(self) -> Mapping[str, bytes]:
        """See the protocol."""
        return {ATTRIBUTE: SHADOW.encode() + b"\0"}

    def file_label(self, path: PurePosixPath) -> str | None:
        """See the protocol."""
        try:
            return os.getxattr(path, ATTRIBUTE, follow_symlinks=False).rstrip(b"\0").decode()
        except OSError:
            return None

    def process_label(self, pid: int) -> str | None:
        """See the protocol."""
        return kernel.process_context(pid)

    def seclabel(self, label: Label, models: Collection[str]) -> Mapping[str, str] | None:
        """See the protocol."""
        if MODEL not in models:
            raise HostNotReady(
                "libvirt does not offer the security model 'selinux' for LXC.",
                "Restart libvirtd; it looks for SELinux when it starts.",
            )
        return {"type": "static", "model": MODEL, "relabel": "yes", "label": label.process}

    def protect(self, *, check: bool) -> Sequence[PurePosixPath]:
        """See the protocol."""
        del check
        return ()  # the host's files have types of its policy's, which no container may read

    def overlaps(self, process: str, label: Label) -> bool:
        """See the protocol. A clearance over all categories is not counted."""
        return tuple(sorted(categories_of(label.process))) in taken_pairs([process])

    def reach(self, labels: Collection[Label]) -> SELinuxReach:
        """See the protocol."""
        return SELinuxReach(labels, packets=packets.in_force())

    def port_label(self, port: int, protocol: Transport) -> str:
        """See the protocol."""
        return port_type(port, protocol)

    def let_through(self, traffic: Traffic) -> None:
        """See the protocol."""
        packets.let_through(traffic, self._root, self.restore)

    def lets_through(self, traffic: Traffic) -> bool:
        """See the protocol."""
        return traffic_in_force(traffic, self._root)

    def refused(
        self, label: Label, containers: Collection[str], since: datetime.datetime | None
    ) -> Sequence[Weighed]:
        """See the protocol."""
        name = next(iter(containers))
        found = list(denials.denials(records(since), label))
        types = {kind for each in found if (kind := type_of(each.object))}
        return denials.weigh(name, label, found, attributes(types) if types else {}, containers)

    def restore(self, paths: Sequence[PurePosixPath]) -> None:
        """See the protocol."""
        _restorecon(paths, "-F")

    def mislabelled(self, paths: Sequence[PurePosixPath]) -> Sequence[PurePosixPath]:
        """See the protocol."""
        asked = [*paths, *packets.paths(self._root, PACKETS)]
        told = _restorecon(asked, "-F", "-n", "-v")
        return [path for path in asked if any(f" {path} from " in line for line in told)]

    def setup_steps(self, traffic: Traffic) -> Sequence[Step]:
        """See the protocol."""
        have = store.installed("virtsec")
        wanted = {
            name: text for name, text in policy.base_modules().items() if have.get(name) != text
        }
        before = {name: have[name] for name in wanted if name in have}
        steps: list[Step] = [LoadBase(wanted, before)] if wanted else []
        return [*steps, *packets.setup_steps(self._root, PACKETS, traffic)]

    def remove_steps(self) -> Sequence[Step]:
        """See the protocol."""
        have = store.installed("virtsec")
        there = {
            name: text
            for name, text in have.items()
            if name in policy.BASE or policy.container_name(name)
        }
        steps = packets.remove_steps(self._root, PACKETS)
        return [*steps, UnloadBase(there)] if there else steps


class SELinuxLabels:
    """Gives types named after the container, or the shared ones, and a pair of categories."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._pairs = taken_pairs(taken)
        self._modules = store.names("virtsec")

    def give(self, name: str, apart_by: ApartBy) -> Label:
        """See the protocol."""
        pair = choose_pair(name, self._pairs)
        if apart_by is ApartBy.TYPE and policy.module_name(name) not in self._modules:
            for type_name in types_of(name).all():
                if kernel.knows(f"system_u:object_r:{type_name}:s0"):
                    raise BadInput(
                        f"The host's policy already has a type {type_name}, "
                        f"so no container can be called {name!r}.",
                        f"Choose another name, such as '{name}1'.",
                    )
        self._pairs.add(pair)
        return label_of(SHARED if apart_by is ApartBy.CATEGORY else name, pair)


def _restorecon(paths: Sequence[PurePosixPath], *options: str) -> list[str]:
    """What restorecon(8) prints, asked about those that are there; raises `Failed`."""
    there = [str(path) for path in paths if Path(path).exists()]
    if not there:
        return []
    done = call(RESTORECON, *options, *there)
    if done.returncode != 0:
        raise Failed(
            f"{', '.join(there)} could not be labelled: {done.stderr.strip()}",
            "Run `virtsec setup` again.",
        )
    return done.stdout.splitlines()
