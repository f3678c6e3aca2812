#!/usr/bin/python3 -IS
"""What libvirt runs at each stage of every LXC domain: it calls hook.py where that may matter.

Installed as /etc/libvirt/hooks/lxc.d/50-virtsec. Compiling all of hook.py would make the start of a
domain that is not virtsec's wait half as long again as Python itself does; so this file is short
and decides nothing, it only lets pass what `hook.main` would let pass unread.
"""

import posix
import sys

DIRECTORY = "/usr/libexec/virtsec"  # of hook.py; nobody but root can write there
MARK = b"virtsec"  # hook.MARK
INPUT_LIMIT = 1 << 26  # hook.INPUT_LIMIT

if sys.argv[2:4] != ["prepare", "begin"]:
    posix._exit(0)
try:
    data = sys.stdin.buffer.read(INPUT_LIMIT)
    if MARK not in data and len(data) < INPUT_LIMIT:
        posix._exit(0)
    sys.dont_write_bytecode = True  # what is judged is hook.py as it stands, and setup removes it
    sys.path.insert(0, DIRECTORY)
    import hook  # type: ignore[import-not-found]

    status = hook.main(sys.argv, data)
except BaseException as error:
    posix.write(2, f"virtsec: the hook does not work ({error!r}); run 'virtsec setup'.\n".encode())
    status = 1
posix._exit(status)
