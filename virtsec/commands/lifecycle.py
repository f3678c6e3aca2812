"""start, shutdown, reboot, destroy: virsh's words and meanings."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from virtsec.commands import bases, live
from virtsec.commands.find import find, find_ours
from virtsec.commands.host import check_ready, open_host
from virtsec.commands.results import Acted, Started
from virtsec.domain.records import DomainRecord, DomainState
from virtsec.errors import Failed
from virtsec.step import Host

#: Signals by which an init that is known by its name powers off, and reboots: systemd(1),
#: "Signals"; busybox's init.c. A signal never makes the host enter the container, as writing to
#: its /dev/initctl does; and libvirt's own SIGTERM means something else to these two.
STOP_SIGNALS = {"systemd": signal.SIGRTMIN + 4, "init": int(signal.SIGUSR2)}
REBOOT_SIGNALS = {"systemd": signal.SIGRTMIN + 5, "init": int(signal.SIGTERM)}

_INTERVAL = 0.2  # seconds between looks at a container that is to stop


def start(name: str, host: Host | None = None, *, follow: bool = False) -> Started:
    """Start container `name`; returns when its init is executed.

    With `follow` it is moved to the newest generation of its base before.

    Raises `Refused` when the hook finds its confinement weakened, and `Failed` when it runs
    already, libvirt does not start it, or it cannot be moved.
    """
    host = host or open_host()
    record, container = find_ours(name, host)
    if record.active:
        raise Failed(f"{name} is running already.", f"See `virtsec info {name}`.")
    check_ready(host)
    if follow:
        bases.follow(name, host)
    with _asking(name, "start"):
        host.libvirt.start(name)
        live.wait_for_init(find(name, host).pid)
    return Started(
        name=name,
        label=container.identity.label.process,
        enforcement=host.mac.enforcement(),
    )


def shutdown(name: str, host: Host | None = None, wait: float | None = None) -> Acted:
    """Ask container `name` to power off; returns at once, or with `wait` when it is off.

    Raises `Failed` when it does not run, or still does after `wait` seconds.
    """
    host = host or open_host()
    with _asking(name, "shut down"):
        _ask(name, host, STOP_SIGNALS, host.libvirt.shutdown)
        state = _state(name, host) if wait is None else _off(name, host, wait)
    return Acted(name, "shutdown", state)


def reboot(name: str, host: Host | None = None) -> Acted:
    """Ask container `name` to stop and start again; returns at once.

    Raises `Failed` when it does not run.
    """
    host = host or open_host()
    with _asking(name, "reboot"):
        _ask(name, host, REBOOT_SIGNALS, host.libvirt.reboot)
    return Acted(name, "reboot", _state(name, host))


def destroy(name: str, host: Host | None = None) -> Acted:
    """Stop container `name` now, without asking it. Its tree and definition stay.

    Raises `Failed` when it does not run, or cannot be stopped.
    """
    host = host or open_host()
    _running(name, host)
    with _asking(name, "stop"):
        try:
            host.libvirt.destroy(name)
        except Failed:
            # libvirt reads the container's cgroups while it kills what is in them, and fails when
            # one vanishes in between. What counts is whether the container is gone; else once more.
            if _state(name, host) is not DomainState.SHUTOFF:
                time.sleep(_INTERVAL)
                host.libvirt.destroy(name)
    return Acted(name, "destroy", _state(name, host))


@contextmanager
def _asking(name: str, what: str) -> Iterator[None]:
    """Have an interrupt tell what a container was asked for: nothing takes that back."""
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(f"{name} may {what} all the same: see `virtsec list --all`.")
        raise


def _ask(
    name: str, host: Host, signals: Mapping[str, int], otherwise: Callable[[str], None]
) -> None:
    """Have init do what it does at one of `signals`, or libvirt where it is none of these."""
    number = signals.get(live.init_name(_running(name, host).pid) or "")
    if number is None:
        otherwise(name)
    else:
        host.libvirt.signal_init(name, number)


def _running(name: str, host: Host) -> DomainRecord:
    record, _ = find_ours(name, host)
    if not record.active:
        raise Failed(
            f"{name} is not running.",
            f"There is nothing to stop; `virtsec start {name}` starts it.",
        )
    return record


def _state(name: str, host: Host) -> DomainState:
    record = host.libvirt.domain(name)
    return DomainState.SHUTOFF if record is None else record.state


def _off(name: str, host: Host, wait: float) -> DomainState:
    deadline = time.monotonic() + wait
    while (state := _state(name, host)) is not DomainState.SHUTOFF:
        if time.monotonic() >= deadline:
            raise Failed(
                f"{name} is still {state.value} after {wait:g} seconds.",
                f"Run `virtsec destroy {name}` to stop it without asking.",
            )
        time.sleep(_INTERVAL)
    return state
