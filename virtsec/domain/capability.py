"""Capabilities a container keeps, by libvirt's names (formatdomain.html, "capabilities")."""

from __future__ import annotations

from collections.abc import Set

from virtsec.runtime.checks import KEEP_BY_KIND


def keep(privileged: bool) -> Set[str]:
    """Names of the capabilities that stay; every other one is dropped.

    The table with the reasons is the hook's: it refuses a domain that keeps more.
    """
    return KEEP_BY_KIND["privileged" if privileged else "unprivileged"]
