"""Which kernel a guest boots."""

from .cache import Cache
from .errors import LabError
from .guest import Guest
from .progress import Progress
from .qemu import Kernel, Lsm


def kernel_for(
    lsm: Lsm, guest: Guest, _cache: Cache, _progress: Progress, *, own: bool = False
) -> Kernel:
    """Return Debian's kernel for SELinux, and our own for Smack or where ``own`` asks for it."""
    if lsm is Lsm.SMACK or own:
        raise LabError("there is no Smack kernel yet")
    return Kernel(guest.key, guest.kernel, guest.initrd)
