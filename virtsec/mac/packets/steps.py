"""One nftables table that labels what containers send, kept by a unit of systemd's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from virtsec.kernel.rmdir import remove_empty
from virtsec.mac.install import SYSTEMCTL, active, failing, read, remove, replace, run
from virtsec.mac.packets import keeper, traffic
from virtsec.resources import resource
from virtsec.spec import Traffic
from virtsec.step import Host, Step

UNIT = "virtsec-packets.service"
_UNIT = f"etc/systemd/system/{UNIT}"
_KEEPER = "usr/libexec/virtsec/packets"
_TABLE = "etc/virtsec/packets.nft"


@dataclass(frozen=True, slots=True)
class PacketLabels:
    """What the packets that containers send are labelled, in the words of the security module."""

    sent: str  #: which no container may receive
    linked: str  #: which all may, and only a link gives


def files(root: Path, labels: PacketLabels) -> dict[Path, tuple[str, int]]:
    """What is installed beneath `root` to have packets labelled: texts and modes."""
    unit, table = (_text(name) for name in (UNIT, "virtsec.nft"))
    first, rest = Path(keeper.__file__).read_text().split("\n", 1)
    mark = unit.split("\n", 1)[0]
    return {
        root / _TABLE: (
            table.replace("{sent}", labels.sent).replace("{linked}", labels.linked),
            0o644,
        ),
        root / _KEEPER: (f"{first}\n{mark}\n{rest}", 0o755),
        root / _UNIT: (unit, 0o644),
    }


def paths(root: Path, labels: PacketLabels) -> list[PurePosixPath]:
    """Where all is that is written to have packets labelled."""
    return [PurePosixPath(path) for path in (*files(root, labels), root / traffic.FILE)]


def missing(root: Path, labels: PacketLabels) -> list[Path]:
    """Those of `files` that are not there as this version has them."""
    found = [path for path, (text, _) in files(root, labels).items() if read(path) != text]
    return found if (root / traffic.FILE).exists() else [*found, root / traffic.FILE]


def in_force() -> bool:
    """Whether packets are labelled now: the unit runs, and with it ends its table."""
    return active(UNIT)


def let_through(
    wanted: Traffic, root: Path, restore: Callable[[Sequence[PurePosixPath]], None]
) -> None:
    """Put this in force, now and from each boot on; `restore` labels the file it is in.

    Raises `Failed`, and `PolicyFailed` when that file cannot be written.
    """
    restore([PurePosixPath(traffic.write(wanted, root))])
    run(SYSTEMCTL, "reload-or-restart", UNIT)


def setup_steps(root: Path, labels: PacketLabels, wanted: Traffic) -> list[Step]:
    """What is left to do, so that packets are labelled and reach what is `wanted`."""
    # An earlier version may have written the same otherwise.
    written = read(root / traffic.FILE) == traffic.text(wanted)
    if in_force() and written and not missing(root, labels):
        return []
    found = {path: read(path) for path in (*files(root, labels), root / traffic.FILE)}
    before = {path: text for path, text in found.items() if text is not None}
    return [LabelPackets(root, labels, wanted, before)]


def remove_steps(root: Path, labels: PacketLabels) -> list[Step]:
    """What undoes it, where something of it is there."""
    there = any(path.exists() for path in files(root, labels))
    return [LeavePackets(root, labels)] if there else []


@dataclass(frozen=True, slots=True)
class LabelPackets:
    """Have packets that containers send labelled, now and from each boot on."""

    root: Path
    labels: PacketLabels
    wanted: Traffic = field(default_factory=Traffic)
    before: Mapping[Path, str] = field(default_factory=dict)  #: what there was of its files

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"start {UNIT}, which labels what containers send"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        texts = {path: text for path, (text, _) in files(self.root, self.labels).items()}
        # Anew, whatever is there: an earlier version may have written it otherwise.
        self._start({**texts, self.root / traffic.FILE: traffic.text(self.wanted)}, host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`. Where packets were labelled they are: containers may be running."""
        if self.root / _UNIT in self.before:
            for path in files(self.root, self.labels).keys() - self.before.keys():
                remove(path)
            self._start(self.before, host)
            return
        if (self.root / _UNIT).exists():
            run(SYSTEMCTL, "disable", "--quiet", "--now", UNIT)
            for family in ("bridge", "inet"):
                run(traffic.NFT, "destroy", "table", family, "virtsec")
        for path in (self.root / traffic.FILE, *files(self.root, self.labels)):
            remove(path)
        for ours in (_KEEPER, _TABLE):
            with failing((self.root / ours).parent):
                remove_empty((self.root / ours).parent)
        run(SYSTEMCTL, "daemon-reload")

    def _start(self, texts: Mapping[Path, str], host: Host) -> None:
        for path, text in texts.items():
            replace(path, text, 0o755 if path == self.root / _KEEPER else 0o644)
            host.mac.restore([PurePosixPath(path)])
        run(SYSTEMCTL, "daemon-reload")
        run(SYSTEMCTL, "enable", "--quiet", UNIT)
        run(SYSTEMCTL, "restart", UNIT)


@dataclass(frozen=True, slots=True)
class LeavePackets:
    """Leave packets as they are again."""

    root: Path
    labels: PacketLabels

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"stop {UNIT}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        LabelPackets(self.root, self.labels).undo(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        LabelPackets(self.root, self.labels).apply(host)


def _text(name: str) -> str:
    return resource("policies", "packets", name).read_text()
