"""Refuses the system calls that no namespace or label keeps the host's root from: seccomp(2).

The filter holds for whoever puts it on and for all it starts, and nobody can take it off. What is
refused answers EPERM, by whichever of its numbers and in programs of every architecture that the
kernel runs; every other call is allowed.
"""

import _ctypes
import sys

from .system import call

#: For the host's keys (add_key, request_key, keyctl), its swap (swapon, swapoff), the kernel that
#: runs next (kexec_load, kexec_file_load) and counters of every process (perf_event_open). Numbers
#: by AUDIT_ARCH_* (linux/audit.h), in this order.
REFUSED_CALLS = {
    0xC000003E: (248, 249, 250, 167, 168, 246, 320, 298, 528),  # x86_64; 528: x32's kexec_load
    0x40000003: (286, 287, 288, 87, 115, 283, 336),  # i386
    0xC00000B7: (217, 218, 219, 224, 225, 104, 294, 241),  # aarch64
    0x40000028: (309, 310, 311, 87, 115, 347, 401, 364),  # arm
    0xC0000015: (269, 270, 271, 87, 115, 268, 382, 319),  # ppc64le
    0xC00000F3: (217, 218, 219, 224, 225, 104, 294, 241),  # riscv64
    0x80000016: (278, 279, 280, 87, 115, 277, 381, 331),  # s390x
}
X32 = 0x40000000  # __X32_SYSCALL_BIT: the same calls, numbered apart
LOAD, AND, EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06  # linux/filter.h
NUMBER, ARCHITECTURE = 0, 4  # where they are in struct seccomp_data
ALLOW, NOT_PERMITTED = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """A struct sock_filter; jumps are counted in instructions."""
    order = sys.byteorder
    return code.to_bytes(2, order) + bytes((if_true, if_false)) + value.to_bytes(4, order)


def seccomp_filter() -> bytes:
    """What refuses the system calls in `REFUSED_CALLS` and allows all others (seccomp(2))."""
    lines = [instruction(LOAD, ARCHITECTURE)]
    for architecture, numbers in REFUSED_CALLS.items():
        count = len(numbers)
        lines += [
            instruction(EQUAL, architecture, if_false=count + 4),
            instruction(LOAD, NUMBER),
            instruction(AND, 0xFFFFFFFF ^ X32),
            # Each jumps over those after it and over ALLOW.
            *(instruction(EQUAL, each, if_true=count - at) for at, each in enumerate(numbers)),
            instruction(RETURN, ALLOW),
            instruction(RETURN, NOT_PERMITTED),
        ]
    return b"".join([*lines, instruction(RETURN, ALLOW)])


class Instructions(_ctypes._SimpleCData):  # type: ignore[type-arg]  # it has one for mypy alone
    """A pointer to instructions."""

    _type_ = "z"


def refuse_calls() -> None:
    """Put the filter on; it needs no `no_new_privs`, which would end every setuid inside."""
    content = seccomp_filter()
    count, pointer = len(content) // len(instruction(RETURN, ALLOW)), Instructions(content)
    # A struct sock_fprog: the pointer is where one may be, the unsigned short before it.
    program = count.to_bytes(2, sys.byteorder).ljust(len(bytes(pointer)), b"\0") + bytes(pointer)
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)
