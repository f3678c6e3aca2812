"""base create, refresh, list, info, remove: trees that containers share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from virtsec.commands.find import check_ready, find_ours
from virtsec.commands.lock import host_lock
from virtsec.errors import BadInput, NotFound, Refused
from virtsec.names import check_name
from virtsec.plan.tree import plan_follow
from virtsec.rootfs.bases import BASES, tree_of
from virtsec.rootfs.follow import beside
from virtsec.rootfs.layers import base_of
from virtsec.rootfs.sources import DEFAULT_INIT, check_root, inspect_source
from virtsec.rootfs.steps import FillTree, KeepTree, MakeBase, RemoveBase
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.unfinished import is_unfinished
from virtsec.rootfs.walk import Root, directories, opened
from virtsec.spec import STORE, Base
from virtsec.step import Host, Watcher, execute

_BLOCK = 512  # bytes, in st_blocks (inode(7))


@dataclass(frozen=True, slots=True)
class Made:
    """A generation that was made, and those that were removed since nobody is on them."""

    name: str
    generation: int
    tree: PurePosixPath
    removed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A container, or the tree of one that is no longer defined, on a base."""

    name: str
    size: int  #: what its own layer takes, in bytes


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a base."""

    number: int
    tree: PurePosixPath
    size: int  #: what it takes, in bytes
    users: tuple[User, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """A base with all of its generations, the newest last."""

    name: str
    generations: tuple[Generation, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """A base that is gone."""

    name: str


def names() -> list[str]:
    """Every base there is."""
    return [name for name in _listed(BASES) if _generations(name)]


def newest(name: str) -> Base:
    """The generation that a new container gets. Raises `NotFound`."""
    found = _generations(check_name(name))
    if not found:
        raise NotFound(f"There is no base {name}.", f"Run `virtsec base create {name}`.")
    return found[-1]


def check_base(base: Base, init: PurePosixPath) -> None:
    """Raise `NotFound` or `BadInput` unless it is there and has that init."""
    newest(base.name)
    with explained("read", tree_of(base)), opened(tree_of(base)) as root:
        check_root(root, init)


def create(name: str, source: str, host: Host, watch: Watcher | None = None) -> Made:
    """Make the first generation of a base. Raises as `define` does for a source."""
    check_ready(host)
    check_name(name)
    with host_lock(host.progress):
        if _generations(name):
            raise BadInput(
                f"There is a base {name} already.", f"See `virtsec base refresh {name}`."
            )
        return make_first(name, source, host, watch)


def make_first(name: str, source: str, host: Host, watch: Watcher | None = None) -> Made:
    """`create` for who holds the host's lock, of one that is not there."""
    return _make(Base(check_name(name)), source, host, watch)


def refresh(name: str, source: str, host: Host, watch: Watcher | None = None) -> Made:
    """Make another generation of a base; containers on earlier ones stay on them.

    Those that nobody is on are removed. Raises as `create` does.
    """
    check_ready(host)
    with host_lock(host.progress):
        before = newest(name)
        made = _make(Base(name, before.generation + 1), source, host, watch)
        idle = [each for each in _begun(name) if each.generation != made.generation and not _users(each)]
        execute([RemoveBase(each) for each in idle], host, watch)
    return replace(made, removed=tuple(each.generation for each in idle))


def follow(name: str, host: Host, watch: Watcher | None = None) -> Base | None:
    """Move stopped container `name` to the newest generation of its base; what it is on then.

    None where it is on no base. What it has changed stays as it is. One that was killed is taken up
    by the next. Raises what `find_ours` does, `Refused` while it runs, and `Failed` when a step
    fails; what was begun is undone then.
    """
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        spec = container.spec
        if spec.base is None:
            return None
        base = newest(spec.base.name)
        # Beside it is what an earlier run left that was killed at its end.
        if base != spec.base or os.path.lexists(beside(name).parent):
            laid = base_of(spec.rootfs)
            execute(plan_follow(container, record, base, laid, host.mac), host, watch)
        return base


def describe(name: str) -> Described:
    """A base, with who is on it and what each takes. Raises `NotFound`."""
    newest(name)
    return Described(name, tuple(_described(each) for each in _generations(name)))


def _described(base: Base) -> Generation:
    users = tuple(User(name, _size(STORE / name / "rootfs")) for name in _users(base))
    return Generation(base.generation, tree_of(base), _size(tree_of(base)), users)


def remove(name: str, host: Host, watch: Watcher | None = None) -> Removed:
    """Remove a base. Raises `NotFound`, and `Refused` while a container is on it."""
    with host_lock(host.progress):
        bases = _begun(name)
        if not bases:
            newest(name)
        users = [user for base in bases for user in _users(base)]
        if users:
            raise Refused(
                f"The base {name} is in use by {', '.join(users)}.",
                "Undefine them with --storage first.",
            )
        execute([RemoveBase(each) for each in bases], host, watch)
    return Removed(name)


def _make(base: Base, source: str, host: Host, watch: Watcher | None) -> Made:
    tree = tree_of(base)
    found = inspect_source(source, tree, store=BASES / base.name)
    marks = host.mac.base_marks()
    steps = (
        MakeBase(base),
        FillTree(tree, source, None, DEFAULT_INIT, base.name, marks, found.members),
        KeepTree(tree, made=True),
    )
    execute(steps, host, watch)
    return Made(base.name, base.generation, tree)


def _begun(name: str) -> list[Base]:
    """All of a base, the newest last: those that are whole, and what of one was cut off."""
    check_name(name)
    numbers = sorted(int(each) for each in _listed(BASES / name) if each.isdecimal())
    if not numbers and Path(BASES / name).is_dir():
        numbers = [1]
    return [Base(name, number) for number in numbers]


def _generations(name: str) -> list[Base]:
    """Those that are whole, the newest last."""
    trees = [(each, tree_of(each)) for each in _begun(name)]
    return [each for each, tree in trees if Path(tree).is_dir() and not is_unfinished(tree)]


def _users(base: Base) -> list[str]:
    """Whose tree is a layer on it, by the directory in the store."""
    return [name for name in _listed(STORE) if base_of(STORE / name / "rootfs") == base]


def _listed(directory: PurePosixPath) -> list[str]:
    with suppress(FileNotFoundError):
        return sorted(each.name for each in Path(directory).iterdir())
    return []


def _size(tree: PurePosixPath) -> int:
    """What a tree takes on its disk; an inode with several names counts once."""
    with explained("read", tree), opened(tree) as root:
        return sum(dict(_blocks(root)).values()) * _BLOCK


def _blocks(root: Root) -> Iterator[tuple[int, int]]:
    for directory in directories(root):
        for entry in directory.entries:
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                yield found.st_ino, found.st_blocks
