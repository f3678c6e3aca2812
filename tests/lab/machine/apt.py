"""Debian packages of suite trixie, from the mirror and keyring that this host's apt is set up with.

A Debian 12 host's own apt knows bookworm only. The same mirror carries trixie, and Debian 12's
keyring knows trixie's keys, so all that is taken from the host is where, how and whom to trust.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .run import run

SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# How the host reaches its mirror. All other settings of the host's apt are its own affair.
_CARRIED = re.compile(r"^Acquire::(?:(?:https?|ftp)::.*Proxy|Check-Date|Check-Valid-Until)")


@dataclass(frozen=True)
class Source:
    """Where packages come from."""

    uri: str
    keyring: Path
    settings: tuple[str, ...]
    """Lines of apt.conf without the closing semicolon."""

    @property
    def line(self) -> str:
        """The line of sources.list."""
        return f"deb [signed-by={self.keyring}] {self.uri} {SUITE} main"


def host_source() -> Source:
    """Return the source this host's apt is set up with, turned to trixie.

    Raises LabError if apt has no Debian mirror.
    """
    # A host whose package lists were never fetched does not know yet which mirror is Debian's.
    uri = _host_mirror()
    if uri is None:
        run(["apt-get", "update", "-qq"])
        uri = _host_mirror()
    if uri is None:
        raise LabError(
            "apt of this host has no Debian mirror to take packages from: "
            "see `apt-get indextargets`, its sources belong in /etc/apt/sources.list.d"
        )
    if not KEYRING.exists():
        raise LabError(f"{KEYRING} is missing: install the package debian-archive-keyring")
    return Source(uri, KEYRING, _carried_settings())


def _host_mirror() -> str | None:
    targets = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)|$(LABEL)|$(CODENAME)|$(COMPONENT)",
            "Created-By: Packages",
            "Origin: Debian",
        ]
    )
    for target in targets.splitlines():
        uri, label, codename, component = target.split("|")
        # Security, updates and backports live in places of their own, or beside the suite.
        if label == "Debian" and "-" not in codename and component == "main":
            return uri
    return None


def _carried_settings() -> tuple[str, ...]:
    dump = run(["apt-config", "dump"])
    carried = [line.rstrip(";") for line in dump.splitlines() if _CARRIED.match(line)]
    return (*carried, 'Acquire::Retries "5"', 'Acquire::Languages "none"')


def bootstrap(
    source: Source, include: tuple[str, ...], tree: Path, *, before_configure: Path | None = None
) -> None:
    """Unpack a Debian of suite trixie with the packages ``include`` into directory ``tree``.

    ``before_configure`` is a tree that is copied over it once the essential packages are in and
    before the others are configured.
    """
    argv: list[str | Path] = [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
    ]
    argv += [f"--aptopt={setting}" for setting in source.settings]
    # Nobody reads manuals in the laboratory, and unpacking them takes a third of the time.
    argv += [
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        f"--include={','.join(include)}",
    ]
    if before_configure is not None:
        # Arguments after the script itself are not passed on by mmdebstrap but for the tree.
        argv.append(f"--essential-hook=cp -rT '{before_configure}' \"$1\"")
    argv += [SUITE, tree, source.line]
    run(argv, env={"TMPDIR": str(tree.parent)})
    # The host's proxy is not the guest's.
    (tree / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)


def download(source: Source, package: str, into: Path) -> Path:
    """Fetch the .deb of ``package`` with all of apt's checks; return its path in ``into``."""
    root = into / "apt"
    for directory in (
        "etc/apt.conf.d",
        "etc/preferences.d",
        "lists/partial",
        "cache/archives/partial",
    ):
        (root / directory).mkdir(parents=True)
    (root / "etc/sources.list").write_text(f"{source.line}\n")
    (root / "status").write_text("")
    settings = [
        f'Dir::Etc "{root}/etc"',
        f'Dir::State "{root}"',
        f'Dir::State::status "{root}/status"',
        f'Dir::Cache "{root}/cache"',
        # Fetched as root into a directory that apt's own user may not be able to enter.
        'APT::Sandbox::User "root"',
        *source.settings,
    ]
    config = root / "apt.conf"
    config.write_text("".join(f"{setting};\n" for setting in settings))
    env = {"APT_CONFIG": str(config)}
    run(["apt-get", "update"], env=env)
    run(["apt-get", "download", package], cwd=into, env=env)
    (deb,) = into.glob(f"{package}_*.deb")
    return deb
