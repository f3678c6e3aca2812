"""Becomes libvirt_lxc, confined: what the <emulator> of virtsec's domains does.

libvirt gives it libvirt_lxc's arguments (virLXCProcessBuildControllerCmd in its lxc_process.c):

    --name NAME --console FD … --passfd FD … --security=MODEL --handshakefds FD:FD --veth NAME …

In this order it
  - refuses any other argument: --share-net, --share-ipc and --share-uts would give up a namespace;
  - closes every descriptor that no argument names, and keeps only libvirt's own environment;
  - enters the container's own slice and makes it the top of the cgroup tree, for itself and for
    all it starts: libvirt_lxc mounts in the container what it sees of that tree;
  - limits open files and maps the ids of what is mounted, as the container's orders say (`view`);
  - mounts the container's own layer on the base it shares with others, where it has one: in this
    mount namespace, which nobody else sees and which is gone when the container stops;
  - has the interfaces that it is to get the addresses that its XML names (`ethernet`);
  - under Smack takes on the container's label, which is the container's name, so that init, /dev,
    devpts and tmpfs are born with it: stock libvirt has no driver for Smack;
  - refuses, for itself and for all it starts, the system calls in `seccomp`;
  - executes libvirt_lxc through setpriv(1), without the capabilities in `DROPPED`.

Whatever fails, the container does not start. Standard library only.
"""

import posix

from .ethernet import keep_addresses
from .refusal import SELINUX, SMACK, STORE, is_name, require
from .seccomp import refuse_calls
from .system import PATH, close_all_but, exists, program
from .view import enter_slice, mount_layers, obey

LIBVIRT_LXC = ("/usr/lib/libvirt/libvirt_lxc", "/usr/libexec/libvirt_lxc")  # Debian, Fedora
SETPRIV = "/usr/bin/setpriv"  # util-linux, an essential package
VALUED = ("--name", "--console", "--passfd", "--security", "--handshakefds", "--veth")
DESCRIPTORS = ("--console", "--passfd", "--handshakefds")
ONCE = ("--name", "--security", "--handshakefds")

#: Capabilities that nothing in a container has, by setpriv's names, and why not. Those before
#: mac_admin are the ones that libvirt's XML cannot name.
DROPPED = {
    "audit_read": "the audit log tells of the whole host",
    "perfmon": "performance events see the kernel and every process",
    "bpf": "libvirt_lxc loads its device filter by virtue of sys_admin, which covers bpf(2)",
    "checkpoint_restore": "it opens the memory maps and process ids of others",
    "mac_admin": "what is mounted with it is born with Smack's label `_` and not the container's",
}

ENVIRONMENT = (b"LIBVIRT_DEBUG", b"LIBVIRT_LOG_FILTERS", b"LIBVIRT_LOG_OUTPUTS")
SMACK_LABEL = ("/proc/self/attr/smack/current", "/proc/self/attr/current")  # Linux 5.8, before it
DRIVER = "security_driver in libvirt's lxc.conf must not lead to"


def parse(arguments: list[str]) -> dict[str, list[str]]:
    """The values of each option, in either of getopt's forms; Refused for what is unknown."""
    found: dict[str, list[str]] = {option: [] for option in VALUED}
    rest = iter(arguments)
    for argument in rest:
        option, given, value = argument.partition("=")
        require(option in found, f"{option!r} has no place in it; undo the edit of its XML")
        found[option].append(value if given else next(rest, ""))
    for option in ONCE:
        require(len(found[option]) == 1, f"libvirt did not give {option} once")
    return found


def named_descriptors(options: dict[str, list[str]]) -> set[int]:
    """Standard input, output and error, and what the arguments hand over."""
    words = [
        word for option in DESCRIPTORS for value in options[option] for word in value.split(":")
    ]
    require(all(word.isdecimal() for word in words), "an argument names what is no descriptor")
    return {0, 1, 2, *map(int, words)}


def take_label(name: str) -> None:
    """Run under the Smack label `name` from here on; smack(7) has it that nobody can go back."""
    file = posix.open(next(filter(exists, SMACK_LABEL)), posix.O_RDWR | posix.O_CLOEXEC)
    posix.write(file, name.encode())
    label = posix.pread(file, 256, 0).rstrip(b"\0\n").decode()
    require(label == name, f"it got the Smack label {label!r}")


def take_confinement(name: str, libvirt_model: str) -> None:
    """Make sure that the security module confines what comes; SELinux's label is libvirt's task."""
    if exists(SELINUX):
        require(libvirt_model == "selinux", f"{DRIVER} {libvirt_model!r} under SELinux")
    else:
        require(exists(SMACK), "neither SELinux nor Smack runs; boot with one")
        require(libvirt_model in ("none", "smack"), f"{DRIVER} {libvirt_model!r} under Smack")
        take_label(name)


def become_libvirt_lxc(arguments: list[str]) -> None:
    """Never returns; raises Refused or whatever else keeps it from that."""
    options = parse(arguments)
    close_all_but(named_descriptors(options))
    environment = {name: posix.environ[name] for name in ENVIRONMENT if name in posix.environ}
    setpriv, libvirt_lxc = program(SETPRIV), program(*LIBVIRT_LXC)
    name = options["--name"][0]
    require(is_name(name), "its name is odd")
    enter_slice(name)
    own = f"{STORE}/{name}"
    obey(own)
    mount_layers(own, exists(f"{own}/scratch"), name if exists(SMACK) else "")
    keep_addresses(name, options["--veth"])
    take_confinement(name, options["--security"][0])
    refuse_calls()
    dropped = ",".join(f"-{capability}" for capability in DROPPED)
    bounds = [f"--bounding-set={dropped}", "--inh-caps=-all", "--ambient-caps=-all"]
    command = [setpriv, *bounds, "--", libvirt_lxc, *arguments]
    posix.execve(setpriv, command, {b"PATH": PATH, **environment})
