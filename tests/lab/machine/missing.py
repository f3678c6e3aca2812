"""Stand-ins for modules that are not there, so that tests can be collected that import them.

The host lacks what only the guest has; a bare guest lacks virtsec, which other tests use.
"""

import sys
from collections.abc import MutableSequence, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MAY_LACK = ("libvirt", "libvirt_lxc", "selinux", "setools", "virtsec")


class _StandIn(ModuleType):
    """A module that has every attribute: a class that is good for nothing but a name."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - as modules declare it

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {"__module__": self.__name__})


class _Finder(MetaPathFinder, Loader):
    """Found last, so only for what is really not there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for ``fullname`` if it may be lacking."""
        if fullname.partition(".")[0] not in MAY_LACK:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the stand-in."""
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is nothing to run."""


def stand_in() -> None:
    """Let this process import what is not there."""
    sys.meta_path.append(_Finder())
