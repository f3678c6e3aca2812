"""`virtsec setup` and `virtsec setup --remove`: planned from what the host has, then applied.

The policy comes first, so that files get its labels when they are installed. The controller comes
last, after libvirt's daemon was told to look for hooks: without a controller no container of ours
starts, so none ever starts past a hook that libvirt has not seen, wherever setup was interrupted.
`--remove` goes the same way back.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from virtsec.domain.links import traffic_of
from virtsec.domain.metadata import read, readable
from virtsec.errors import BadInput, Refused
from virtsec.host import checks
from virtsec.host.checks import Part
from virtsec.host.daemon import ReloadDaemon, running_unit
from virtsec.host.expose import Withdraw, all_installed
from virtsec.host.files import (
    ChangeMode,
    Found,
    InstallFile,
    MakeDirectory,
    RemoveDirectory,
    RemoveFile,
    check_ancestors,
    find,
    staging_of,
)
from virtsec.host.lock import host_lock, remove_lock
from virtsec.host.network import look, plan_network, plan_network_removal
from virtsec.host.overlay import LoadOverlay
from virtsec.host.places import Places
from virtsec.mac.steps import RestoreLabels
from virtsec.step import Host, Step, execute

if TYPE_CHECKING:
    from virtsec.domain.connection import Libvirt
    from virtsec.mac.protocol import MacModule

#: Root's alone to list, but to be entered by the ids of unprivileged containers: libvirt_lxc sets
#: up their roots as the container's own root, which has no power over the host's directories.
STORE_MODE = 0o711
_DIRECTORY = 0o755


@dataclass(frozen=True, slots=True)
class SetupResult:
    """What setup did, or with `dry_run` would do."""

    removed: bool  #: what setup does was undone, as `--remove` asks for
    dry_run: bool  #: nothing was changed
    steps: tuple[Step, ...]  #: what was changed; none where nothing was left to do
    kept: tuple[Path, ...] = ()  #: directories that could not go: something is in them


def setup(
    host: Host,
    *,
    remove: bool = False,
    network: bool = True,
    dry_run: bool = False,
    watch: Callable[[int, Step], None] | None = None,
    places: Places | None = None,
) -> SetupResult:
    """Make the host ready, or undo that; a second run finds nothing to do.

    With `network` false libvirt's network `default` is left as it is. `watch` is called before
    each step. Raises `HostNotReady` for what the host lacks, `Refused` where a file that is not
    ours is in the way or, to remove, containers are left, and whatever a step raises.
    """
    places = places or Places()

    def plan() -> list[Step]:
        if remove:
            return plan_remove(host, places)
        return plan_setup(host.libvirt, host.mac, places, network=network)

    if dry_run:
        steps = plan()
    else:
        with host_lock(host.progress, places.runtime):
            steps = plan()
            execute(steps, host, watch)
            if steps and not remove:
                # Steps after those of the module may have made what containers may not read.
                host.mac.protect(check=False)
            if remove:
                remove_lock(places.runtime)
    kept = [path for path in own_directories(places) if remove and not dry_run and path.exists()]
    return SetupResult(remove, dry_run, tuple(steps), tuple(kept))


def plan_setup(
    libvirt: Libvirt,
    mac: MacModule,
    places: Places,
    *,
    network: bool = True,
    unit: Callable[[], str] = running_unit,
) -> list[Step]:
    """The steps that are left to make this host ready; changes nothing."""
    checks.check_kernel(places)
    hook = _install(places, checks.hook(places))
    controller = _install(places, checks.controller(places))
    steps = list(mac.setup_steps(traffic_of(list(readable(libvirt.domains())))))
    for path, mode in _directories(places):
        steps += _directory(places, path, mode)
    if hook and hook.before is None and (found := find(places.controller)):
        # Left from a host whose hook was taken away: gone until libvirt sees the new hook.
        steps.append(RemoveFile(places.controller, found))
        controller = _fresh(places, checks.controller(places))
    steps += _modules(places)
    if listed := _install(places, checks.kernel_modules(places)):
        steps += [listed, LoadOverlay()]
    steps += _relabelling(mac, places)
    steps += [hook] if hook else []
    if controller:
        if controller.before is None:
            steps.append(ReloadDaemon(unit()))
        steps.append(controller)
    if network:
        steps += _network(libvirt, places)
    return steps


def plan_remove(
    host: Host, places: Places, *, unit: Callable[[], str] = running_unit
) -> list[Step]:
    """The steps that undo what setup did and is still there; changes nothing.

    They take along what is left of containers whose domains are gone: `virsh undefine` takes no
    more. Raises `Refused` while there are containers of ours.
    """
    libvirt, mac = host.libvirt, host.mac
    domains = libvirt.domains()
    if names := [record.name for record in domains if _ours(record.xml)]:
        raise Refused(
            f"Containers of virtsec are still defined here: {', '.join(names)}.",
            f"Undefine them first: `virtsec undefine {' '.join(names)}`.",
        )
    ports = all_installed(host)
    steps: list[Step] = [Withdraw(ports)] if ports else []
    steps += plan_network_removal(look(libvirt, places, domains), places.forwarding)
    hook, controller = _own(places.hook), _own(places.controller)
    if hook:
        steps.append(RemoveFile(places.hook, hook, between_starts=True))
    if hook or controller:
        steps.append(ReloadDaemon(unit()))
    if controller:
        steps.append(RemoveFile(places.controller, controller))
    files = _files(places)
    programs = {places.hook, places.controller}
    for path in dict.fromkeys((*files, *_importable(places))):
        if path not in programs and (found := _own(path)):
            steps.append(RemoveFile(path, found))
    for target in files:
        if left := find(staging_of(target)):  # of a setup that was killed
            steps.append(RemoveFile(staging_of(target), left))
    going = {step.target for step in steps if isinstance(step, RemoveFile)}
    steps += _empty_directories(places, going)
    return [*steps, *mac.remove_steps()]


def own_directories(places: Places) -> list[Path]:
    """The directories setup takes away again when nothing is in them."""
    return [
        places.hook_directory,
        places.modules,
        places.compiled,
        places.store,
        places.settings,
    ]


def _ours(xml: str) -> bool:
    try:
        return read(xml) is not None
    except BadInput:  # broken, or of a later version: still a container of virtsec
        return True


def installed_paths(places: Places) -> list[PurePosixPath]:
    """Where all is that setup installs or makes, its modules' own files left out."""
    return [PurePosixPath(path) for path in (*own_directories(places), *_files(places))]


def _files(places: Places) -> list[Path]:
    """Every file that setup installs itself."""
    modules = [part.path for part in checks.modules(places)]
    kept = [checks.kept_at(places, path) for path in modules]
    return [places.hook, places.controller, places.kernel_modules, *modules, *kept]


def _relabelling(mac: MacModule, places: Places) -> list[Step]:
    """What labels those that a run before this one was cut off before it labelled them."""
    astray = mac.mislabelled(installed_paths(places))
    return [RestoreLabels(tuple(astray))] if astray else []


def _modules(places: Places) -> list[Step]:
    """What puts there what hook and controller import, and takes away what they do not any more."""
    parts = (*checks.modules(places), *checks.kept_compiled(places))
    wanted = [_install(places, part) for part in parts]
    steps: list[Step] = [step for step in wanted if step]
    for path in _importable(places) - {part.path for part in parts}:
        if found := _own(path):
            steps.append(RemoveFile(path, found))
    return steps


def _importable(places: Places) -> set[Path]:
    """What is there to be imported, of whatever version of virtsec and of Python."""
    return {*places.modules.glob("*.py"), *places.compiled.glob("*.pyc")}


def _install(places: Places, part: Part) -> InstallFile | None:
    """The step that installs a part; None when it is there as it should be."""
    target = part.path
    check_ancestors(target, places)
    before = find(target)
    if before == as_installed(part, places):
        return None
    if before is not None and not before.ours:
        raise Refused(
            f"{target} is there already, and virtsec did not put it there.",
            "Move it away, then run `virtsec setup` again.",
        )
    return _fresh(places, part, before)


def as_installed(part: Part, places: Places) -> Found:
    """What setup leaves where it puts a part."""
    return Found(part.content, part.mode, places.uid, places.gid)


def _fresh(places: Places, part: Part, before: Found | None = None) -> InstallFile:
    return InstallFile(
        part.path,
        part.content,
        part.mode,
        places.uid,
        places.gid,
        staging_of(part.path),
        before,
    )


def _own(target: Path) -> Found | None:
    """The file of ours at `target`; None when there is none, or somebody else's."""
    try:
        found = find(target)
    except Refused:
        return None
    return found if found is not None and found.ours else None


def _directory(places: Places, path: Path, mode: int) -> list[Step]:
    """What makes `path` the directory it should be; those shared with others stay as they are."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return [MakeDirectory(path, mode, places.uid, places.gid)]
    if not path.is_dir() or (path in own_directories(places) and path.is_symlink()):
        raise Refused(
            f"{path} is not a directory.", "Move it away, then run `virtsec setup` again."
        )
    if path not in own_directories(places) or is_as_made(path, mode, places):
        return []
    before = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    return [ChangeMode(path, mode, places.uid, places.gid, before)]


def is_as_made(path: Path, mode: int, places: Places) -> bool:
    """Whether `path` is a directory with the mode and owner that setup gives it."""
    if path.is_symlink() or not path.is_dir():
        return False
    status = path.stat()
    found = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    return found == (mode, places.uid, places.gid)


def _directories(places: Places) -> list[tuple[Path, int]]:
    """Every directory setup needs, parents first, with the mode of those it makes."""
    files = (places.hook_directory, places.modules, places.kernel_modules)
    shared = [each.parent for each in files]
    return [
        *((path, _DIRECTORY) for path in shared),
        *(
            (path, STORE_MODE if path == places.store else _DIRECTORY)
            for path in own_directories(places)
        ),
    ]


def _empty_directories(places: Places, going: set[Path]) -> list[Step]:
    """Steps for those of our directories that hold nothing once `going` is gone."""
    steps: list[Step] = []
    for path in reversed(own_directories(places)):
        if path.is_dir() and not path.is_symlink() and set(path.iterdir()) <= going:
            status = path.stat()
            going.add(path)
            steps.append(
                RemoveDirectory(path, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
            )
    return steps


def _network(libvirt: Libvirt, places: Places) -> list[Step]:
    now = look(libvirt, places)
    if not now.active:
        checks.check_network_parts(places, defined=now.xml is not None)
    template = places.network_template.read_text() if now.xml is None else ""
    return plan_network(now, template, places.forwarding)
