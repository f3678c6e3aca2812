"""The disk that a directory lies on."""

from __future__ import annotations

import os
from pathlib import Path


def disk_below(directory: str, devices: Path = Path("/sys/dev/block")) -> str | None:
    """The device node of the disk that `directory` lies on; None where it is none's alone."""
    number = Path(directory).stat().st_dev
    try:
        described = (devices / f"{os.major(number)}:{os.minor(number)}/uevent").read_text("utf-8")
    except FileNotFoundError:
        return None
    fields = dict(line.split("=", 1) for line in described.splitlines() if "=" in line)
    return f"/dev/{fields['DEVNAME']}" if "DEVNAME" in fields else None
