"""What a start relies on, looked at on disk before libvirt relies on it.

The security module runs and packets are labelled; the controller, the root, what the root is
layered on and what the controller is told are the host's root's own, all the way down; and where
libvirt will mount, no link leads it elsewhere. The container wrote its tree, so the kernel resolves
its paths inside the root. Nothing here is changed; descriptors stay open, as the process ends soon.
"""

import posix
import sys

from .checks import LIBVIRT_MOUNTS
from .domain import PUT_BACK, parts
from .refusal import BY_OTHERS, S_IFMT, S_IFREG, STORE, Refused, require
from .start import TRUSTED_IDS, Start
from .system import errno, exists, function, read

PACKETS = "/run/virtsec-packets"  # is there while virtsec-packets.service runs
MEND = "mend the tree or unpack it anew"

# Kernel constants, and the headers they stand in.
S_IFDIR, S_IFLNK, S_ISVTX = 0o40000, 0o120000, 0o1000  # stat.h
SYS_openat2, AT_FDCWD = 437, -100  # asm-generic/unistd.h (on all architectures), fcntl.h
NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, IN_ROOT = 0x01, 0x02, 0x04, 0x10  # openat2.h: RESOLVE_*
EAGAIN = 11  # errno.h
O_ENTRY = posix.O_PATH | posix.O_NOFOLLOW | posix.O_CLOEXEC  # names an inode without opening it


def openat2(directory: int, path: str, resolve: int) -> int:
    """An O_PATH descriptor of `path`, resolved as openat2(2) says; raises OSError."""
    fields = (posix.O_PATH | posix.O_CLOEXEC, 0, resolve)
    how = b"".join(each.to_bytes(8, sys.byteorder) for each in fields)  # struct open_how
    name = path.encode(errors="surrogateescape")
    for _ in range(64):
        entry = int(function("syscall")(SYS_openat2, directory, name, how, len(how)))
        error = errno()
        if entry >= 0:
            return entry
        if error != EAGAIN:  # EAGAIN: something was renamed meanwhile
            break
    raise OSError(error, posix.strerror(error), path)


def open_trusted(path: str, kind: int, owner: int) -> int:
    """An O_PATH descriptor of `path`, no part of which anyone but root can exchange."""
    entry = posix.open("/", O_ENTRY)
    status = posix.fstat(entry)
    for part in parts(path):
        shared = status.st_mode & BY_OTHERS and not status.st_mode & S_ISVTX
        safe = status.st_uid in TRUSTED_IDS and not shared
        require(safe, f"others than root may exchange {part!r} in {path}; take that away from them")
        entry = posix.open(part, O_ENTRY, dir_fd=entry)
        status = posix.fstat(entry)
        link = status.st_mode & S_IFMT == S_IFLNK
        require(not link, f"{part!r} in {path} is a symbolic link; name what it points to")
    right = status.st_mode & S_IFMT == kind and status.st_uid == owner
    require(right, f"{path} is not what it should be, of user {owner}; {MEND}")
    require(kind != S_IFREG or not status.st_mode & BY_OTHERS, f"others than root may write {path}")
    return entry


def check_modules(start: Start) -> None:
    """A label confines nothing, of packets neither, while what looks at it does not run."""
    runs = exists(start.model.running)
    require(runs, f"{start.module} does not run; boot with security={start.module}")
    require(exists(PACKETS), "virtsec-packets.service does not run; start it")


def open_root(start: Start) -> int:
    """An O_PATH descriptor of the root; Refused unless all on disk is as it may be."""
    open_trusted(start.controller, S_IFREG, TRUSTED_IDS[0])
    root = open_trusted(start.root, S_IFDIR, start.owner)
    check_layers(start)
    check_orders(start)
    check_mount_points(start, root)
    return root


def check_mount_points(start: Start, root: int) -> None:
    """libvirt_lxc follows links when it makes mount points, some while it sees the host's tree."""
    places = [(root, place) for place in LIBVIRT_MOUNTS]
    for kind, source, target in start.filesystems:
        places += [(root, target)]
        # What libvirt_lxc cannot reach as the container's root on the host it looks for inside.
        places += [(AT_FDCWD, source), (root, source)] if kind == "mount" else []
    for directory, path in places:
        try:
            openat2(directory, path, NO_SYMLINKS | (IN_ROOT if directory == root else 0))
        except FileNotFoundError:
            require(directory == root, f"{path}, which it is to mount, is not there; make it")
        except OSError as error:
            raise Refused(f"{path} has a link in it or is not reached ({error.strerror})") from None


def check_layers(start: Start) -> None:
    """What the controller will mount the root on is what the metadata says, and only root's."""
    try:
        base, scratch = posix.readlink(f"{start.own}/base"), exists(f"{start.own}/scratch")
    except FileNotFoundError:
        base, scratch = "", False
    found, expected = (base, scratch), (start.base, start.scratch)
    require(found == expected, f"the base in {start.own} is {found}, not {expected}; {PUT_BACK}")
    if base:
        require(start.root == f"{start.own}/rootfs", f"its root is not in {start.own}; {PUT_BACK}")
        open_trusted(f"{STORE}/{base.removeprefix('../')}", S_IFDIR, TRUSTED_IDS[0])


def check_orders(start: Start) -> None:
    """What the controller will do by itself is what the metadata says, and only root's to say."""
    path, found = f"{start.own}/orders", ""
    if exists(path):
        entry = open_trusted(path, S_IFREG, TRUSTED_IDS[0])
        found = read(f"/proc/self/fd/{entry}")
    same = sorted(found.split("\n")) == sorted(start.orders.split("\n"))  # in whatever order
    remedy = "run 'virtsec doctor --fix'"
    require(same, f"{path} says {found!r}, not {start.orders!r}; {remedy}")
