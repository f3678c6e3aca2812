"""Where the trees are that containers share as their bases, and how each leads to its own; pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from virtsec.errors import BadInput
from virtsec.names import check_name
from virtsec.numbers import number
from virtsec.spec import STORE, Base

#: No container can be called so.
BASES = STORE / "_bases"


def tree_of(base: Base) -> PurePosixPath:
    """Where the tree of a generation is."""
    return BASES / base.name / str(base.generation) / "tree"


def link_to(base: Base) -> str:
    """How a container's directory in the store leads there: `../_bases/NAME/3/tree`."""
    return f"../{BASES.name}/{base.name}/{base.generation}/tree"


def base_at(link: str) -> Base | None:
    """What such a link leads to; None for another one."""
    parts = link.split("/")
    generation = number(parts[3]) if len(parts) == 5 else None
    if generation is None:
        return None
    try:
        base = Base(check_name(parts[2]), generation)
    except BadInput:
        return None
    return base if link_to(base) == link else None
