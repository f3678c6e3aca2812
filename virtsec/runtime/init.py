"""Init's label: on the file that init is now, and on no other.

The container wrote that file, so the kernel resolves its path inside the root, and only an inode
that carries a label of this very container is ever changed: no link, rename or mount inside the
tree leads to one outside it. With the policy `pristine` the copy that is kept outside the tree is
put there first.
"""

import posix

from .disk import IN_ROOT, MEND, NO_MAGICLINKS, NO_SYMLINKS, NO_XDEV, open_trusted, openat2
from .refusal import ID_COUNT, S_IFMT, S_IFREG, Refused, require
from .start import TRUSTED_IDS, Start

EXECUTABLE = 0o111  # stat.h: S_IXUSR|S_IXGRP|S_IXOTH
TEMPORARY = ".init.virtsec"  # in the tree, for as long as init is being replaced


def label_init(start: Start, root: int) -> None:
    """Put init's label on what init is, in the tree whose root is the descriptor `root`."""
    if start.init_policy == "pristine":
        restore_init(start, root, find_init(start, root))
    put_label(start, find_init(start, root))


def label_of(start: Start, inode: str) -> str:
    """The label of a file; empty when it has none."""
    try:
        label = posix.getxattr(inode, start.model.attribute)
    except OSError:
        return ""
    return label.decode(errors="replace").removesuffix(start.model.end)


def find_init(start: Start, root: int) -> str:
    """The path of a descriptor of what init is now: a program of this container, of no one else."""
    try:
        entry = openat2(root, start.init, IN_ROOT | NO_MAGICLINKS | NO_XDEV)
    except OSError as error:
        raise Refused(f"there is no init {start.init} inside ({error.strerror}); {MEND}") from None
    status, inode = posix.fstat(entry), f"/proc/self/fd/{entry}"
    program = status.st_mode & S_IFMT == S_IFREG and status.st_mode & EXECUTABLE
    require(program, f"its init {start.init} is not an executable file; {MEND}")
    own = not start.mapped or start.owner <= status.st_uid < start.owner + ID_COUNT
    require(own, f"its init {start.init} belongs to user {status.st_uid} of the host; {MEND}")
    label = label_of(start, inode)
    own = label in start.labels[1:]
    require(own, f"its init {start.init} has the label {label!r}; run 'virtsec label {start.name}'")
    jumps = start.model.exec_attribute in posix.listxattr(inode)
    require(not jumps, f"its init {start.init} has {start.model.exec_attribute}; take it away")
    return inode


def put_label(start: Start, inode: str) -> None:
    """Give init its label, and see that it has it."""
    label = start.labels[2]
    posix.setxattr(inode, start.model.attribute, (label + start.model.end).encode())
    require(label_of(start, inode) == label, f"its init did not take the label {label}")


def restore_init(start: Start, root: int, inode: str) -> None:
    """Put the copy of init that is kept outside the tree where init is, unless that is the same."""
    kept = open_trusted(f"{start.own}/init.pristine", S_IFREG, TRUSTED_IDS[0])
    copy = posix.open(f"/proc/self/fd/{kept}", posix.O_RDONLY)
    content = posix.read(copy, posix.fstat(copy).st_size)
    if posix.read(posix.open(inode, posix.O_RDONLY), len(content) + 1) == content:
        return
    place = posix.readlink(inode).removeprefix(posix.readlink(f"/proc/self/fd/{root}"))
    folder, _, name = place.rpartition("/")
    directory = openat2(root, folder or "/", IN_ROOT | NO_SYMLINKS | NO_XDEV)
    if TEMPORARY in posix.listdir(f"/proc/self/fd/{directory}"):
        posix.unlink(TEMPORARY, dir_fd=directory)  # of a start that was killed
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    new = posix.open(TEMPORARY, flags, 0o600, dir_fd=directory)
    try:
        require(posix.write(new, content) == len(content), "there is no room for its init")
        posix.fchown(new, start.owner, start.owner)
        posix.fchmod(new, 0o755)
        put_label(start, f"/proc/self/fd/{new}")
        posix.fsync(new)
        posix.rename(TEMPORARY, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        posix.unlink(TEMPORARY, dir_fd=directory)
        raise
