"""Which 65,536 host ids a new container gets.

systemd divides the 32 bits of user ids (its UIDS-GIDS document): up to 524,287 are users, homes and
dynamic users; 524,288 to 1,879,048,191 is where systemd-nspawn takes a range for each of its
containers, by chance and without writing it down anywhere; 2,147,352,576 to 2,147,418,111 are
"foreign" ids; nothing above 2**31 is safe. shadow's useradd hands out /etc/subuid from 100,000 up.
So containers first get one of the 4,094 ranges that nobody claims, from 0x70000000 to 0x7FFDFFFF,
and only when these are used up one from nspawn's. All start at a multiple of 65,536, as systemd
recommends, so that ids 65,534 (nobody) and 65,535 (no id at all) inside never fall on a neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from virtsec.errors import Failed
from virtsec.spec import ID_COUNT, IdRange

#: First and last-plus-one id of the places to look in, in this order.
PLACES = ((0x70000000, 0x7FFE0000), (0x100000, 0x70000000))


def choose(taken: Iterable[IdRange]) -> IdRange:
    """The lowest free range; raises `Failed` when there is none."""
    return first(free(taken))


def free(taken: Iterable[IdRange]) -> Iterator[IdRange]:
    """All free ranges, the lowest of each place first.

    Takes O(n log n) for n ranges in `taken`, which may overlap each other, however many are used.
    """
    ordered = sorted(taken, key=lambda ids: ids.start)
    for low, high in PLACES:
        start = low
        for ids in (*ordered, IdRange(high, 1)):
            for begin in range(start, min(ids.start, high) - ID_COUNT + 1, ID_COUNT):
                yield IdRange(begin)
                start = begin + ID_COUNT
            if ids.stop > start:
                start = _aligned(ids.stop)


def first(found: Iterator[IdRange]) -> IdRange:
    """The next of them. Raises `Failed` when there is none."""
    for ids in found:
        return ids
    raise Failed(
        "Every range of user ids on this host is taken.",
        "Undefine a container, or shorten /etc/subuid and /etc/subgid.",
    )


def read_subordinate(text: str) -> tuple[IdRange, ...]:
    """The ranges of /etc/subuid or /etc/subgid (subuid(5): `owner:start:count` a line)."""
    found = []
    for line in text.splitlines():
        fields = line.split("#")[0].strip().split(":")
        if len(fields) == 3 and _decimal(fields[1]) and _decimal(fields[2]) and int(fields[2]):
            found.append(IdRange(int(fields[1]), int(fields[2])))
    return tuple(found)


def read_accounts(text: str) -> tuple[IdRange, ...]:
    """The ids of /etc/passwd or /etc/group: the third field of each line, a range of one each."""
    fields = (line.split(":") for line in text.splitlines())
    return tuple(IdRange(int(f[2]), 1) for f in fields if len(f) >= 3 and _decimal(f[2]))


def _decimal(text: str) -> bool:
    """Whether it is a number an id or count may be; longer ones are no file of this host's."""
    return text.isascii() and text.isdecimal() and len(text) <= 10


def _aligned(number: int) -> int:
    return -(-number // ID_COUNT) * ID_COUNT
