"""Directories of the host that a container sees with the host's own ids, by an idmapped mount.

Root inside is root of the host in them. What keeps that harmless is how they are mounted on the
host: else a program with the set-user-id bit that root inside leaves there would be root's for any
user of the host. (A directory that nobody else may enter would do as well, but libvirt_lxc itself
comes as root inside.)
"""

from __future__ import annotations

import errno
import os
from pathlib import PurePosixPath

from virtsec.errors import BadInput, Refused
from virtsec.kernel.mounts import detached_mount, map_ids
from virtsec.kernel.userns import user_namespace
from virtsec.spec import ID_COUNT


def check_mapped(source: PurePosixPath) -> None:
    """Raise `Refused` where set-user-id programs work, `BadInput` where it cannot be mapped."""
    if not is_nosuid(source):
        raise Refused(
            f"In {source} root inside could leave users of this host programs that run as root.",
            f"Mount it nosuid, such as by `mount --bind -o nosuid {source} {source}`, and in "
            "/etc/fstab.",
        )
    directory = os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mount = detached_mount(directory)
        try:
            with user_namespace(ID_COUNT, ID_COUNT) as namespace:
                map_ids(mount, namespace)
        finally:
            os.close(mount)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise BadInput(
            f"The file system of {source} cannot be mounted with other ids.",
            "Choose a directory on ext4, xfs, btrfs or tmpfs, or leave idmap out.",
        ) from None
    finally:
        os.close(directory)


def is_nosuid(source: PurePosixPath) -> bool:
    """Whether no program in it gives who runs it more than their own rights."""
    return bool(os.statvfs(source).f_flag & os.ST_NOSUID)
