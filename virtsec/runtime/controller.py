#!/usr/bin/python3 -IBS
"""What virtsec's containers name as `<emulator>`: becomes libvirt_lxc, confined.

`confine`, one of the modules beside it, does all of it: of modules Python keeps the compiled form.
Why it cannot is said in one sentence, for libvirt's log and for whoever asked for the start.
"""

import posix
import sys

# As a package has it: where its modules are. Only root can change it, or what is above it.
__path__ = ["/usr/libexec/virtsec"]

if __name__ == "__main__":
    try:
        from __main__.confine import become_libvirt_lxc

        become_libvirt_lxc(sys.argv[1:])
    except BaseException as error:
        failed = f"its controller failed ({type(error).__name__}: {error})"
        why = getattr(error, "sentence", failed)
        why = why if len(why) < 600 else f"{why[:400]} ... {why[-150:]}"  # why, and the remedy
        line = f"virtsec: the container is not started: {why}."
        posix.write(2, line.encode("unicode_escape") + b"\n")  # which no terminal obeys
    posix._exit(1)
