"""`import virtsec` as a library, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import virtsec


def test_everything_named_is_there() -> None:
    for name in virtsec.__all__:
        assert getattr(virtsec, name) is not None
    with pytest.raises(AttributeError):
        _ = virtsec.nothing


def test_importing_it_imports_neither_lxml_nor_libvirt() -> None:
    code = "import sys, virtsec; print({'lxml', 'libvirt', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
