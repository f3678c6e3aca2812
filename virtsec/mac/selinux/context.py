"""SELinux security contexts: `user:role:type:level`, and the names virtsec gives a container.

A level here is `s0` or `s0:cA,cB`, in ranges `low-high`. Source: SELinux Notebook, "Security
Context" and "MLS/MCS".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from virtsec.spec import Label

MODEL = "selinux"
ATTRIBUTE = "security.selinux"
#: Categories of the reference policy, c0 to c1023.
CATEGORY_COUNT = 1024
_CONTEXT = re.compile(r"([^:\s]+):([^:\s]+):([^:\s]+)(?::(\S+))?")
_CATEGORY = re.compile(r"c(\d{1,4})(?:\.c(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Types:
    """The three types a container's module declares."""

    domain: str
    exec: str
    file: str

    def all(self) -> tuple[str, str, str]:
        """Every one of them."""
        return (self.domain, self.exec, self.file)


#: The types of all containers that categories alone part; no container can be called so.
SHARED = "virtsec_shared"


def types_of(name: str) -> Types:
    """The types of container `name`: the article's vs1_t, vs1_exec_t and vs1_file_t."""
    return Types(f"{name}_t", f"{name}_exec_t", f"{name}_file_t")


def is_shared(label: Label) -> bool:
    """Whether the types of `label` are those of `SHARED`."""
    return type_of(label.process) == types_of(SHARED).domain


def label_of(name: str, pair: tuple[int, int]) -> Label:
    """The label of container `name`, or of one of `SHARED`, with categories `pair` (A < B)."""
    types = types_of(name)
    level = f"s0:c{pair[0]},c{pair[1]}"
    return Label(
        model=MODEL,
        process=f"system_u:system_r:{types.domain}:{level}",
        file=f"system_u:object_r:{types.file}:{level}",
        init=f"system_u:object_r:{types.exec}:{level}",
    )


def type_of(context: str) -> str | None:
    """The type of `context`, or None when it is not a context."""
    match = _CONTEXT.fullmatch(context)
    return match[3] if match else None


def categories_of(context: str) -> frozenset[int]:
    """The categories of the high level of `context`; empty when it has none.

    >>> sorted(categories_of("system_u:system_r:vs1_t:s0:c1,c2"))
    [1, 2]
    """
    match = _CONTEXT.fullmatch(context)
    if not match or not match[4]:
        return frozenset()
    high = match[4].rpartition("-")[2]
    found: set[int] = set()
    for part in high.partition(":")[2].split(","):
        category = _CATEGORY.fullmatch(part)
        if category:
            first = int(category[1])
            found.update(range(first, int(category[2] or first) + 1))
    return frozenset(number for number in found if number < CATEGORY_COUNT)
