"""What a container is given to see of the host: its part of the cgroup tree, its layer, its mounts.

All of it is done in a mount namespace that nobody else sees and that is gone when the container
stops: nothing is mounted on the host. What is mounted the container's directory in the store says,
which is root's alone; the hook has compared it with the definition.
"""

import posix
import time

from .refusal import ID_COUNT, NAME_LETTERS, Refused, require
from .system import PATH, call, errno, exists, function, program, read, write

CGROUPS = "/sys/fs/cgroup"
CLONE_NEWNS, CLONE_NEWCGROUP = 0x00020000, 0x02000000  # linux/sched.h
MS_REC, MS_SLAVE, MNT_DETACH = 0x4000, 0x80000, 2  # linux/mount.h, linux/fs.h

ORDERS = "orders"  # in the container's directory
MOUNT = "/usr/bin/mount"  # util-linux, as setpriv

BASES = ["..", "_bases"]  # a container's `base` leads from its directory
OVERLAY = "index=on,metacopy=on,redirect_dir=on,lowerdir={},upperdir={},workdir={}"  # overlayfs.rst

EBUSY, PATIENCE = 16, 100  # errno.h; tenths of a second


def make(directory: str) -> None:
    """Make a directory unless it is there."""
    if not exists(directory):
        posix.mkdir(directory, 0o755)


def group_of(name: str) -> str:
    """The control group of container `name`: its slice, which is libvirt's for /machine/NAME."""
    unit = name.replace("-", r"\x2d")  # systemd.unit(5) on escaping
    return f"machine.slice/machine-{unit}.slice"


def enter_slice(name: str) -> None:
    """Make the container's slice the root of the cgroup tree, as seen from here on.

    The root of a cgroup namespace is the group of the process that makes it, and a group may have
    processes or hand controllers on to the groups beneath it, not both (cgroup-v2.rst).
    """
    top = f"{CGROUPS}/{group_of(name)}"
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
    call("mount", None, b"/", None, MS_REC | MS_SLAVE, None)
    call("umount2", CGROUPS.encode(), MNT_DETACH)
    call("mount", b"cgroup2", CGROUPS.encode(), b"cgroup2", 0, None)


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
        call("mount", b"tmpfs", memory, b"tmpfs", 0, b"mode=0700")
        posix.mkdir(work, 0o700)
        copy_directory(root, upper)
    options = OVERLAY.format(lower, upper, work)
    if root_label:
        options += f",smackfstransmute={root_label}"
    arguments = b"virtsec", root.encode(), b"overlay", 0, options.encode()
    for _ in range(PATIENCE):  # the kernel may not have let go yet of what was mounted before
        if function("mount")(*arguments) == 0:
            return
        if errno() != EBUSY:
            break
        time.sleep(0.1)
    raise Refused(f"its base could not be mounted ({posix.strerror(errno())})")


def obey(own: str) -> None:
    """Do what the orders in a container's directory in the store say, a line for each.

    files N            no process may have more files open
    idmap START PATH   in what is mounted from there, user 0 of the disk is START, and so on
    ro PATH            nothing is written through what is mounted from there

    The mount is one of this mount namespace, over the directory itself: libvirt_lxc mounts it on.
    What libvirt_lxc makes read-only it does as the container's root, who can undo it; this no root
    of another user namespace can (mount_namespaces(7)).
    """
    try:
        text = read(f"{own}/{ORDERS}")
    except FileNotFoundError:
        return
    for line in text.split("\n")[:-1]:  # and at no other character: a path may have any
        order, _, rest = line.partition(" ")
        if order == "files":
            import resource  # noqa: PLC0415 - few containers need it

            resource.setrlimit(resource.RLIMIT_NOFILE, (int(rest), int(rest)))
        else:
            path, options = rest, "ro"
            if order == "idmap":
                start, _, path = rest.partition(" ")
                options = f"X-mount.idmap=b:0:{int(start)}:{ID_COUNT},nosuid,nodev"
            require(order in ("idmap", "ro") and path, f"there is no order {order!r}")
            command = [program(MOUNT), "--bind", "-o", options, "--", path, path]
            status = posix.waitpid(posix.posix_spawn(command[0], command, {b"PATH": PATH}), 0)[1]
            require(status == 0, f"{path} cannot be mounted {options}; see what mount says above")


def copy_directory(path: str, copy: str) -> None:
    """Make an empty directory with owner, mode and labels of another."""
    status = posix.stat(path)
    posix.mkdir(copy, 0o700)
    for attribute in posix.listxattr(path):
        if attribute.startswith("security."):
            posix.setxattr(copy, attribute, posix.getxattr(path, attribute))
    posix.chown(copy, status.st_uid, status.st_gid)
    posix.chmod(copy, status.st_mode & 0o7777)
