"""`python3 -m virtsec.mac.smack.protect [--check]`: label again what lost the label `host`.

virtsec-protect.service runs it at boot and whenever one of the listed files is replaced. With
`--check` nothing is changed, and the exit status is 1 when something would be.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from virtsec.errors import VirtsecError
from virtsec.mac.smack import hostfiles
from virtsec.mac.smack.setup import Place
from virtsec.mac.smack.store import failing


def protect(place: Place, *, check: bool = False) -> int:
    """Label what should be labelled and is not; with `check` only look.

    Returns how many inodes were labelled, or with `check` 1 where some would be. Raises
    `VirtsecError`.
    """
    with failing(place.root):
        if check:
            return int(hostfiles.unlabelled(place.entries(), place.root))
        return hostfiles.protect(place.entries(), place.root)


def main(arguments: Sequence[str], place: Place | None = None) -> int:
    """The exit status."""
    check = list(arguments) == ["--check"]
    try:
        count = protect(place or Place(), check=check)
    except VirtsecError as error:
        sys.stderr.write(f"virtsec: {error.sentence} {error.remedy}\n")
        return error.exit_status
    return count if check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
