#!/usr/bin/python3 -IBS
"""libvirt's hook for LXC: lets domains that are not virtsec's start at once, and judges the others.

libvirt runs `50-virtsec NAME OPERATION STAGE EXTRA` with the domain's XML on standard input and
waits for it (https://libvirt.org/hooks.html). Status 1 stops the start; the sentence on standard
error reaches libvirt's log and whoever asked for the start. With status 0 passes at once

  - everything but `prepare begin` and `started begin` (refusing `reconnect begin` would kill a
    running container);
  - every domain whose XML nowhere says `virtsec`, as all of virtsec's do more than once.

What is to be said of the others `judgement` says, a module beside the controller. Python keeps no
compiled form of what it runs as a program, only of modules: so this one is short, since it is run
as root for every LXC domain of the host.
"""

import posix
import sys

MODULES = "/usr/libexec/virtsec"  # only root can change it, or what is above it
MARK = b"virtsec"  # in the XML of each of our domains: in its metadata and its emulator
INPUT_LIMIT = 1 << 26  # bytes; libvirt itself takes no XML that would come out as long
CONCERNED = (["prepare", "begin"], ["started", "begin"])


def main() -> int:
    """Exit status for libvirt."""
    # With no standard input there is no telling whose domain it is: judged as a broken one of ours.
    data = sys.stdin.buffer.read(INPUT_LIMIT) if sys.stdin else MARK
    if sys.argv[2:4] not in CONCERNED or (MARK not in data and len(data) < INPUT_LIMIT):
        return 0
    sys.path.insert(0, MODULES)
    from judgement import answer  # noqa: PLC0415

    status: int = answer(sys.argv[1], sys.argv[2], data)
    return status


if __name__ == "__main__":
    try:
        status = main()
    except BaseException as error:
        name = "".join(sys.argv[1:2]) or "the domain"
        line = f"virtsec: {name} is not started: the hook failed ({error!r})."
        posix.write(2, " ".join(line.split()).encode("unicode_escape") + b"\n")
        status = 1
    posix._exit(status)
