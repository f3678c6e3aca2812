"""The laboratory's command line; ``make`` calls nothing else.

Exit status: the script's own, or 125 when the laboratory itself is at fault.
"""

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from . import deb, host
from .cache import Cache
from .errors import LAB_FAILED, LabError
from .guest import guest
from .qemu import MEMORY, Lsm
from .session import Laboratory, Request, run_script, run_shell


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.machine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--lsm", type=Lsm, default=Lsm.SELINUX, choices=list(Lsm))
    which.add_argument("--permissive", action="store_true", help="SELinux logs, refuses nothing")
    which.add_argument("--memory", default=MEMORY, help="of the guest, such as 4G")
    which.add_argument("--no-setup", action="store_true", help="virtsec is installed, not set up")
    which.add_argument("--wheel", type=Path, help="install this one, not the checkout's")
    which.add_argument("--bare", action="store_true", help="virtsec is not even installed")
    which.add_argument("--own-kernel", action="store_true", help="SELinux on the Smack kernel")

    command = commands.add_parser("run", parents=[which], help="run a script in a fresh guest")
    command.add_argument("--with", dest="beside", type=Path, action="append", default=[])
    command.add_argument("script", type=Path)
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("shell", parents=[which], help="a root shell in a fresh guest")
    command = commands.add_parser("deb", help="build the Debian package")
    command.add_argument("into", type=Path)
    commands.add_parser("images", help="build what guests boot from, if need be")
    commands.add_parser("host-tools", help="install what `make check` needs, if need be")
    commands.add_parser("clean", help="remove the cache")

    options = parser.parse_args(argv)
    # Both mean: stop, and clean up on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _command(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return LAB_FAILED
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _command(options: argparse.Namespace) -> int:
    if options.command == "clean":
        shutil.rmtree(Cache().root, ignore_errors=True)
        return 0
    laboratory = Laboratory()
    if options.command == "host-tools":
        host.require(host.CHECK, laboratory.progress)
        return 0
    if options.command == "deb":
        options.into.mkdir(exist_ok=True)
        print(shutil.copy(deb.build(laboratory.cache, laboratory.progress), options.into))
        return 0
    if options.command == "images":
        host.require(host.BOOT + host.IMAGES, laboratory.progress)
        guest(laboratory.cache, laboratory.progress)
        return 0
    request = Request(
        lsm=options.lsm,
        permissive=options.permissive,
        memory=options.memory,
        setup=not options.no_setup,
        wheel=options.wheel,
        own_kernel=options.own_kernel,
        bare=options.bare,
    )
    if options.command == "shell":
        return run_shell(laboratory, request)
    status = run_script(laboratory, request, options.script, options.arguments, options.beside)
    laboratory.progress.stage(f"script exited with status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
