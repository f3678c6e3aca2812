"""Stand-ins for modules that only the guest has, so that the host can collect tests using them."""

import sys
from collections.abc import MutableSequence, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

GUEST_ONLY = ("libvirt", "libvirt_lxc", "selinux", "setools")


class _StandIn(ModuleType):
    """A module that has every attribute: a class that is good for nothing but a name."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - as modules declare it

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {"__module__": self.__name__})


class _Finder(MetaPathFinder, Loader):
    """Found last, so only for what the host really lacks."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for ``fullname`` if it is one of the guest's modules."""
        if fullname.partition(".")[0] not in GUEST_ONLY:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the stand-in."""
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is nothing to run."""


def stand_in() -> None:
    """Let this process import what only the guest has."""
    sys.meta_path.append(_Finder())
