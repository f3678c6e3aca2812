"""The host's policy store, through `semodule`: many modules in, many out, one rebuild.

A rebuild of the policy takes seconds whatever its size, so each function is one transaction; the
store is left as it was when it fails (semodule(8)).
"""

from __future__ import annotations

import bz2
import os
import subprocess
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from virtsec.errors import HostNotReady, PolicyFailed
from virtsec.kernel.private import private_directory

SEMODULE = "/usr/sbin/semodule"
CONFIG = Path("/etc/selinux/config")
STORE = Path("/var/lib/selinux")
#: semodule's own default for what an administrator adds.
PRIORITY = "400"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def policy_type() -> str:
    """SELINUXTYPE of /etc/selinux/config, such as 'default' or 'targeted'."""
    try:
        lines = CONFIG.read_text().splitlines()
    except OSError as error:
        raise HostNotReady(
            f"{CONFIG} cannot be read ({error.strerror}).",
            "Install one, such as by `apt install selinux-policy-default`.",
        ) from error
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "SELINUXTYPE":
            return value.strip()
    raise HostNotReady(f"{CONFIG} names no policy type.", "Set SELINUXTYPE in it.")


def _modules() -> Path:
    return STORE / policy_type() / "active" / "modules" / PRIORITY


def names(prefix: str) -> set[str]:
    """Names of the modules in the store that begin with `prefix`."""
    try:
        return {each.name for each in os.scandir(_modules()) if each.name.startswith(prefix)}
    except FileNotFoundError:
        return set()


def installed(prefix: str) -> dict[str, str]:
    """CIL texts of the modules in the store whose names begin with `prefix`."""
    found: dict[str, str] = {}
    for name in sorted(names(prefix)):
        with suppress(FileNotFoundError):  # it was taken out meanwhile
            raw = (_modules() / name / "cil").read_bytes()
            # The store keeps modules compressed unless semanage.conf says otherwise.
            found[name] = (bz2.decompress(raw) if raw.startswith(b"BZh") else raw).decode()
    return found


def change(install: Mapping[str, str], remove: Collection[str]) -> None:
    """Put modules in (name to CIL text) and take modules out, in one transaction.

    Raises `PolicyFailed` with semodule's own words; the store is then unchanged.
    """
    if not install and not remove:
        return
    with private_directory("virtsec-policy-") as directory:
        command = [SEMODULE, "-X", PRIORITY]
        for name, text in install.items():
            path = directory / f"{name}.cil"
            path.write_text(text)
            command += ["-i", str(path)]
        for name in remove:
            command += ["-r", name]
        done = subprocess.run(
            command, env=_ENVIRONMENT, capture_output=True, text=True, check=False, cwd="/"
        )
    if done.returncode != 0:
        raise PolicyFailed(
            f"The policy was not loaded: {_reason(done.stderr)}",
            "The store is unchanged; `semodule -B` tells whether it is sound on its own.",
        )


def _reason(stderr: str) -> str:
    """The first line of semodule's output that says what is wrong."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # libsemanage warns about users missing from passwd on every run; that is not the reason.
    told = [line for line in lines if "not in password file" not in line]
    return (told or lines or ["semodule gave no reason"])[0].rstrip(".") + "."
