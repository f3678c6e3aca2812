"""virtsec's wheel, built from the checkout as for a release."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

from .cache import Cache, digest
from .errors import LabError
from .progress import Progress
from .run import run

CHECKOUT = Path(__file__).parents[3]

# The build backend that pyproject.toml names; fixed, so that a wheel is the same tomorrow.
BACKEND = ("hatchling==1.27.0",)

SYSTEM_PYTHON = Path("/usr/bin/python3")
"""Not whichever Python comes first on PATH: this is the one whose venv module apt installs."""


@dataclass(frozen=True)
class Wheel:
    """A built wheel; ``key`` changes with what is in it, not with when it was built."""

    key: str
    path: Path


def build(cache: Cache, progress: Progress, into: Path) -> Wheel:
    """Build the checkout's wheel into directory ``into``."""

    def tools(directory: Path) -> None:
        progress.stage("installing the build backend")
        run([SYSTEM_PYTHON, "-m", "venv", directory])
        install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run([directory / "bin/python", *install, *BACKEND])

    python = cache.entry("build-backend", digest(*BACKEND), tools) / "bin/python"
    run([python, "-m", "hatchling", "build", "-t", "wheel", "-d", into], cwd=CHECKOUT)
    return existing(_only_wheel(into))


def existing(path: Path) -> Wheel:
    """Return the wheel at ``path`` with its key."""
    with zipfile.ZipFile(path) as archive:
        entries = sorted(f"{entry.filename} {entry.CRC:08x}" for entry in archive.infolist())
    return Wheel(digest(path.name, *entries), path)


def _only_wheel(directory: Path) -> Path:
    wheels = list(directory.glob("*.whl"))
    if len(wheels) != 1:
        raise LabError(f"the build made {len(wheels)} wheels, not one")
    return wheels[0]
