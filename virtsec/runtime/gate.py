#!/usr/bin/python3 -IS
"""What libvirt runs at each stage of every LXC domain: it calls hook.py where that may matter.

Installed as /etc/libvirt/hooks/lxc.d/50-virtsec, with hook.py beside the controller. A script is
compiled at each run, and compiling all of hook.py takes half as long as starting Python does: too
much for the start of a domain that is not virtsec's. So this file is short and decides nothing, it
lets pass what `hook.main` would let pass unread. Bytecode of hook.py is used where setup made some
with `compileall --invalidation-mode checked-hash` and hook.py is still the same; none is written.
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
    sys.dont_write_bytecode = True  # what setup did not write it would not remove
    sys.path.insert(0, DIRECTORY)
    import hook  # type: ignore[import-not-found]

    status = hook.main(sys.argv, data)
except BaseException as error:
    posix.write(2, f"virtsec: the hook does not work ({error!r}); run 'virtsec setup'.\n".encode())
    status = 1
posix._exit(status)
