"""How hook and controller refuse a start, and what both know of every container of virtsec's.

Whoever finds something wrong raises `Refused` with one sentence that says what it is and what to do
about it; the program that runs prints it and ends with status 1, and nothing starts. Nothing here
is looked up and nothing is changed.
"""

STORE = "/var/lib/virtsec"  # has a directory for each container
ID_COUNT = 65536  # of an unprivileged container
NAME_LETTERS = set("abcdefghijklmnopqrstuvwxyz0123456789-")
SELINUX, SMACK = "/sys/fs/selinux/enforce", "/sys/fs/smackfs/load2"  # there while it runs
S_IFMT, S_IFREG, BY_OTHERS = 0o170000, 0o100000, 0o022  # stat.h; S_IWGRP|S_IWOTH


class Refused(Exception):
    """Why a container is not started, and what to do about it, in one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def require(holds: object, sentence: str) -> None:
    """Raise Refused unless it holds."""
    if not holds:
        raise Refused(sentence)


def is_name(name: str) -> bool:
    """Whether virtsec would call a container so: labels and a directory are made of it."""
    return name[:1].isalpha() and len(name) < 24 and set(name) <= NAME_LETTERS
