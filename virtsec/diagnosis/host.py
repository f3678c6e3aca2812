"""What must be true of a host."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from virtsec.diagnosis.check import Check, Fault
from virtsec.diagnosis.left import left_check
from virtsec.domain.links import traffic_of
from virtsec.domain.metadata import readable
from virtsec.host import checks
from virtsec.host.checks import Part
from virtsec.host.daemon import ReloadDaemon, running_unit
from virtsec.host.files import check_ancestors, find
from virtsec.host.lock import host_lock
from virtsec.host.places import Places
from virtsec.host.setup import STORE_MODE, as_installed, installed_paths, is_as_made, setup
from virtsec.mac.protocol import Enforcement
from virtsec.runtime import CONTROLLER_MODULES, HOOK_MODULES
from virtsec.spec import Traffic
from virtsec.step import Host

if TYPE_CHECKING:
    from virtsec.domain.connection import Libvirt

#: The first with a directory of hooks for each driver (https://libvirt.org/hooks.html).
OLDEST_LIBVIRT = (6, 5, 0)
SETUP = "Run `virtsec setup`."
#: Mount options that keep programs inside from running, or from running as who they should.
_HINDERING = {"ro": os.ST_RDONLY, "noexec": os.ST_NOEXEC, "nosuid": os.ST_NOSUID}

#: A domain that our hook refuses and that could not start either way: it has a root of ours and
#: nothing that says which container it is, the root is not there, and its emulator only fails.
REFUSED = """\
<domain type='lxc'><name>virtsec-doctor</name><memory unit='MiB'>16</memory>
<os><type>exe</type><init>/none</init></os>
<devices><emulator>/usr/bin/false</emulator>
<filesystem type='mount'><source dir='/var/lib/virtsec/.doctor'/><target dir='/'/></filesystem>
<console type='pty'/>
</devices></domain>
"""


def kernel_checks(places: Places) -> list[Check]:
    """Those that ask neither libvirt nor the security module."""

    def kernel() -> Fault | None:
        checks.check_kernel(places)
        return None

    return [Check("kernel", "The kernel has cgroup version 2 and user namespaces.", kernel)]


def host_checks(host: Host, places: Places) -> list[Check]:
    """All others."""

    def set_up() -> None:
        setup(host, network=False, places=places)

    def enforcing() -> Fault | None:
        if host.mac.enforcement() is Enforcement.ENFORCING:
            return None
        return Fault(
            "The security module is permissive: it reports, and refuses nothing.",
            "Have it enforce, under SELinux by `setenforce 1` and SELINUX=enforcing in "
            "/etc/selinux/config.",
        )

    def policy() -> Fault | None:
        steps = list(host.mac.setup_steps(traffic()))
        if not steps:
            return None
        missing = host.mac.ready() or steps[0].describe()
        return Fault(f"The host's policy is not as it should be: {missing}.", SETUP, set_up)

    def secrets() -> Fault | None:
        def mend() -> None:
            host.mac.protect(check=False)

        paths = host.mac.protect(check=True)
        if not paths:
            return None
        return Fault(
            f"Containers could read {paths[0]}"
            + (f" and {len(paths) - 1} more that they should not." if paths[1:] else "."),
            "Run `virtsec protect`.",
            mend,
        )

    def never_set_up() -> Fault:
        return Fault(checks.NOT_SET_UP, SETUP)

    def traffic() -> Traffic:
        return traffic_of(list(readable(host.libvirt.domains())))

    def let_through() -> None:
        with host_lock(host.progress):
            host.mac.let_through(traffic())

    def linked() -> Fault | None:
        if host.mac.lets_through(traffic()):
            return None
        return Fault(
            "What containers' packets may reach is not what `virtsec links` and `info` say.",
            "Run `virtsec doctor --fix`, which puts that in force.",
            let_through,
        )

    def store() -> Fault | None:
        if not is_as_made(places.store, STORE_MODE, places):
            return Fault(f"{places.store} is not a directory as setup makes it.", SETUP, set_up)
        flags = os.statvfs(places.store).f_flag
        found = [name for name, flag in _HINDERING.items() if flags & flag]
        if not found:
            return None
        return Fault(
            f"The file system of {places.store} is mounted {' and '.join(found)}.",
            "Mount it without, in /etc/fstab and now.",
        )

    def labels() -> Fault | None:
        wrong = host.mac.mislabelled(installed_paths(places))
        if not wrong:
            return None
        more = f", and {len(wrong) - 1} more have not" if wrong[1:] else ""
        return Fault(f"{wrong[0]} has not the label that the policy gives it{more}.", SETUP, set_up)

    hook = (checks.hook(places), *checks.modules(places, HOOK_MODULES))
    controller = (
        checks.controller(places),
        checks.kernel_modules(places),
        *checks.modules(places, CONTROLLER_MODULES),
    )
    first = [
        Check("enforcing", f"{host.mac.model} runs and enforces.", enforcing),
        Check("libvirt", "libvirt can keep hooks for LXC.", lambda: _version(host.libvirt)),
    ]
    if not checks.begun(places):
        # One thing is missing, and what it is made of tells nobody more.
        return [*first, Check("set-up", "`virtsec setup` was run.", never_set_up)]
    return [
        *first,
        Check("policy", "The host's policy is loaded, and this version's.", policy),
        Check("secrets", "No container may read the host's secrets.", secrets),
        Check("links", "What containers send reaches what it may and nothing else.", linked),
        Check("store", f"{places.store} is there, and its programs can run.", store),
        Check(
            "hook",
            "The hook is as installed, and only root may change it.",
            lambda: _as_installed(places, hook, set_up),
        ),
        Check(
            "controller",
            "The controller is as installed, and only root may change it.",
            lambda: _as_installed(places, controller, set_up),
        ),
        Check("labels", "What virtsec installed has the labels it should have.", labels),
        Check("hook-in-force", "libvirt asks the hook at each start.", lambda: _in_force(host)),
        left_check(host),
    ]


def _version(libvirt: Libvirt) -> Fault | None:
    version = libvirt.version()
    if version >= OLDEST_LIBVIRT:
        return None
    return Fault(
        f"libvirt is of version {'.'.join(map(str, version))}, "
        f"and knows no hooks of several programs before {'.'.join(map(str, OLDEST_LIBVIRT))}.",
        "Install a later one.",
    )


def _as_installed(places: Places, parts: Iterable[Part], fix: Callable[[], None]) -> Fault | None:
    for part in parts:
        check_ancestors(part.path, places)
        found = find(part.path)
        if found == as_installed(part, places):
            continue
        if found is None:
            how = "is not there"
        elif found.content != part.content:
            how = "is not what this version installs"
        else:
            how = f"has mode {found.mode:04o} and owner {found.uid}:{found.gid}"
        return Fault(f"{part.path} {how}.", SETUP, fix)
    return None


def _in_force(host: Host) -> Fault | None:
    if host.libvirt.refused_by_us(REFUSED):
        return None
    unit = running_unit()
    return Fault(
        "libvirt does not ask the hook: it looks for hooks only when it starts or reloads.",
        f"Run `systemctl reload {unit}`.",
        lambda: ReloadDaemon(unit).apply(host),
    )
