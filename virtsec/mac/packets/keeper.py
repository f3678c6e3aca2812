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
import time

LIBRARY = "libnftables.so.1"
SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}


def tell_systemd(state: str) -> None:
    """Tell systemd `state`, where it started us (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        address = "\0" + path[1:] if path.startswith("@") else path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state.encode(), address)


def main(rules: str) -> int:
    """Load `rules`, and again at each SIGHUP, until another signal; returns the exit status."""
    nft = ctypes.CDLL(LIBRARY)
    nft.nft_ctx_new.restype = ctypes.c_void_p
    nft.nft_run_cmd_from_filename.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    context = nft.nft_ctx_new(0)
    while True:
        # One transaction: where it fails, what was in force before still is.
        if nft.nft_run_cmd_from_filename(context, os.fsencode(rules)):
            return 1  # the library has said why
        tell_systemd("READY=1")
        if signal.sigwait(SIGNALS) != signal.SIGHUP:
            return 0
        tell_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


if __name__ == "__main__":
    # Blocked first: one that comes while the rules are loaded is waited for all the same.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    sys.exit(main(sys.argv[1]))
