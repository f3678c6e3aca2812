#!/usr/bin/python3 -IBS
"""What virtsec's containers name as `<emulator>`: becomes libvirt_lxc, confined.

`confine`, the module beside it, does all of it: of a module Python keeps the compiled form.
"""

import posix
import sys

MODULES = "/usr/libexec/virtsec"  # only root can change it, or what is above it

if __name__ == "__main__":
    try:
        sys.path.insert(0, MODULES)
        from confine import become_libvirt_lxc

        become_libvirt_lxc(sys.argv[1:])
    except BaseException as error:
        line = f"virtsec: the container is not started: its controller failed ({error!r})."
        posix.write(2, line.encode("unicode_escape") + b"\n")
    posix._exit(1)
