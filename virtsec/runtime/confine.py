"""Becomes libvirt_lxc, confined: what the <emulator> of virtsec's domains does.

libvirt gives it libvirt_lxc's arguments (virLXCProcessBuildControllerCmd in its lxc_process.c):

    --name NAME --console FD … --passfd FD … --security=MODEL --handshakefds FD:FD --veth NAME …

In this order it
  - refuses any other argument: --share-net, --share-ipc and --share-uts would give up a namespace;
  - closes every descriptor that no argument names, and keeps only libvirt's own environment;
  - enters the container's own slice and makes it the top of the cgroup tree, for itself and for
    all it starts: libvirt_lxc mounts in the container what it sees of that tree;
  - limits open files and maps the ids of what is mounted, as the container's orders say (below);
  - mounts the container's own layer on the base it shares with others, where it has one: in this
    mount namespace, which nobody else sees and which is gone when the container stops;
  - under Smack takes on the container's label, which is the container's name, so that init, /dev,
    devpts and tmpfs are born with it: stock libvirt has no driver for Smack;
  - refuses, for itself and for all it starts, the system calls in `REFUSED_CALLS`;
  - executes libvirt_lxc through setpriv(1), without the capabilities in `DROPPED`.

Whatever fails, the container does not start: status 1 and one sentence, for libvirt's log and for
whoever asked for the start. Standard library only.
"""

import ctypes
import posix
import sys
import time

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

#: System calls that no namespace and no label keeps from a container whose root is the host's: for
#: the host's keys (add_key, request_key, keyctl), its swap (swapon, swapoff), the kernel that runs
#: next (kexec_load, kexec_file_load) and counters of every process (perf_event_open). Numbers by
#: AUDIT_ARCH_* (linux/audit.h), in this order.
REFUSED_CALLS = {
    0xC000003E: (248, 249, 250, 167, 168, 246, 320, 298, 528),  # x86_64; 528: x32's kexec_load
    0x40000003: (286, 287, 288, 87, 115, 283, 336),  # i386
    0xC00000B7: (217, 218, 219, 224, 225, 104, 294, 241),  # aarch64
    0x40000028: (309, 310, 311, 87, 115, 347, 401, 364),  # arm
    0xC0000015: (269, 270, 271, 87, 115, 268, 382, 319),  # ppc64le
    0xC00000F3: (217, 218, 219, 224, 225, 104, 294, 241),  # riscv64
    0x80000016: (278, 279, 280, 87, 115, 277, 381, 331),  # s390x
}
X32 = 0x40000000  # __X32_SYSCALL_BIT: the same calls, numbered apart
LOAD, AND, EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06  # linux/filter.h
NUMBER, ARCHITECTURE = 0, 4  # where they are in struct seccomp_data
ALLOW, NOT_PERMITTED = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h

ENVIRONMENT = (b"LIBVIRT_DEBUG", b"LIBVIRT_LOG_FILTERS", b"LIBVIRT_LOG_OUTPUTS")
PATH = b"/usr/sbin:/usr/bin:/sbin:/bin"  # libvirt_lxc calls ip(8)

SELINUX = "/sys/fs/selinux/enforce"  # each is there only while its module runs
SMACK = "/sys/fs/smackfs/load2"
SMACK_LABEL = ("/proc/self/attr/smack/current", "/proc/self/attr/current")  # Linux 5.8, before it
NAME_LETTERS = set("abcdefghijklmnopqrstuvwxyz0123456789-")  # what virtsec allows in a name

CGROUPS, SLICE = "/sys/fs/cgroup", "machine.slice/machine-{}.slice"  # libvirt's for /machine/NAME
CLONE_NEWNS, CLONE_NEWCGROUP = 0x00020000, 0x02000000  # linux/sched.h
MS_REC, MS_SLAVE, MNT_DETACH = 0x4000, 0x80000, 2  # linux/mount.h, linux/fs.h

ORDERS = "orders"  # in the container's directory; the hook has compared it with the definition
MOUNT = "/usr/bin/mount"  # util-linux, as setpriv

STORE, BASES = "/var/lib/virtsec", ["..", "_bases"]  # a container's `base` leads from its directory
OVERLAY = "index=on,metacopy=on,redirect_dir=on,lowerdir={},upperdir={},workdir={}"  # overlayfs.rst

ID_COUNT = 65536  # of an unprivileged container

EBUSY, PATIENCE = 16, 100  # errno.h; tenths of a second

S_IFMT, S_IFREG, BY_OTHERS = 0o170000, 0o100000, 0o022  # stat.h
LIBC = ctypes.CDLL(None, use_errno=True)
DRIVER = "security_driver in libvirt's lxc.conf must not lead to"
LAST_DESCRIPTOR = 1 << 30  # above fs.nr_open's highest value


class Refused(Exception):
    """Why the container is not started, in one sentence."""


def require(holds: object, sentence: str) -> None:
    """Raise Refused unless it holds."""
    if not holds:
        raise Refused(sentence)


def exists(path: str) -> bool:
    """Whether there is a file; an unreadable directory above it is an error."""
    try:
        posix.stat(path)
    except FileNotFoundError:
        return False
    return True


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


def close_all_but(kept: set[int]) -> None:
    """Close all other descriptors."""
    first = 0
    for descriptor in sorted(kept):
        posix.fstat(descriptor)
        if first < descriptor:  # closerange(0, 0) would close all there are
            posix.closerange(first, descriptor)
        first = descriptor + 1
    posix.closerange(first, LAST_DESCRIPTOR)


def check_name(name: str) -> None:
    """Refused unless it is a name of virtsec's: a label and a directory are made of it."""
    require(name[:1].isalpha() and len(name) < 24 and set(name) <= NAME_LETTERS, "its name is odd")


def write(path: str, text: str) -> None:
    """Write a file of the kernel's in one call."""
    file = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    posix.write(file, text.encode())
    posix.close(file)


def call(function: str, *arguments: object) -> None:
    """Call a function of the C library that returns 0; Refused when it does not."""
    status = getattr(LIBC, function)(*arguments)
    require(status == 0, f"{function}(2) failed: {posix.strerror(ctypes.get_errno())}")


def make(directory: str) -> None:
    """Make a directory unless it is there."""
    if not exists(directory):
        posix.mkdir(directory, 0o755)


def enter_slice(name: str) -> None:
    """Make the container's slice the root of the cgroup tree, as seen from here on.

    The root of a cgroup namespace is the group of the process that makes it, and a group may have
    processes or hand controllers on to the groups beneath it, not both (cgroup-v2.rst).
    """
    unit = name.replace("-", r"\x2d")  # systemd.unit(5) on escaping
    top = f"{CGROUPS}/{SLICE.format(unit)}"
    make(top.rpartition("/")[0])
    make(top)
    handed_on = posix.open(f"{top}/cgroup.subtree_control", posix.O_RDWR | posix.O_CLOEXEC)
    controllers = posix.read(handed_on, 4096).decode().split()
    if controllers:
        posix.write(handed_on, " ".join(f"-{each}" for each in controllers).encode())
    write(f"{top}/cgroup.procs", "0")
    call("unshare", CLONE_NEWCGROUP | CLONE_NEWNS)
    make(f"{top}/start")
    write(f"{top}/start/cgroup.procs", "0")
    if controllers:
        posix.write(handed_on, " ".join(f"+{each}" for each in controllers).encode())
    call("mount", None, b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None)
    call("umount2", CGROUPS.encode(), MNT_DETACH)
    call("mount", b"cgroup2", CGROUPS.encode(), b"cgroup2", ctypes.c_ulong(0), None)


def mount_layers(own: str, scratch: bool, root_label: str = "") -> None:
    """Mount the layer of the container that has the directory `own` in the store on its base.

    With `scratch` what is written goes to memory. Smack has the label of a file system's root from
    whoever mounts it, not from the disk (Smack.rst, "Mount options"). The kernel asks the security
    module for whoever mounts as well: so it is done before the container's label is taken on.
    """
    try:
        base = posix.readlink(f"{own}/base").split("/")
    except FileNotFoundError:
        return
    sane = base[:2] == BASES and base[4:] == ["tree"] and set(base[2]) <= NAME_LETTERS
    require(sane and base[3].isdecimal(), "its base is none of virtsec's")
    root = f"{own}/rootfs"
    lower, upper, work = f"{own}/base", root, f"{own}/work"
    if scratch:
        lower, upper, work = f"{root}:{lower}", f"{own}/scratch/own", f"{own}/scratch/work"
        memory = f"{own}/scratch".encode()
        call("mount", b"tmpfs", memory, b"tmpfs", ctypes.c_ulong(0), b"mode=0700")
        posix.mkdir(work, 0o700)
        copy_directory(root, upper)
    options = OVERLAY.format(lower, upper, work)
    if root_label:
        options += f",smackfstransmute={root_label}"
    arguments = b"virtsec", root.encode(), b"overlay", ctypes.c_ulong(0), options.encode()
    for _ in range(PATIENCE):  # the kernel may not have let go yet of what was mounted before
        if LIBC.mount(*arguments) == 0:
            return
        if ctypes.get_errno() != EBUSY:
            break
        time.sleep(0.1)
    raise Refused(f"its base could not be mounted ({posix.strerror(ctypes.get_errno())})")


def obey(own: str) -> None:
    """Do what the orders in a container's directory in the store say, a line for each.

    files N            no process may have more files open
    idmap START PATH   in what is mounted from there, user 0 of the disk is START, and so on

    The mount is one of this mount namespace, over the directory itself: libvirt_lxc mounts it on.
    """
    try:
        file = posix.open(f"{own}/{ORDERS}", posix.O_RDONLY | posix.O_CLOEXEC)
    except FileNotFoundError:
        return
    text = posix.read(file, posix.fstat(file).st_size).decode(errors="surrogateescape")
    for line in text.split("\n")[:-1]:  # and at no other character: a path may have any
        order, _, rest = line.partition(" ")
        if order == "files":
            import resource  # noqa: PLC0415 - few containers need it

            resource.setrlimit(resource.RLIMIT_NOFILE, (int(rest), int(rest)))
        else:
            start, _, path = rest.partition(" ")
            require(order == "idmap" and path, f"there is no order {order!r}")
            options = f"X-mount.idmap=b:0:{int(start)}:{ID_COUNT},nosuid,nodev"
            command = [program(MOUNT), "--bind", "-o", options, "--", path, path]
            child = posix.posix_spawn(command[0], command, {b"PATH": PATH})
            status = posix.waitpid(child, 0)[1]
            require(status == 0, f"the ids of {path} cannot be mapped; see what mount says above")


def copy_directory(path: str, copy: str) -> None:
    """Make an empty directory with owner, mode and labels of another."""
    status = posix.stat(path)
    posix.mkdir(copy, 0o700)
    for attribute in posix.listxattr(path):
        if attribute.startswith("security."):
            posix.setxattr(copy, attribute, posix.getxattr(path, attribute))
    posix.chown(copy, status.st_uid, status.st_gid)
    posix.chmod(copy, status.st_mode & 0o7777)


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


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """A struct sock_filter; jumps are counted in instructions."""
    order = sys.byteorder
    return code.to_bytes(2, order) + bytes((if_true, if_false)) + value.to_bytes(4, order)


def seccomp_filter() -> bytes:
    """What refuses the system calls in `REFUSED_CALLS` and allows all others (seccomp(2))."""
    lines = [instruction(LOAD, ARCHITECTURE)]
    for architecture, numbers in REFUSED_CALLS.items():
        count = len(numbers)
        lines += [
            instruction(EQUAL, architecture, if_false=count + 4),
            instruction(LOAD, NUMBER),
            instruction(AND, 0xFFFFFFFF ^ X32),
            # Each jumps over those after it and over ALLOW.
            *(instruction(EQUAL, each, if_true=count - at) for at, each in enumerate(numbers)),
            instruction(RETURN, ALLOW),
            instruction(RETURN, NOT_PERMITTED),
        ]
    return b"".join([*lines, instruction(RETURN, ALLOW)])


class Program(ctypes.Structure):
    """A struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_calls() -> None:
    """Put the filter on; it needs no `no_new_privs`, which would end every setuid inside."""
    content = seccomp_filter()
    program = Program(len(content) // len(instruction(RETURN, ALLOW)), content)
    mode = ctypes.c_ulong(SECCOMP_MODE_FILTER)
    call("prctl", PR_SET_SECCOMP, mode, ctypes.byref(program))


def program(*paths: str) -> str:
    """The first of these that exists, which must be a program that only root can change."""
    path = next(filter(exists, paths), paths[0])
    status = posix.stat(path)
    safe = status.st_uid == 0 and not status.st_mode & BY_OTHERS
    require(safe and status.st_mode & S_IFMT == S_IFREG, f"others than root can change {path}")
    return path


def main(arguments: list[str]) -> None:
    """Become libvirt_lxc; returns never, raises when it cannot."""
    options = parse(arguments)
    close_all_but(named_descriptors(options))
    environment = {name: posix.environ[name] for name in ENVIRONMENT if name in posix.environ}
    setpriv, libvirt_lxc = program(SETPRIV), program(*LIBVIRT_LXC)
    name = options["--name"][0]
    check_name(name)
    enter_slice(name)
    own = f"{STORE}/{name}"
    obey(own)
    mount_layers(own, exists(f"{own}/scratch"), name if exists(SMACK) else "")
    take_confinement(name, options["--security"][0])
    refuse_calls()
    dropped = ",".join(f"-{capability}" for capability in DROPPED)
    bounds = [f"--bounding-set={dropped}", "--inh-caps=-all", "--ambient-caps=-all"]
    command = [setpriv, *bounds, "--", libvirt_lxc, *arguments]
    posix.execve(setpriv, command, {b"PATH": PATH, **environment})


def become_libvirt_lxc(arguments: list[str]) -> None:
    """As `main`; when it cannot, says why and ends with status 1."""
    try:
        main(arguments)
    except Refused as refusal:
        sentence = str(refusal)
    except BaseException as error:
        sentence = f"its controller failed ({type(error).__name__}: {error})"
    sentence = sentence if len(sentence) < 600 else f"{sentence[:400]} ... {sentence[-150:]}"
    line = f"virtsec: the container is not started: {sentence}."
    posix.write(2, line.encode("unicode_escape") + b"\n")
    posix._exit(1)
