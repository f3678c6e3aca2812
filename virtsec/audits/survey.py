"""Asking the policy about every container, and about each with each; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from virtsec.domain.metadata import Container
from virtsec.mac.reach import Access, Channel, Reach


@dataclass(frozen=True, slots=True)
class Reaching:
    """Labels of the host's files that one container may act on."""

    name: str  #: the container's
    privileged: bool  #: root inside is root outside
    label: str  #: of its processes
    read: tuple[str, ...]  #: labels whose files it may read
    write: tuple[str, ...]  #: and write
    execute: tuple[str, ...]  #: and execute


@dataclass(frozen=True, slots=True)
class Open:
    """One container may act on another."""

    source: str  #: who acts
    target: str  #: on whom
    channel: Channel
    by: tuple[str, ...]  #: what lets it: labels, rules, or words on what is missing


@dataclass(frozen=True, slots=True)
class Shared:
    """What some containers may write and others read, so that data could pass."""

    through: str  #: the label
    kept: str  #: what keeps data from passing all the same; empty when nothing is known to
    writers: tuple[str, ...]  #: containers that may write it
    readers: tuple[str, ...]  #: containers that may read it


def of_host(reach: Reach, containers: Sequence[Container]) -> Iterator[Reaching]:
    """What each may do to the host's files."""
    for each in containers:
        label = each.identity.label
        found = {access: tuple(sorted(labels)) for access, labels in reach.of_host(label).items()}
        yield Reaching(
            each.name,
            each.spec.privileged,
            label.process,
            found[Access.READ],
            found[Access.WRITE],
            found[Access.EXECUTE],
        )


def opened(reach: Reach, containers: Sequence[Container]) -> Iterator[Open]:
    """By what any may act on any other."""
    for one, other in _pairs(containers):
        between = reach.between(one.identity.label, other.identity.label)
        for channel in Channel:
            if channel in between:
                yield Open(one.name, other.name, channel, tuple(between[channel]))


def shared(reach: Reach, containers: Sequence[Container]) -> Iterator[Shared]:
    """Through what data could pass from any to any other."""
    found: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for one, other in _pairs(containers):
        for through, kept in reach.through(one.identity.label, other.identity.label).items():
            found[through, kept].append((one.name, other.name))
    for (through, kept), pairs in sorted(found.items()):
        writers, readers = zip(*pairs, strict=True)
        yield Shared(through, kept, tuple(sorted(set(writers))), tuple(sorted(set(readers))))


def _pairs(containers: Sequence[Container]) -> Iterator[tuple[Container, Container]]:
    return ((one, other) for one in containers for other in containers if one is not other)
