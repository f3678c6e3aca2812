"""Smack rules that virtsec would never load, to show what they would open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RULES = Path("/sys/fs/smackfs/load2")


@contextmanager
def rule(text: str) -> Iterator[None]:
    """A rule, for as long as it is shown what it opens."""
    subject, thing, _ = text.split()
    RULES.write_text(text)
    try:
        yield
    finally:
        RULES.write_text(f"{subject} {thing} -")
