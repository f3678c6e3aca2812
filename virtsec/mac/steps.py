"""The steps that put a container's policy into the kernel and take it out again."""

from __future__ import annotations

from dataclasses import dataclass

from virtsec.mac.protocol import Policy
from virtsec.step import Host


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """Load one container's policy."""

    policy: Policy

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"load the policy of {self.policy.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.progress.begin(self.describe(), None)
        try:
            host.mac.load([self.policy])
        finally:
            host.progress.end()

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.unload([self.policy.name])


@dataclass(frozen=True, slots=True)
class ReplacePolicy:
    """Load one container's policy in the place of its earlier one."""

    before: Policy
    after: Policy

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"load the policy of {self.after.name} anew"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        LoadPolicy(self.after).apply(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.load([self.before])


@dataclass(frozen=True, slots=True)
class UnloadPolicy:
    """Take one container's policy out."""

    policy: Policy

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"unload the policy of {self.policy.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.progress.begin(self.describe(), None)
        try:
            host.mac.unload([self.policy.name])
        finally:
            host.progress.end()

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.mac.load([self.policy])
