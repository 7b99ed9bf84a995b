# SPDX-License-Identifier: MIT
"""System calls that are denied to a program, as the seccomp profile of a container does it."""

import ctypes
import pathlib
import platform
import struct

from kit import Skip

# By their numbers on x86-64.
IO_URING_CALLS = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}
EPOLL_PWAIT2 = 441


def prctl(option, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *[ctypes.c_ulong(argument) for argument in arguments]) < 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def denied(err, *numbers):
    """A function that has these system calls fail from then on, in this process and its children."""
    PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
    LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS and so on
    SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
    instructions = [(LOAD, 0, 0, 0)]  # seccomp_data.nr
    for number in numbers:
        instructions += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, SECCOMP_RET_ERRNO | err)]
    instructions.append((RETURN, 0, 0, SECCOMP_RET_ALLOW))
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    memory = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(instructions), ctypes.addressof(memory)))

    def before():
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # without it only root may filter
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))

    before.keep = memory  # which the program points to
    return before


def needs_seccomp():
    if platform.machine() != "x86_64":
        raise Skip(f"the system call numbers are those of x86-64, this is {platform.machine()}")
    status = pathlib.Path("/proc/self/status").read_text()
    if "\nSeccomp:" not in status:
        raise Skip("this kernel has no seccomp")


def needs_io_uring_to_deny():
    needs_seccomp()
    disabled = pathlib.Path("/proc/sys/kernel/io_uring_disabled")  # Linux 6.6
    if disabled.exists() and disabled.read_text().strip() != "0":
        raise Skip("kernel.io_uring_disabled is not 0, and answered first")
