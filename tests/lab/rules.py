"""Defences taken away for a moment, each by what the host's administrator could do to it."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.shell import run
from machine.qemu import Lsm

RULES = Path("/sys/fs/smackfs/load2")
FILES = ("packets", "traffic")
#: In the rule that keeps containers' ports apart, and in those that keep others from the tables.
APART, OWNED = 'oifname "vs-*"', "flags owner, persist"


@contextmanager
def rule(text: str) -> Iterator[None]:
    """A rule of Smack's that virtsec would never load, for as long as it is shown what it opens."""
    subject, thing, _ = text.split()
    RULES.write_text(text)
    try:
        yield
    finally:
        RULES.write_text(f"{subject} {thing} -")


@contextmanager
def answered(lsm: Lsm, name: str) -> Iterator[None]:
    """Let container `name` answer the host's own tasks.

    Smack asks both sides of a connection, and of the second it is silent only where the first has
    CAP_MAC_OVERRIDE: without this a lack of capabilities would seem to refuse what the label does.
    """
    if lsm is Lsm.SMACK:
        with rule(f"{name} _ w"):
            yield
        return
    yield


@contextmanager
def unlabelled(lsm: Lsm) -> Iterator[None]:
    """Have the label of containers' packets keep nobody from them."""
    if lsm is Lsm.SMACK:
        with together(), rule("net vs2 w"), rule("net vs1 w"):
            yield
        return
    with unfiltered():
        yield


@contextmanager
def unfiltered() -> Iterator[None]:
    """Have nothing keep containers' packets from anywhere."""
    run("systemctl", "stop", "virtsec-packets")
    _without_tables()
    try:
        yield
    finally:
        run("systemctl", "start", "virtsec-packets")


@contextmanager
def together() -> Iterator[None]:
    """Have what containers send labelled as ever, and let through from one's port to another's."""
    packets, traffic = (Path("/etc/virtsec", f"{each}.nft").read_text() for each in FILES)
    text = packets.replace(f'include "/etc/virtsec/{FILES[1]}.nft"', traffic)
    lines = [line for line in text.splitlines() if APART not in line and OWNED not in line]
    assert len(lines) < len(text.splitlines()) - text.count(OWNED), "nothing keeps them apart"
    with unfiltered():
        run("nft", "-f", "-", stdin="\n".join(lines) + "\n")
        try:
            yield
        finally:
            _without_tables()


def _without_tables() -> None:
    for family in ("bridge", "inet"):
        run("nft", "destroy", "table", family, "virtsec")


@contextmanager
def permissive(lsm: Lsm, name: str, *others: str) -> Iterator[None]:
    """Have the policy refuse container `name` nothing, be it the host's or that of `others`."""
    if lsm is Lsm.SMACK:
        with ExitStack() as stack:
            for thing in ("_", "host", *others):
                stack.enter_context(rule(f"{name} {thing} rwxatl"))
            for other in others:  # and its answers, see `answered`
                stack.enter_context(rule(f"{other} {name} w"))
            yield
        return
    module = f"{name}-permissive"
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, f"{module}.cil")
        text.write_text(f"(typepermissive {name}_t)\n")
        run("semodule", "-i", str(text))
    try:
        yield
    finally:
        run("semodule", "-r", module)
