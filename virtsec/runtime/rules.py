"""Smack's rules for a container: in the kernel before it starts, and none that opens the host.

The kernel forgets them with each boot, and whoever may write /etc/smack/accesses.d may have added
others. So those kept for the container are loaded at each start, and then the kernel is asked what
it would say: of processes and files of the container, of `_`, which is the host's label, and of
`host`, which is that of the host's secrets.
"""

import posix

from .refusal import Refused, require
from .start import Smack

QUERY = "/sys/fs/smackfs/access2"


def load_rules(name: str) -> None:
    """Load the rules kept for container `name`, and see that they hold."""
    try:
        file = posix.open(Smack.rules + name, posix.O_RDONLY)
        kept = posix.read(file, posix.fstat(file).st_size)
    except FileNotFoundError as error:
        missing = error.filename
        raise Refused(f"{missing} is not there; undefine it and define it again") from None
    for rule in kept.splitlines():
        if rule[:1] not in (b"", b"#"):
            posix.write(posix.open(Smack.running, posix.O_WRONLY), rule)
    for subject, thing, access, expected in (
        ("_", name, "rwx", b"1"),
        (name, "_", "w", b"0"),
        (name, "_", "a", b"0"),
        (name, "host", "r", b"0"),
    ):
        query = posix.open(QUERY, posix.O_RDWR)
        posix.write(query, f"{subject} {thing} {access}".encode())
        state = "no rule allows" if expected == b"1" else "a rule allows"
        sentence = f"{state} '{subject} {thing} {access}'; look into /etc/smack/accesses.d"
        require(posix.read(query, 1) == expected, sentence)
