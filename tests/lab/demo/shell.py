"""Running commands in the guest."""

import gc
import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import NoReturn

Result = subprocess.CompletedProcess[str]
Watched = AbstractContextManager[object]


def run(*argv: str, check: bool = True, stdin: str | None = None, timeout: float = 900) -> Result:
    """Run a command; with `check`, raise AssertionError with all it said when it fails."""
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, check=False, timeout=timeout
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(argv)} exited with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def virsh(*argv: str, check: bool = True, stdin: str | None = None) -> Result:
    """Run virsh on the LXC driver."""
    return run("virsh", "-c", "lxc:///", *argv, check=check, stdin=stdin)


def virtsec(
    *argv: str,
    check: bool = True,
    stdin: str | None = None,
    timeout: float = 900,
    watched: Watched | None = None,
) -> Result:
    """Run virtsec's command line in a process of its own, forked from this one; as `run`.

    This one has imported it already: under emulation that is most of what a command takes. What is
    about the installed command itself is run by `run`. In that process `watched` begins before the
    command and ends after it.
    """
    _import_all()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, _input(stdin) as source:
        child = os.fork()
        if child == 0:
            _command(argv, timeout, (source, out.fileno(), err.fileno()), watched)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    if status == -signal.SIGALRM:
        raise subprocess.TimeoutExpired(argv, timeout)
    if check and status != 0:
        raise AssertionError(f"virtsec {' '.join(argv)} exited with {status}\n{''.join(texts)}")
    return subprocess.CompletedProcess(["virtsec", *argv], status, *texts)


@cache
def _import_all() -> None:
    """Import what commands import when they run."""
    for package in ("cli", "commands"):
        place = importlib.import_module(f"virtsec.{package}").__path__
        for found in pkgutil.iter_modules(place, f"virtsec.{package}."):
            importlib.import_module(found.name)
    for name in ("virtsec.domain.connection", "virtsec.mac.detect", "rich.console", "rich.table"):
        importlib.import_module(name)
    if find_spec("setools") is not None:  # only where SELinux is to be tested
        importlib.import_module("setools")
    gc.freeze()  # what is here by now is no garbage: no command is to look for it, and to copy it


@contextmanager
def _input(text: str | None) -> Iterator[int]:
    """A descriptor to read `text` from, or nothing."""
    with tempfile.TemporaryFile() as file:
        file.write((text or "").encode())
        file.seek(0)
        yield file.fileno()


def _command(
    argv: tuple[str, ...],
    timeout: float,
    streams: tuple[int, int, int],
    watched: Watched | None,
) -> NoReturn:
    """In the child: what the installed command does."""
    status = 1
    try:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        signal.alarm(int(timeout))
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        from virtsec.cli import GARBAGE  # noqa: PLC0415
        from virtsec.cli.run import run as run_words  # noqa: PLC0415

        gc.set_threshold(GARBAGE)

        with watched or nullcontext():
            status = run_words(argv)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def stopped(name: str) -> None:
    """Have libvirt stop a domain now, where it is there and runs.

    It reads the domain's cgroups meanwhile and fails, now and then, where one of them vanishes: the
    domain runs on then, and what is tried next is tried on that one.
    """
    wait_for(f"{name} to stop", lambda: not _runs_on(name), 5)


def _runs_on(name: str) -> bool:
    if virsh("destroy", name, check=False).returncode == 0:
        return False
    return virsh("domstate", name, check=False).stdout.strip() == "running"


def wait_for(what: str, holds: Callable[[], object], attempts: int = 120) -> None:
    """Wait until `holds()` is true, a second or more between attempts; AssertionError otherwise."""
    for _ in range(attempts):
        if holds():
            return
        time.sleep(1)
    raise AssertionError(f"waited in vain: {what}")
