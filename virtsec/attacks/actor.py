"""The process that attacks, or that is attacked: it becomes what a container's init is, and acts.

Started as the door is, with a socket that keeps messages apart. The first message is its `Part`;
what it says and is told then is up to `attacking` and `virtsec.attacks.bait`. With all defences it
is confined exactly as what the door lets in; some are left out for what begins outside namespaces,
and in the laboratory, where each attack is to succeed with none of them.

It ends with the socket, and what it started ends with it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from virtsec.attacks import bait
from virtsec.attacks.probe import Aim, Defence, NotApplicable, Probe, Targets
from virtsec.attacks.probes import PROBES
from virtsec.kernel import userns
from virtsec.kernel.privilege import die_with_parent, prctl
from virtsec.runtime import confinement
from virtsec.runtime.order import MESSAGE, Failed
from virtsec.runtime.seccomp import refuse_calls
from virtsec.runtime.system import close_all_but
from virtsec.runtime.user import PR_SET_DUMPABLE, ROOT, become

_PATIENCE = 30  # seconds an attack may take, far more than any needs
#: mac_override and mac_admin: a label is none to who has them (smack.rst), so they go with it.
OVER_SMACK = 1 << 32 | 1 << 33
ATTACK, BAIT = "attack", "bait"


@dataclass(frozen=True)
class Part:
    """Which container it is of, what confines it, and what it does there."""

    init: int  #: the container's init, by its number on the host
    started: int  #: when that started (proc(5))
    model: str  #: the security module
    label: str  #: init's
    defences: tuple[str, ...]
    role: str  #: ATTACK or BAIT
    kept: tuple[int, ...]  #: descriptors it is to have
    content: dict[str, Any]  #: the targets' fields, or what bait to lay


def take_on(part: Part) -> None:
    """Join and give up what `part.defences` says. Returns in a child; the parent waits for it."""
    defences = {Defence(each) for each in part.defences}
    init = os.pidfd_open(part.init)
    if confinement.started(part.init) != part.started:
        raise Failed("It has stopped.", "Start it again.")
    state = confinement.read_state(part.init)
    flags = confinement.to_enter(part.init)
    user = flags & confinement.NAMESPACES["user"]
    joined = (user if Defence.USER in defences else 0) | (
        flags & ~user if Defence.NAMESPACES in defences else 0
    )
    root = os.open(f"/proc/{part.init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    cgroup = confinement.open_cgroup(state)
    confinement.leave_keyring()
    if Defence.MAC in defences and part.model == "smack":
        confinement.take_label(part.model, part.label)
    if joined:
        userns.enter(init, joined)
        become(ROOT)
    if Defence.NAMESPACES in defences:
        confinement.change_root(root)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    if Defence.CGROUP in defences:
        os.write(cgroup, b"0")
    for descriptor in (init, cgroup):
        os.close(descriptor)
    os.setsid()
    if Defence.SECCOMP in defences:
        refuse_calls()
    kept = state.bounding if Defence.CAPABILITY in defences else confinement.read_own_bounding()
    if Defence.MAC in defences and part.model == "smack":
        kept &= ~OVER_SMACK
    confinement.limit_capabilities(replace(state, bounding=kept))
    if Defence.MAC in defences and part.model == "selinux":
        confinement.take_label(part.model, part.label)


def attacking(part: Part, outside: socket.socket) -> None:
    """Attack as told, one at a time: {"probe": id} → what `attempt` returns."""
    targets = targets_of(part.content)
    while message := outside.recv(MESSAGE):
        outside.send(json.dumps(attempt(PROBES[json.loads(message)["probe"]], targets)).encode())


def targets_of(content: Mapping[str, Any]) -> Targets:
    """Targets as they came through the socket."""
    aims = {
        side: None if content[side] is None else Aim(**{**content[side], **_places(content[side])})
        for side in ("host", "neighbour")
    }
    return Targets(**{**content, **aims})


def _places(aim: Mapping[str, Any]) -> dict[str, Any]:
    kinds = ("tcp", "udp", "silent")
    return {kind: tuple((host, port) for host, port in aim[kind]) for kind in kinds}


def attempt(probe: Probe, targets: Targets) -> dict[str, str]:
    """Attack in a child, which takes with it whatever it changed of itself.

    Returns {"got": what}, {"refused": the error's name, "why": its text}, {"not applicable": why}
    or {"failed": what went wrong with the attack itself}.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _attack(probe, targets, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not said:
        return {"failed": f"the attack ended with status {status}"}
    answer: dict[str, str] = json.loads(said)
    return answer


def _attack(probe: Probe, targets: Targets, writing: int) -> NoReturn:
    try:
        die_with_parent(signal.SIGKILL)
        signal.alarm(_PATIENCE)
        # What is not dumpable has its /proc files belong to another user, who could not write them.
        prctl(PR_SET_DUMPABLE, 1)
        said = {"got": probe.attack(targets)}
    except NotApplicable as why:
        said = {"not applicable": str(why)}
    except TimeoutError:
        said = {"refused": "no answer", "why": "nothing came back"}
    except OSError as error:
        said = _refusal(error)
    except BaseException as error:
        said = {"failed": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(OSError):
        os.write(writing, json.dumps(said).encode())
    os._exit(0)


def _refusal(error: OSError) -> dict[str, str]:
    if error.errno == errno.ENOSYS:
        return {"not applicable": "this kernel has no such call"}
    name = errno.errorcode.get(error.errno or 0, "error")
    return {"refused": name, "why": os.strerror(error.errno) if error.errno else str(error)}


def main(descriptor: int) -> None:
    """Take the part, become it, play it."""
    outside = socket.socket(fileno=descriptor)
    outside.set_inheritable(False)
    try:
        content = json.loads(outside.recv(MESSAGE))
        part = Part(**{**content, "defences": tuple(content["defences"])})
        close_all_but({0, 1, 2, descriptor, *part.kept})
        prctl(PR_SET_DUMPABLE, 0)
        take_on(part)
        outside.send(b"{}")
        if part.role == ATTACK:
            attacking(part, outside)
        else:
            bait.lay(part.content, outside)
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody is there any more
    except BaseException as error:
        with contextlib.suppress(OSError):
            outside.send(json.dumps({"stopped": f"{type(error).__name__}: {error}"}).encode())
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
