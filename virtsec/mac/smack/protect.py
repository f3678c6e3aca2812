"""`python3 -m virtsec.mac.smack.protect`: label again what lost the label `host`.

virtsec-protect.service runs it at boot and whenever a file in one of the watched directories is
replaced; for people there is `virtsec protect`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from virtsec.errors import VirtsecError
from virtsec.mac.install import failing
from virtsec.mac.smack import hostfiles
from virtsec.mac.smack.setup import Place


def protect(place: Place, *, check: bool = False) -> list[Path]:
    """Label what should be labelled and is not, or with `check` only look; returns what.

    What is listed no longer has its label taken off again.
    Raises `VirtsecError`.
    """
    with failing(place.root):
        if check:
            return hostfiles.protect(place.entries(), place.root, check=True)
        return place.protect()


def main(place: Place | None = None) -> int:
    """The exit status."""
    try:
        # systemd does not watch while this runs: until there was nothing left to do, look again.
        while labelled := protect(place or Place()):
            for path in labelled:
                sys.stdout.write(f"{path} is labelled 'host'\n")
    except VirtsecError as error:
        sys.stderr.write(f"virtsec: {error.sentence} {error.remedy}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
