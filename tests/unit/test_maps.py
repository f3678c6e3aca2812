"""Packages begin with a map of their modules, which names each, and none that is not there."""

from __future__ import annotations

import pkgutil
import re
from types import ModuleType

import pytest

import virtsec.attacks
import virtsec.commands
import virtsec.domain
import virtsec.rootfs

_ENTRY = re.compile(r"^    ([a-z0-9]+)/? +\S", re.MULTILINE)


@pytest.mark.parametrize(
    "package", [virtsec.attacks, virtsec.commands, virtsec.domain, virtsec.rootfs]
)
def test_a_map_is_complete(package: ModuleType) -> None:
    there = {found.name for found in pkgutil.iter_modules(package.__path__)}
    assert package.__doc__
    mapped = _ENTRY.findall(package.__doc__)
    assert sorted(mapped) == sorted(there)
