"""What an audit found, of all containers of a host."""

from __future__ import annotations

from dataclasses import dataclass

from virtsec.audits.survey import Open, Reaching, Shared
from virtsec.diagnosis.check import Checked
from virtsec.domain.links import Way
from virtsec.mac.protocol import Enforcement


@dataclass(frozen=True, slots=True)
class Audited:
    """The whole host."""

    model: str  #: the security module
    enforcement: Enforcement
    sound: bool  #: no container reaches another, nothing is shared unkept, nothing was found
    host_labels: int  #: how many labels things of the host may have
    containers: tuple[Reaching, ...]
    open: tuple[Open, ...]  #: every other pair is closed in each channel, but for links
    links: tuple[Way, ...]  #: what containers were let ask each other for on purpose
    shared: tuple[Shared, ...]
    findings: tuple[Checked, ...]  #: what is not as it must be, with its remedy

    def between(self, source: str, target: str) -> str:
        """What is open of one pair, in a few words; a dash where nothing is."""
        pair = (source, target)
        found = [each.channel.value for each in self.open if (each.source, each.target) == pair]
        return " ".join([*found, *map(str, self.linked(*pair))]) or "-"

    def linked(self, source: str, target: str) -> list[Way]:
        """The links of one pair."""
        return [each for each in self.links if (each.source, each.target) == (source, target)]

    def promise(self) -> str:
        """The sentence on containers of which none reaches another."""
        return f"No container may reach another{', but by a link' if self.links else ''}"
