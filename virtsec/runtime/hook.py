#!/usr/bin/python3 -IBS
"""libvirt's hook for LXC: lets domains that are not virtsec's start at once, and judges the others.

libvirt runs `50-virtsec NAME OPERATION STAGE EXTRA` with the domain's XML on standard input and
waits for it (https://libvirt.org/hooks.html). Status 1 stops the start; the sentence on standard
error reaches libvirt's log and whoever asked for the start. With status 0 passes at once

  - everything but `prepare`, `start` and `started`, each at `begin` (refusing `reconnect begin`
    would kill a running container);
  - every domain whose XML nowhere says `virtsec`, as all of virtsec's do more than once.

What is to be said of the others `judgement` says, one of the modules beside the controller. Python
keeps no compiled form of what it runs as a program, only of modules: so this one is short, since it
is run as root for every LXC domain of the host.
"""

import posix
import sys

# As a package has it: where its modules are. Only root can change it, or what is above it.
__path__ = ["/usr/libexec/virtsec"]
MARK = b"virtsec"  # in the XML of each of our domains: in its metadata and its emulator
INPUT_LIMIT = 1 << 26  # bytes; libvirt itself takes no XML that would come out as long
CONCERNED = [[operation, "begin"] for operation in ("prepare", "start", "started")]


def main() -> None:
    """Return when libvirt may go on; raise when it may not."""
    # With no standard input there is no telling whose domain it is: judged as a broken one of ours.
    data = sys.stdin.buffer.read(INPUT_LIMIT) if sys.stdin else MARK
    if sys.argv[2:4] in CONCERNED and (MARK in data or len(data) == INPUT_LIMIT):
        import gc  # noqa: PLC0415

        gc.disable()  # what is over so soon has no garbage
        from __main__.judgement import judge  # noqa: PLC0415

        judge(sys.argv[1], sys.argv[2], data)


def sentence(error: BaseException) -> bytes:
    """Why there is no start, as a line of ASCII that no terminal obeys, whatever is in it."""
    name = "".join(sys.argv[1:2]) or "the domain"
    failed = f"the hook failed ({type(error).__name__}: {error})"
    line = f"virtsec: {name} is not started: {getattr(error, 'sentence', failed)}."
    line = " ".join(line.split())
    line = line if len(line) < 600 else f"{line[:400]} ... {line[-150:]}"  # why, and the remedy
    return line.encode("unicode_escape") + b"\n"


if __name__ == "__main__":
    status = 0
    try:
        main()
    except BaseException as error:
        posix.write(2, sentence(error))
        status = 1
    posix._exit(status)
