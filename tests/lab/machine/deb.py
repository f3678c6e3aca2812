"""virtsec's Debian package, built from the checkout by Debian's own tools, as `make deb` does."""

import shutil
from pathlib import Path

from . import host
from .cache import Cache, digest
from .progress import Progress
from .run import run
from .wheel import CHECKOUT

SOURCES = (
    "debian",
    "docs",
    "policies",
    "virtsec",
    "xml_templates",
    "README.md",
    "pyproject.toml",
)
"""What goes in, of the checkout."""

# What is built for Debian's Python is built by it, whichever Python comes first on PATH.
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def build(cache: Cache, progress: Progress) -> Path:
    """Return the package's path, building it when what goes in has changed."""

    def package(into: Path) -> None:
        tree = into / "virtsec"
        tree.mkdir()
        for name in SOURCES:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree)
        host.require_to_build(tree, progress)
        progress.stage("building the Debian package")
        run(["dpkg-buildpackage", "--build=binary", "-us", "-uc"], cwd=tree, env={"PATH": _PATH})
        shutil.rmtree(tree)

    key = digest(*(CHECKOUT / name for name in SOURCES))
    (deb,) = cache.entry("deb", key, package).glob("*.deb")
    return deb
