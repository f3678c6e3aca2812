"""Running commands in the guest."""

import subprocess
import time
from collections.abc import Callable

Result = subprocess.CompletedProcess[str]


def run(*argv: str, check: bool = True, stdin: str | None = None, timeout: float = 900) -> Result:
    """Run a command; with `check`, raise AssertionError with all it said when it fails."""
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, check=False, timeout=timeout
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(argv)} exited with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def virsh(*argv: str, check: bool = True, stdin: str | None = None) -> Result:
    """Run virsh on the LXC driver."""
    return run("virsh", "-c", "lxc:///", *argv, check=check, stdin=stdin)


def virtsec(*argv: str, check: bool = True) -> Result:
    """Run virtsec as its users do."""
    return run("virtsec", *argv, check=check)


def wait_for(what: str, holds: Callable[[], object], attempts: int = 120) -> None:
    """Wait until `holds()` is true, a second or more between attempts; AssertionError otherwise."""
    for _ in range(attempts):
        if holds():
            return
        time.sleep(1)
    raise AssertionError(f"waited in vain: {what}")
