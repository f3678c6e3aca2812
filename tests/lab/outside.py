"""Machines outside of the host: one on its local network, one in the Internet, with servers."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.shell import run, wait_for

PORT = "8008"
LAN, INTERNET, INTERNET6 = "10.77.0.2", "203.0.113.2", "2001:db8:77::2"
NAMESPACE, HERE = "outside", "vout"
_HOST = ("10.77.0.1/24", "203.0.113.1/24", "2001:db8:77::1/64")
_THERE = (f"{LAN}/24", f"{INTERNET}/24", f"{INTERNET6}/64")
_SERVE = ("-m", "http.server", "--bind", "::", "--directory", "/usr/share/doc/python3", PORT)


def there(*words: str, check: bool = True) -> str:
    """Run a command on the machine outside."""
    return run("ip", "netns", "exec", NAMESPACE, *words, check=check).stdout


@contextmanager
def beside(*words: str, log: Path = Path("/dev/null")) -> Iterator[None]:
    """Have a command run meanwhile; what it prints goes to `log`."""
    with log.open("w") as prints:
        process = subprocess.Popen(words, stdout=prints, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def outside() -> Iterator[None]:
    """Have them there, a server of the host with them; all answer at `PORT`."""
    run("ip", "netns", "add", NAMESPACE)
    run("ip", "link", "add", HERE, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
    for place in _HOST:
        run("ip", "address", "add", place, "dev", HERE, *(["nodad"] if ":" in place else []))
    run("ip", "link", "set", HERE, "up")
    for place in _THERE:
        there("ip", "address", "add", place, "dev", "eth0", *(["nodad"] if ":" in place else []))
    there("ip", "link", "set", "eth0", "up")
    for family, router in (("-4", "203.0.113.1"), ("-6", "2001:db8:77::1")):
        there("ip", family, "route", "add", "default", "via", router)
    serve = (sys.executable, *_SERVE)
    try:
        with beside(*serve), beside("ip", "netns", "exec", NAMESPACE, *serve):
            page = ("curl", "-gs", f"http://{INTERNET}:{PORT}/")
            wait_for("the server outside", lambda: run(*page, check=False).returncode == 0)
            yield
    finally:
        run("ip", "netns", "delete", NAMESPACE)
        run("ip", "link", "delete", HERE, check=False)
