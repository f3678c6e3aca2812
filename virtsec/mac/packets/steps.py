"""One nftables table that labels what containers send, kept by a unit of systemd's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.mac.install import SYSTEMCTL, active, failing, read, replace, run
from virtsec.mac.packets import keeper
from virtsec.resources import resource
from virtsec.step import Host, Step

UNIT = "virtsec-packets.service"
_UNIT = f"etc/systemd/system/{UNIT}"
_KEEPER = "usr/libexec/virtsec/packets"
_TABLE = "etc/virtsec/packets.nft"
_NFT = "/usr/sbin/nft"


def files(root: Path, label: str) -> dict[Path, tuple[str, int]]:
    """What is installed beneath `root` to have packets labelled `label`: texts and modes."""
    unit, table = (_text(name) for name in (UNIT, "virtsec.nft"))
    first, rest = Path(keeper.__file__).read_text().split("\n", 1)
    mark = unit.split("\n", 1)[0]
    return {
        root / _TABLE: (table.replace("{label}", label), 0o644),
        root / _KEEPER: (f"{first}\n{mark}\n{rest}", 0o755),
        root / _UNIT: (unit, 0o644),
    }


def missing(root: Path, label: str) -> list[Path]:
    """Those of `files` that are not there as this version has them."""
    return [path for path, (text, _) in files(root, label).items() if read(path) != text]


def in_force() -> bool:
    """Whether packets are labelled now: the unit runs, and with it ends its table."""
    return active(UNIT)


def setup_steps(root: Path, label: str) -> list[Step]:
    """What is left to do, so that packets are labelled."""
    return [LabelPackets(root, label)] if missing(root, label) or not in_force() else []


def remove_steps(root: Path, label: str) -> list[Step]:
    """What undoes it, where something of it is there."""
    there = any(path.exists() for path in files(root, label))
    return [LeavePackets(root, label)] if there else []


@dataclass(frozen=True, slots=True)
class LabelPackets:
    """Have packets that containers send labelled, now and from each boot on."""

    root: Path
    label: str

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"start {UNIT}, which labels what containers send"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        for path, (text, mode) in files(self.root, self.label).items():
            replace(path, text, mode)
            host.mac.restore([PurePosixPath(path)])
        run(SYSTEMCTL, "daemon-reload")
        run(SYSTEMCTL, "enable", "--quiet", UNIT)
        run(SYSTEMCTL, "restart", UNIT)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        del host
        if (self.root / _UNIT).exists():
            run(SYSTEMCTL, "disable", "--quiet", "--now", UNIT)
            run(_NFT, "destroy", "table", "bridge", "virtsec")
        for path in files(self.root, self.label):
            with failing(path):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # somebody's files are in it, or it was there before
                path.parent.rmdir()
        run(SYSTEMCTL, "daemon-reload")


@dataclass(frozen=True, slots=True)
class LeavePackets:
    """Leave packets as they are again."""

    root: Path
    label: str

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"stop {UNIT}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        LabelPackets(self.root, self.label).undo(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        LabelPackets(self.root, self.label).apply(host)


def _text(name: str) -> str:
    return resource("policies", "packets", name).read_text()
