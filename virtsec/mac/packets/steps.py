"""One nftables table that labels what containers send, kept by a unit of systemd's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from virtsec.kernel.rmdir import remove_empty
from virtsec.mac.install import SYSTEMCTL, active, failing, read, replace, run
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
    done = in_force() and not missing(root, labels)
    return [] if done else [LabelPackets(root, labels, wanted)]


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

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"start {UNIT}, which labels what containers send"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        for path, (text, mode) in files(self.root, self.labels).items():
            replace(path, text, mode)
            host.mac.restore([PurePosixPath(path)])
        # Anew, whatever is there: an earlier version may have written it otherwise.
        host.mac.restore([PurePosixPath(traffic.write(self.wanted, self.root))])
        run(SYSTEMCTL, "daemon-reload")
        run(SYSTEMCTL, "enable", "--quiet", UNIT)
        run(SYSTEMCTL, "restart", UNIT)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        del host
        if (self.root / _UNIT).exists():
            run(SYSTEMCTL, "disable", "--quiet", "--now", UNIT)
            for family in ("bridge", "inet"):
                run(traffic.NFT, "destroy", "table", family, "virtsec")
        for path in (self.root / traffic.FILE, *files(self.root, self.labels)):
            with failing(path):
                path.unlink(missing_ok=True)
        for ours in (_KEEPER, _TABLE):
            with failing((self.root / ours).parent):
                remove_empty((self.root / ours).parent)
        run(SYSTEMCTL, "daemon-reload")


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
