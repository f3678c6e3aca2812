#!/usr/bin/python3 -IS
"""Loads a file of nftables rules and stays, so that the tables in it stay: packets FILE.

A table with the owner flag can be flushed or changed by nobody but the process whose netlink socket
made it: neither `nft flush ruleset`, which reloading Debian's firewall begins with, nor another
firewall takes it away (nft(8), table flags). libnftables is the library nft itself is made of.

Run by virtsec-packets.service. Standard library only.
"""

import ctypes
import os
import signal
import socket
import sys

LIBRARY = "libnftables.so.1"
READY = b"READY=1"  # sd_notify(3)


def tell_systemd(path: str) -> None:
    """Say that the rules are loaded."""
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(READY, address)


def main(rules: str) -> int:
    """Load `rules`, then wait for a signal; returns the exit status."""
    nft = ctypes.CDLL(LIBRARY)
    nft.nft_ctx_new.restype = ctypes.c_void_p
    nft.nft_run_cmd_from_filename.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    if nft.nft_run_cmd_from_filename(nft.nft_ctx_new(0), os.fsencode(rules)):
        return 1  # the library has said why
    if path := os.environ.get("NOTIFY_SOCKET"):
        tell_systemd(path)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


if __name__ == "__main__":
    # Blocked first: one that comes while the rules are loaded is waited for all the same.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    sys.exit(main(sys.argv[1]))
