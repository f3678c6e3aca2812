"""The fixture `machine`: a host inside a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.host.host_fakes import NETWORK, Done, FakeLibvirt, FakeMac, Machine
from virtsec.host.places import Places


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A Debian host as its packages leave it: libvirt's network there, but not started."""
    prefix = tmp_path / "host"
    places = Places(prefix, os.getuid(), os.getgid())
    for directory in (
        "etc/libvirt/hooks",
        "etc/modules-load.d",
        *("usr/libexec", "usr/sbin", "var/lib", "etc", "run"),
    ):
        (prefix / directory).mkdir(parents=True, exist_ok=True, mode=0o755)
    for path, text in (
        (places.forwarding, "0\n"),
        (places.cgroup_controllers, "memory pids\n"),
        (places.user_namespaces, "11733\n"),
        (places.dnsmasq, ""),
        (places.network_template, NETWORK),
        (places.interfaces / "lo" / "operstate", "up\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.write_text(text)
    libvirt = FakeLibvirt(places.forwarding, {"default": NETWORK})
    found = Machine(places, libvirt, FakeMac())

    def systemctl(*words: str) -> Any:
        if words[0] == "kill":
            found.reloads.append(places.hook.exists())
        return Done("inactive\nactive\n")

    monkeypatch.setattr("virtsec.host.daemon._systemctl", systemctl)
    monkeypatch.setattr("virtsec.host.overlay.MODPROBE", "/none")
    return found
