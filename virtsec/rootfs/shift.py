"""Which ids a tree has, which it is to have, and what follows for each inode; pure.

A tree is based at B when its owners are B (root inside) to B + 65,535. Ids that are based at the
target already are left as they are, so an interrupted shift can be taken up again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from virtsec.kernel import filecap, posixacl
from virtsec.spec import ID_COUNT, IdRange


class ForeignId(Exception):
    """An id that belongs neither to where a tree comes from nor to where it goes."""

    def __init__(self, identity: int) -> None:
        super().__init__(identity)
        self.identity = identity


@dataclass(frozen=True, slots=True)
class Shift:
    """From any of the bases `sources` to the base `target`. Without sources all ids stay."""

    sources: tuple[int, ...]
    target: int

    def moved(self, identity: int) -> int:
        """The id to have instead of `identity`. Raises `ForeignId`."""
        if not self.sources or self.target <= identity < self.target + ID_COUNT:
            return identity
        for base in self.sources:
            if base <= identity < base + ID_COUNT:
                return self.target + identity - base
        raise ForeignId(identity)

    def acl(self, value: bytes) -> bytes:
        """The value of system.posix_acl_* to have. Raises `ForeignId`, `ValueError`."""
        return posixacl.translate(value, self.moved)

    def capability(self, value: bytes) -> bytes:
        """The value of security.capability to have.

        Capabilities in the initial user namespace (revision 2) become the container's own
        (revision 3), and back when the target is 0. Raises `ForeignId`, `ValueError`.
        """
        found = filecap.parse(value)
        return filecap.build(replace(found, root_id=self.moved(found.root_id)))


def plan_shift(owner: int, ids: IdRange | None, earlier: tuple[int, ...] = ()) -> Shift:
    """How to get a tree whose root directory belongs to `owner` to `ids` (None: the host's own).

    `earlier` are the bases that a shift which did not end has left ids at. Under `ids`, ids below
    65,536 are the container's too: what root put into the tree from outside.
    """
    target = 0 if ids is None else ids.start
    bases = [*earlier, start_of(owner, target)]
    if ids is not None:
        bases.append(0)
    return Shift(tuple(base for base in dict.fromkeys(bases) if base != target), target)


def start_of(owner: int, target: int) -> int:
    """The first id of a tree whose root directory belongs to `owner`."""
    if target <= owner < target + ID_COUNT:
        return target
    return 0 if owner < ID_COUNT else owner
