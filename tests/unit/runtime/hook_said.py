"""What the hook says of a domain, asked of the program as libvirt asks it, in this process.

Nothing of what it is made of is known here: it runs from its own directory, as where it is
installed, on a host that has both security modules and no packet filter. Missing the filter is the
first thing that stops a start whose XML is as it should be, so that sentence means that it is.
"""

from __future__ import annotations

import io
import posix
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from virtsec.runtime import hook

_RUNNING = ("/sys/fs/selinux/enforce", "/sys/fs/smackfs/load2")
_PACKETS = "/run/virtsec-packets"


class Hook(Enum):
    """What it makes of a domain."""

    FOREIGN = "none of virtsec's, left alone"
    FINE = "virtsec's, and as it should be"
    REFUSED = "refused"


@contextmanager
def _host(argv: list[str], data: bytes) -> Iterator[None]:
    stat = posix.stat

    def found(path: Any, *arguments: Any, **named: Any) -> Any:
        if path == _PACKETS:
            raise FileNotFoundError(path)
        return stat("/" if path in _RUNNING else path, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hook, "__path__", [str(Path(hook.__file__).parent)])
        patch.setitem(sys.modules, "__main__", hook)
        patch.setattr(sys, "argv", argv)
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        patch.setattr(posix, "stat", found)
        patch.setattr("resource.setrlimit", lambda *_: None)  # it is to be ended, we are not
        patch.setattr("gc.disable", lambda: None)
        yield


def hook_says(name: str, data: bytes) -> tuple[Hook, str]:
    """Its verdict on the XML alone, and its sentence where it is one that refuses."""
    with _host(["50-virtsec", name, "prepare", "begin", "-"], data):
        try:
            hook.main()
        except Exception as error:
            sentence = hook.sentence(error).decode("ascii")
        else:
            return Hook.FOREIGN, ""
    assert sentence.startswith(f"virtsec: {name} is not started: ")
    assert sentence.endswith(".\n")
    assert sentence[:-1].isprintable()
    if "virtsec-packets.service does not run" in sentence:
        return Hook.FINE, ""
    return Hook.REFUSED, sentence
