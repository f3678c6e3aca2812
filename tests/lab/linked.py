"""A link between two containers, for as long as a test needs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from demo.containers import Container
from demo.shell import virtsec


@contextmanager
def linked(one: Container, other: Container, *ports: str) -> Iterator[None]:
    """`one` may ask `other` at `ports`, such as 80/tcp."""
    virtsec("link", one.name, other.name, *(word for port in ports for word in ("--port", port)))
    try:
        yield
    finally:
        virtsec("unlink", one.name, other.name)
