"""base create, refresh, list, info, remove: trees that containers share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from virtsec.commands.find import check_policy, find_ours
from virtsec.commands.host import open_host
from virtsec.errors import BadInput, Failed, NotFound, Refused
from virtsec.host.lock import host_lock
from virtsec.kernel.privilege import need_root
from virtsec.names import check_name
from virtsec.plans.tree import plan_follow
from virtsec.rootfs.bases import BASES, tree_of
from virtsec.rootfs.debian import default
from virtsec.rootfs.follow import RemoveBeside, beside
from virtsec.rootfs.layers import base_of
from virtsec.rootfs.sources import DEFAULT_INIT, check_root, inspect_source
from virtsec.rootfs.steps import FillTree, FlushTree, KeepTree, MakeBase, RemoveBase
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.unfinished import is_unfinished
from virtsec.rootfs.walk import Root, directories, opened
from virtsec.spec import STORE, Base, default_root
from virtsec.step import Host, Watcher, execute

_BLOCK = 512  # bytes, in st_blocks (inode(7))


@dataclass(frozen=True, slots=True)
class Made:
    """A generation that was made, and those that were removed since nobody is on them."""

    name: str  #: the base's
    generation: int  #: the number of the one that was made
    tree: PurePosixPath  #: where that is on this host
    removed: tuple[int, ...] = ()  #: the numbers of those that were removed


@dataclass(frozen=True, slots=True)
class User:
    """A container, or the tree of one that is no longer defined, on a base."""

    name: str  #: the container's
    size: int  #: what its own layer takes, in bytes


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a base."""

    number: int  #: counted from 1
    tree: PurePosixPath  #: where it is on this host
    size: int  #: what it takes, in bytes
    users: tuple[User, ...]  #: who is on it


@dataclass(frozen=True, slots=True)
class Described:
    """A base with all of its generations, the newest last."""

    name: str  #: the base's
    generations: tuple[Generation, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """A base that is gone."""

    name: str  #: that it had


def base_names() -> list[str]:
    """Every base there is. Raises `HostNotReady` unless root asks."""
    return [name for name in _listed(BASES) if _generations(name)]


def newest_base(name: str) -> Base:
    """The generation that a new container gets. Raises `NotFound`, and as `base_names`."""
    found = _generations(check_name(name))
    if not found:
        raise NotFound(f"There is no base {name}.", f"Run `virtsec base create {name}`.")
    return found[-1]


def check_base(base: Base, init: PurePosixPath) -> None:
    """Raise `NotFound` or `BadInput` unless it is there and has that init."""
    newest_base(base.name)
    with explained("read", tree_of(base)), opened(tree_of(base)) as root:
        check_root(root, init)


def create_base(
    name: str, source: str | None = None, host: Host | None = None, watch: Watcher | None = None
) -> Made:
    """Make the first generation of a base, of a Debian of the host's release without a source.

    Raises as `define` does for a source.
    """
    host = host or open_host()
    check_policy(host)
    check_name(name)
    with host_lock(host.progress):
        if _generations(name):
            raise BadInput(
                f"There is a base {name} already.", f"See `virtsec base refresh {name}`."
            )
        return make_first(name, source or default(), host, watch)


def make_first(name: str, source: str, host: Host, watch: Watcher | None = None) -> Made:
    """`create_base` for who holds the host's lock, of one that is not there."""
    return _make(Base(check_name(name)), source, host, watch)


def refresh_base(
    name: str, source: str | None = None, host: Host | None = None, watch: Watcher | None = None
) -> Made:
    """Make another generation of a base; containers on earlier ones stay on them.

    Those that nobody is on are removed. Raises as `create_base` does.
    """
    host = host or open_host()
    check_policy(host)
    with host_lock(host.progress):
        before = newest_base(name)
        made = _make(Base(name, before.generation + 1), source or default(), host, watch)
        earlier = [each for each in _begun(name) if each.generation != made.generation]
        idle = [each for each in earlier if not _users(each)]
        execute([RemoveBase(each) for each in idle], host, watch)
    return replace(made, removed=tuple(each.generation for each in idle))


def follow(name: str, host: Host, watch: Watcher | None = None) -> Base | None:
    """Move stopped container `name` to the newest generation of its base; what it is on then.

    None where it is on no base. What it has changed stays as it is. One that was killed is taken up
    by the next. Raises what `find_ours` does, `Refused` while it runs, and `Failed` when a step
    fails; what was begun is undone then, but for the removal of what it was on before.
    """
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        spec = container.spec
        if spec.base is None:
            return None
        base = newest_base(spec.base.name)
        # Beside it is what an earlier run left that was killed at its end.
        if base != spec.base or os.path.lexists(beside(name).parent):
            laid = base_of(spec.rootfs)
            execute(plan_follow(container, record, base, laid, host.mac), host, watch)
            # By itself: half of it would take its place again if this were undone.
            execute([RemoveBeside(beside(name))], host, watch)
        return base


def list_bases() -> list[Described]:
    """Every base there is, as `describe_base` has it. Raises `HostNotReady` unless root asks."""
    need_root()
    return [describe_base(name) for name in base_names()]


def describe_base(name: str) -> Described:
    """A base, with who is on it and what each takes. Raises `NotFound`, and as `list_bases`."""
    need_root()
    newest_base(name)
    return Described(name, tuple(_described(each) for each in _generations(name)))


def _described(base: Base) -> Generation:
    users = tuple(User(name, _size(default_root(name))) for name in _users(base))
    return Generation(base.generation, tree_of(base), _size(tree_of(base)), users)


def remove_base(name: str, host: Host | None = None, watch: Watcher | None = None) -> Removed:
    """Remove a base, or what of one was cut off.

    Raises `NotFound`, `Refused` while a container is on it, and `Failed` where something is left
    that is not virtsec's.
    """
    host = host or open_host()
    with host_lock(host.progress):
        bases = _begun(name)
        if not bases:
            newest_base(name)
        users = [user for base in bases for user in _users(base)]
        if users:
            raise Refused(
                f"The base {name} is in use by {', '.join(users)}.",
                "Undefine them first, with `virtsec undefine --storage`.",
            )
        execute([RemoveBase(each) for each in bases], host, watch)
        if _begun(name):
            raise Failed(
                f"The base {name} is gone, but {BASES / name} has something that is not virtsec's.",
                "Look at what is there, and remove it.",
            )
    return Removed(name)


def _make(base: Base, source: str, host: Host, watch: Watcher | None) -> Made:
    tree = tree_of(base)
    found = inspect_source(source, tree, store=BASES / base.name)
    marks = host.mac.base_marks()
    steps = (
        MakeBase(base),
        FillTree(tree, source, None, DEFAULT_INIT, base.name, marks, found),
        FlushTree(tree),
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
    return [name for name in _listed(STORE) if base_of(default_root(name)) == base]


def _listed(directory: PurePosixPath) -> list[str]:
    try:
        return sorted(each.name for each in Path(directory).iterdir())
    except FileNotFoundError:
        return []
    except PermissionError:
        need_root()
        raise


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
