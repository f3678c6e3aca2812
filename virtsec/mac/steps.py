"""The steps that put a container's policy into the kernel and take it out again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from virtsec.mac.protocol import Policy
from virtsec.spec import Egress, Traffic
from virtsec.step import Host, shown


@dataclass(frozen=True, slots=True)
class RestoreLabels:
    """Put the policy's own labels on files of ours that have others."""

    paths: tuple[PurePosixPath, ...]

    def describe(self) -> str:
        """See `Step.describe`."""
        more = f" and {len(self.paths) - 1} more" if self.paths[1:] else ""
        return f"restore the label of {self.paths[0]}{more}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.mac.restore(self.paths)

    def undo(self, host: Host) -> None:
        """See `Step.undo`. What they should have they keep."""


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """Load one container's policy."""

    policy: Policy

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"load the policy of {self.policy.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        with shown(host.progress, self.describe()):
            host.mac.load([self.policy])

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.unload([self.policy.name])


@dataclass(frozen=True, slots=True)
class LoadPolicies:
    """Load the policies of containers that are new, in one transaction."""

    policies: tuple[Policy, ...]

    def describe(self) -> str:
        """See `Step.describe`."""
        first, *others = self.policies
        more = f" and {len(others)} more" if others else ""
        return f"load the policy of {first.name}{more}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        with shown(host.progress, self.describe()):
            host.mac.load(self.policies)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.unload([each.name for each in self.policies])


@dataclass(frozen=True, slots=True)
class ReplacePolicies:
    """Load containers' policies in the place of their earlier ones, in one transaction."""

    before: tuple[Policy, ...]
    after: tuple[Policy, ...]

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"load the policy of {', '.join(each.name for each in self.after)} anew"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        with shown(host.progress, self.describe()):
            host.mac.load(self.after)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.load(self.before)


@dataclass(frozen=True, slots=True)
class UnloadPolicies:
    """Take containers' policies out, in one transaction: one takes seconds, whatever its size."""

    policies: tuple[Policy, ...]

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"unload the policy of {', '.join(each.name for each in self.policies)}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        with shown(host.progress, self.describe()):
            host.mac.unload([each.name for each in self.policies])

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.load(self.policies)


@dataclass(frozen=True, slots=True)
class SetTraffic:
    """Let containers' packets reach what they may, those of all containers at once."""

    before: Traffic
    after: Traffic

    def describe(self) -> str:
        """See `Step.describe`."""
        ways = (
            f"{name} to {link.to} {link}"
            for name in sorted(self.after.links)
            for link in sorted(self.after.links[name])
        )
        kept = "".join(
            f"; {name} may ask {'nobody' if reach is Egress.NONE else 'local addresses only'}"
            for name, reach in sorted(self.after.egress.items())
        )
        ports = ", ".join(map(str, sorted(self.after.exposed)))
        shut = f"; ports {ports} are for those outside" if ports else ""
        return f"let through between containers: {', '.join(ways) or 'nothing'}{kept}{shut}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.mac.let_through(self.after)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.let_through(self.before)
