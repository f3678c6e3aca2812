"""The steps that make a Smack host ready for containers, and those that undo them.

Each knows from the host itself whether it is done: a second setup plans none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from virtsec.errors import BadInput, PolicyFailed
from virtsec.kernel.rmdir import remove_empty
from virtsec.mac.install import SYSTEMCTL, active, failing, read, remove, replace, run
from virtsec.mac.packets import steps as packets
from virtsec.mac.smack import hostfiles, policy
from virtsec.mac.smack.kernel import Smackfs
from virtsec.mac.smack.rule import LINK, NET, Rule, parse
from virtsec.mac.smack.store import RULES
from virtsec.spec import Traffic
from virtsec.step import Host, Step, shown

PROTECT, CHANGES = "virtsec-protect.service", "virtsec-protect.path"
_DEVICES = "etc/udev/rules.d/90-virtsec.rules"
_RULES = f"{RULES}/{policy.BASE}"
#: To all hosts without Smack's CIPSO option in each packet, which routers drop: `0.0.0.0/0 @`.
#: systemd takes no comments here. What comes in is judged by its secmark first (virtsec.nft).
_NETLABEL = "etc/smack/netlabel.d/virtsec"
#: Which paths were gone through, for `setup --remove`: the lists may have changed by then.
_PROTECTED = "etc/smack/virtsec-host-files"
#: The administrator's own list.
ADDED = "etc/virtsec/host-files.conf"
#: What packets from containers are labelled.
PACKETS = packets.PacketLabels(sent=NET, linked=LINK)


@dataclass(frozen=True, slots=True)
class Place:
    """The host: its smackfs, and the directory beneath which its files are (`/` but in tests)."""

    smackfs: Smackfs = field(default_factory=Smackfs)
    root: Path = Path("/")

    def files(self) -> dict[Path, tuple[str, int]]:
        """Every file setup installs, with its text and mode."""
        return {
            self.root / _RULES: (policy.text("virtsec.rules"), 0o644),
            self.root / _NETLABEL: (policy.text("virtsec.netlabel"), 0o644),
            self.root / _DEVICES: (policy.text("virtsec.rules.udev"), 0o644),
            self.unit(PROTECT): (policy.text(PROTECT).replace("{python}", sys.executable), 0o644),
            self.unit(CHANGES): (policy.text(CHANGES).replace("{paths}", self._watched()), 0o644),
        }

    def unit(self, name: str) -> Path:
        """The file of a unit of systemd's."""
        return self.root / "etc/systemd/system" / name

    def _watched(self) -> str:
        """Directories into which a file may be moved that has not the label.

        Not the files themselves: systemd watches a file and the directories above it by one
        inotify descriptor, which it opens anew when it hears of the rename in the directory. What
        it would have heard of the file itself is lost then.
        """
        paths = [
            entry.pattern.rpartition("/")[0]
            for entry in self.entries()
            if not entry.tree and entry.pattern.startswith("/etc/")
        ]
        return "\n".join(f"PathChanged={path.replace('%', '%%')}" for path in dict.fromkeys(paths))

    def entries(self) -> list[hostfiles.Entry]:
        """What is to be labelled `host`: the default list and the administrator's."""
        entries = hostfiles.parse(policy.text("host-files.conf"), "host-files.conf")
        with suppress(FileNotFoundError):
            added = (self.root / ADDED).read_bytes().decode(errors="surrogateescape")
            entries += hostfiles.parse(added, f"/{ADDED}")
        return entries

    def protected(self) -> list[hostfiles.Entry]:
        """What was labelled, by this version or another."""
        try:
            return hostfiles.parse(read(self.root / _PROTECTED) or "", f"/{_PROTECTED}")
        except BadInput:
            return []

    def protect(self) -> list[Path]:
        """Label what is listed, and no longer what was: returns what was labelled.

        Raises `OSError`, and `BadInput` for a list that makes no sense.
        """
        record, listed, before = self.root / _PROTECTED, self.entries(), self.protected()
        # Before the first label: what is killed half way can be undone.
        _note(record, [*before, *listed])
        lines = {entry.line for entry in listed}
        if dropped := [entry for entry in before if entry.line not in lines]:
            hostfiles.expose(dropped, self.root, but=listed)
        labelled = hostfiles.protect(listed, self.root)
        _note(record, listed)
        return labelled


def _note(record: Path, entries: Iterable[hostfiles.Entry]) -> None:
    """Keep which paths are gone through."""
    replace(record, "".join(f"{line}\n" for line in dict.fromkeys(each.line for each in entries)))


def missing_rules(place: Place) -> list[Rule]:
    """Rules of the base that do not hold now."""
    return [rule for rule in policy.base_rules() if not place.smackfs.allows(rule)]


def missing_files(place: Place) -> list[Path]:
    """Files of the base that are not there as this version has them."""
    return [path for path, (text, _) in place.files().items() if read(path) != text]


def watch(place: Place) -> None:
    """Have what is listed by now watched, on a host whose units are there. Raises `Failed`."""
    unit = place.unit(CHANGES)
    text, mode = place.files()[unit]
    if unit.exists() and read(unit) != text:
        replace(unit, text, mode)
        run(SYSTEMCTL, "daemon-reload")
        run(SYSTEMCTL, "restart", CHANGES)


def setup_steps(place: Place, traffic: Traffic) -> list[Step]:
    """What is left to do."""
    steps: list[Step] = []
    if missing_files(place) or missing_rules(place):
        found = {path: read(path) for path in place.files()}
        before = {path: text for path, text in found.items() if text is not None}
        steps.append(LoadBase(place, before))
    steps += packets.setup_steps(place.root, PACKETS, traffic)
    wanted, protected = [entry.line for entry in place.entries()], place.protected()
    known = {entry.line for entry in protected}
    if not known.issuperset(wanted) or hostfiles.unlabelled(place.entries(), place.root):
        steps.append(ProtectHost(place, tuple(protected)))
    # Last, so first to be undone: one of them would label again what labels are taken off.
    if missing_files(place) or not active(CHANGES):
        steps.append(StartUnits(again=place.unit(CHANGES).exists()))
    return steps


def remove_steps(place: Place) -> list[Step]:
    """What is left to undo, the other way round."""
    there = any(path.exists() for path in place.files())
    # Where one is gone they were stopped, by a removal that was cut off later.
    startable = all(place.unit(each).exists() for each in (PROTECT, CHANGES))
    steps: list[Step] = [StopUnits()] if startable else []
    if place.protected():
        steps.append(ExposeHost(place))
    steps += packets.remove_steps(place.root, PACKETS)
    return [*steps, UnloadBase(place)] if there else steps


@dataclass(frozen=True, slots=True)
class LoadBase:
    """Load the rules every host of containers needs, and keep them for the next boot."""

    place: Place
    before: Mapping[Path, str] = field(default_factory=dict)  #: what there was of its files

    def describe(self) -> str:
        """See `Step.describe`."""
        return "load the Smack rules of the labels net, host and virtsec-rest"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        del host
        for path, (text, mode) in self.place.files().items():
            replace(path, text, mode)
        with failing(Path("/sys/fs/smackfs")):
            for rule in policy.base_rules():
                self.place.smackfs.load(rule)
            self.place.smackfs.label_hosts(policy.text("virtsec.netlabel").strip())
        if missing := missing_rules(self.place):
            raise PolicyFailed(f"The kernel did not take the rule '{missing[0]}'.", "See `dmesg`.")

    def undo(self, host: Host) -> None:
        """See `Step.undo`. Containers of an earlier version go on under its rules."""
        del host
        earlier = parse(self.before.get(self.place.root / _RULES, ""), f"/{_RULES}")
        about = {(rule.subject, rule.object) for rule in earlier}
        with failing(Path("/sys/fs/smackfs")):
            for rule in policy.base_rules():
                if (rule.subject, rule.object) not in about:
                    self.place.smackfs.load(Rule(rule.subject, rule.object, "-"))
            for rule in earlier:
                self.place.smackfs.load(rule)
            if self.place.root / _NETLABEL not in self.before:
                # An entry cannot be taken out, but one marked so counts as none.
                hosts = policy.text("virtsec.netlabel").split()[0]
                self.place.smackfs.label_hosts(f"{hosts} -CIPSO")
        for path, (_, mode) in self.place.files().items():
            if path in self.before:
                replace(path, self.before[path], mode)
                continue
            remove(path)
        run(SYSTEMCTL, "daemon-reload")
        if self.place.unit(CHANGES) in self.before:
            run(SYSTEMCTL, "try-restart", CHANGES)
        # Other directories are those of the packages whose files are beside ours, empty or not.
        for directory in (Path(_RULES).parent, Path(_NETLABEL).parent, Path("etc/smack")):
            with failing(self.place.root / directory):
                remove_empty(self.place.root / directory)


@dataclass(frozen=True, slots=True)
class UnloadBase:
    """Take those rules out again."""

    place: Place

    def describe(self) -> str:
        """See `Step.describe`."""
        return "take out the Smack rules of the labels net, host and virtsec-rest"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        LoadBase(self.place).undo(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        LoadBase(self.place).apply(host)


@dataclass(frozen=True, slots=True)
class StartUnits:
    """Have files that are replaced labelled again, now and from each boot on."""

    again: bool = False  #: an earlier version's do so already

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"start {CHANGES}, which labels replaced files"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        del host
        run(SYSTEMCTL, "daemon-reload")
        run(SYSTEMCTL, "enable", "--quiet", PROTECT, CHANGES)
        run(SYSTEMCTL, "restart", CHANGES)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        del host
        if not self.again:
            run(SYSTEMCTL, "disable", "--quiet", "--now", PROTECT, CHANGES)


@dataclass(frozen=True, slots=True)
class StopUnits:
    """Have them labelled no longer."""

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"stop {CHANGES}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        StartUnits().undo(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        StartUnits().apply(host)


@dataclass(frozen=True, slots=True)
class ProtectHost:
    """Label what containers may not read."""

    place: Place
    before: tuple[hostfiles.Entry, ...] = ()  #: what was labelled

    def describe(self) -> str:
        """See `Step.describe`."""
        return "label what containers may not read with 'host'"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        with shown(host.progress, self.describe()), failing(self.place.root / _PROTECTED):
            self.place.protect()

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        record = self.place.root / _PROTECTED
        with shown(host.progress, "take the label 'host' off again"), failing(record):
            hostfiles.expose(self.place.protected(), self.place.root, but=self.before)
            if self.before:
                hostfiles.protect(self.before, self.place.root)
                _note(record, self.before)
            else:
                remove(record)


@dataclass(frozen=True, slots=True)
class ExposeHost:
    """Take that label off again."""

    place: Place

    def describe(self) -> str:
        """See `Step.describe`."""
        return "take the label 'host' off again"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        ProtectHost(self.place).undo(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        ProtectHost(self.place).apply(host)
