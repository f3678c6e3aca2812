"""Labels: what a container is confined by is not its own to change."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable

from virtsec.attacks.probe import Group, NotApplicable, Targets
from virtsec.attacks.probes import calls

GROUP = Group("labels", "A container keeps its label, and gives none away.")

_SMACK_ATTRIBUTES = ("SMACK64", "SMACK64EXEC", "SMACK64MMAP", "SMACK64TRANSMUTE")
_SOCKET_ATTRIBUTES = ("SMACK64IPIN", "SMACK64IPOUT")


def _only(model: str, targets: Targets) -> None:
    if targets.model != model:
        raise NotApplicable(f"only {model} has it")


def _set_self(attribute: str, label: str) -> str:
    with open(f"/proc/self/attr/{attribute}", "wb", buffering=0) as file:  # noqa: PTH123
        file.write(label.encode())
    return f"took on {label}"


def _become(label: str) -> str:
    """In a child, which may not be able to tell of it: its exit status does."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            _set_self("current", label)
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))
    return f"took on {label}"


@GROUP.probe(
    "label-self-host", "take on the label of a task of the host", "smack.rst, attr/current"
)
def _as_host(targets: Targets) -> str:
    return _become(targets.host.process_label)


@GROUP.probe("label-self-other", "take on another container's label", "smack.rst, attr/current")
def _as_other(targets: Targets) -> str:
    if targets.neighbour is None:
        raise NotApplicable("no other container was named by --against")
    return _become(targets.neighbour.process_label)


@GROUP.probe("label-exec", "have its next program run with another label", "SELinux: setexeccon(3)")
def _exec(targets: Targets) -> str:
    _only("selinux", targets)
    return _set_self("exec", targets.host.process_label)


@GROUP.probe("label-create", "make files with another label", "SELinux: setfscreatecon(3)")
def _create(targets: Targets) -> str:
    _only("selinux", targets)
    place = calls.scratch()
    _set_self("fscreate", targets.host.file_label)
    with tempfile.NamedTemporaryFile(dir=place):
        return f"made a file labelled {targets.host.file_label}"


@GROUP.probe("label-socket", "make sockets with another label", "SELinux: setsockcreatecon(3)")
def _socket(targets: Targets) -> str:
    _only("selinux", targets)
    _set_self("sockcreate", targets.host.process_label)
    socket.socket(socket.AF_UNIX).close()
    return "made a socket with a label of the host"


def _on_own_file(name: str, value: bytes) -> str:
    with tempfile.NamedTemporaryFile(dir=calls.scratch()) as file:
        os.setxattr(file.name, name, value)
    return f"set {name}"


@GROUP.probe("label-file-host", "give a file of its own a label of the host", "xattr(7)")
def _file(targets: Targets) -> str:
    name = "security.SMACK64" if targets.model == "smack" else "security.selinux"
    return _on_own_file(name, targets.host.file_label.encode())


@GROUP.probe("label-file-other", "give a file of its own another container's label", "xattr(7)")
def _file_other(targets: Targets) -> str:
    if targets.neighbour is None:
        raise NotApplicable("no other container was named by --against")
    name = "security.SMACK64" if targets.model == "smack" else "security.selinux"
    return _on_own_file(name, targets.neighbour.file_label.encode())


def _smack_attribute(name: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        _only("smack", targets)
        if name == "SMACK64TRANSMUTE":
            with tempfile.TemporaryDirectory(dir=calls.scratch()) as directory:
                os.setxattr(directory, f"security.{name}", b"TRUE")
            return f"set {name}"
        return _on_own_file(f"security.{name}", targets.own_label.encode())

    return attack


for _name in _SMACK_ATTRIBUTES:
    GROUP.probe(
        f"label-{_name.lower()}", f"set {_name} on a file of its own", "smack.rst, attributes"
    )(_smack_attribute(_name))


def _smack_socket(name: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        _only("smack", targets)
        with socket.socket() as made:
            os.setxattr(made.fileno(), f"security.{name}", b"_")
        return "had its packets carry the label of the host"

    return attack


for _name in _SOCKET_ATTRIBUTES:
    GROUP.probe(f"label-{_name.lower()}", f"set {_name} on a socket of its own", "smack.rst")(
        _smack_socket(_name)
    )


def _mounted(kind: str, model: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        _only(model, targets)
        with tempfile.TemporaryDirectory(dir=calls.scratch()) as place:
            calls.mount(kind, place, kind)
            calls.umount(place)
        return f"mounted {kind}"

    return attack


for _kind, _model in (("smackfs", "smack"), ("selinuxfs", "selinux")):
    GROUP.probe(f"mount-{_kind}", f"mount {_kind}", "the module's own file system")(
        _mounted(_kind, _model)
    )


def _knob(model: str, path: str, text: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        _only(model, targets)
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=targets.sysfs)
        if text:
            os.write(descriptor, text.encode())
        return "wrote to it" if text else "opened it for writing"

    return attack


#: Smack asks for power when it is written to: a rule that allows nothing between labels that nobody
#: has, and a label for the attacker itself. SELinux asks at the opening.
for _identity, _model, _path, _text, _what in (
    ("smack-rules", "smack", "fs/smackfs/load2", "virtsec-decoy virtsec-bait -", "load rules"),
    ("smack-relabel", "smack", "fs/smackfs/relabel-self", "_", "allow itself other labels"),
    ("selinux-enforce", "selinux", "fs/selinux/enforce", "", "stop SELinux from enforcing"),
    ("selinux-load", "selinux", "fs/selinux/load", "", "load a policy"),
    ("selinux-bool", "selinux", "fs/selinux/commit_pending_bools", "", "change policy's switches"),
):
    GROUP.probe(_identity, _what, "smack.rst; SELinux Notebook, selinuxfs")(
        _knob(_model, _path, _text)
    )
