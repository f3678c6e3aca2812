"""What the policy in force lets a container reach: questions that both security modules answer.

Only the policy is asked. Namespaces, capabilities and file modes refuse much before it; what is
found here is what a container could reach if all of them failed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Protocol

from virtsec.spec import Label


class Access(StrEnum):
    """What may be done with a file."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"


class Channel(StrEnum):
    """By what one container acts on another."""

    FILES = "files"  #: reads, writes or runs what is in its tree
    SIGNALS = "signals"  #: signals its processes, or traces them
    NETWORK = "network"  #: its packets arrive at the other's sockets


class Reach(Protocol):
    """The policy as it was in force at one moment. Asking changes nothing."""

    def host_labels(self) -> int:
        """How many labels things of the host may have: what `of_host` is a part of."""

    def of_host(self, label: Label) -> Mapping[Access, Collection[str]]:
        """Labels of the host's files that the container labelled `label` may act on."""

    def between(self, one: Label, other: Label) -> Mapping[Channel, Collection[str]]:
        """What lets container `one` act on `other`: labels, or words on what is missing.

        A channel that the policy closes is not there.
        """

    def through(self, one: Label, other: Label) -> Mapping[str, str]:
        """Labels of neither's that `one` may write and `other` read, so that data could pass.

        Each with what keeps it from passing all the same, empty when nothing is known to. The
        host's own tasks are not counted: they are trusted with what both have.
        """
