# SPDX-License-Identifier: MIT
"""Which ring gyr-echo takes: io_uring, or epoll on every core where io_uring cannot be had, and then it
says why; and what it answers when io_uring alone would do."""

import contextlib
import errno
import os
import platform
import re
import resource
import subprocess
import sys

from deny import EPOLL_PWAIT2, IO_URING_CALLS, denied, needs_io_uring_to_deny, needs_seccomp, prctl
from kit import (MODE, TEXT, Server, Skip, close_frame, command, core_lists, equal, expect, fails, frame, limited,
                 request, ring_missing, run, test)

FORBIDDEN = ["forbidden", "seccomp profile", "allow io_uring_setup, io_uring_enter and io_uring_register in it\n"]
MISSING = ["not in this kernel", platform.release(), "6.1 or later", "seccomp profile",
           "allow io_uring_setup, _enter and _register in it\n"]
NO_MEMORY = ["no memory", "RLIMIT_MEMLOCK", "ulimit -l"]
ANSWERS = {errno.EPERM: FORBIDDEN, errno.ENOSYS: MISSING, errno.ENOMEM: NO_MEMORY}


def echoes(server):
    with server.websocket() as ws:
        ws.send(frame(TEXT, b"hello"))
        equal(ws.message().payload, b"hello", "echo")
        ws.send(close_frame(1000))
        equal(ws.closed(answer=False), 1000, "close code")


def takes_epoll(words, cores, before):
    """With one line that says why, whatever the number of cores."""
    server = Server("--cores", ",".join(cores), "--set", "ring=auto", before=before).start()
    for _ in range(4 * len(cores)):  # the kernel spreads them
        echoes(server)
    equal(server.stop(), 0, "exit status")
    error = server.error_text() + "\n"
    expect(re.fullmatch(r"gyr-echo: epoll instead of io_uring: io_uring_[^\n]+\n", error), error)
    for word in words:
        expect(word in error, f"no {word!r} in {error!r}")


@test
def io_uring_is_taken_where_it_can_be_had():
    if ring_missing("uring"):
        raise Skip(ring_missing("uring"))
    with Server("--set", "ring=uring") as asked:
        echoes(asked)
    with Server("--set", "ring=auto") as server:  # which must say nothing, then
        echoes(server)


@test
def epoll_is_taken_where_io_uring_is_denied():
    """Whichever of its calls a profile denies, and however many cores find out."""
    needs_io_uring_to_deny()
    for err, words in ANSWERS.items():
        for call, number in IO_URING_CALLS.items():
            for cores in core_lists():
                takes_epoll([f" {call}", *words], cores, denied(err, number))


@test
def linux_before_6_1_is_named_as_too_old():
    """It refuses the flags that 6.1 brought."""
    needs_io_uring_to_deny()
    before = denied(errno.EINVAL, IO_URING_CALLS["io_uring_setup"])
    words = [" io_uring_setup", platform.release(), "6.1 or later", "IORING_SETUP_DEFER_TASKRUN"]
    for cores in core_lists():
        takes_epoll(words, cores, before)
        fails(1, words, "--listen", "127.0.0.1:0", "--cores", ",".join(cores), "--set", "ring=uring", before=before)


@test
def denied_io_uring_is_1_when_it_is_asked_for():
    needs_io_uring_to_deny()
    for err, words in ANSWERS.items():
        for call, number in IO_URING_CALLS.items():
            for cores in core_lists():
                fails(1, [f" {call}", *words], "--listen", "127.0.0.1:0", "--cores", ",".join(cores),
                      "--set", "ring=uring", before=denied(err, number))


@test
def too_little_locked_memory_is_no_obstacle():
    PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14

    def before():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        with contextlib.suppress(OSError):  # only root may, and only root's limit is none otherwise
            prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)

    arguments = command("--listen", "127.0.0.1:0", "--set", "ring=uring")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=before) as process:
        started = process.stdout.readline()
        process.kill()
    if started:
        raise Skip(f"Linux {platform.release()} does not hold this user's rings to RLIMIT_MEMLOCK")
    fails(1, ["io_uring_", *NO_MEMORY], "--listen", "127.0.0.1:0", "--set", "ring=uring", before=before)
    takes_epoll(NO_MEMORY, core_lists()[-1], before)


@test
def epoll_that_is_asked_for_needs_no_reason():
    needs_seccomp()
    with Server("--set", "ring=epoll", before=denied(errno.EPERM, *IO_URING_CALLS.values())) as server:
        echoes(server)


@test
def epoll_that_cannot_be_had_either_is_1():
    needs_io_uring_to_deny()
    if MODE in ("asan", "cov"):
        raise Skip(f"MODE={MODE} opens files of its own when the program ends")
    deny = denied(errno.EPERM, *IO_URING_CALLS.values())

    def before():
        limited(resource.RLIMIT_NOFILE, 4)()  # the standard ones and the listener
        deny()

    fails(1, [" epoll_create1", "Too many open files", "ulimit -n"], "--listen", "127.0.0.1:0",
          "--cores", core_lists()[0][0], "--set", "ring=auto", before=before)


@test
def time_limits_hold_without_epoll_pwait2():
    """Linux 5.11 has it; some profiles do not know it."""
    needs_seccomp()
    for err in errno.ENOSYS, errno.EPERM:
        with Server("--set", "ring=epoll", before=denied(err, EPOLL_PWAIT2), header_timeout_ms=50) as server:
            echoes(server)
            with server.connect() as http:
                http.send(b"GET / HT")
                equal(http.response().status, 408, "status")


@test
def connections_of_every_core_may_be_handed_over():
    """One core accepts for all when there is one socket for all; so each has to wake the others."""
    cpus = [str(cpu) for cpu in sorted(os.sched_getaffinity(0))][:4]
    if len(cpus) < 2:
        raise Skip("one CPU")
    for ring in ["epoll"] if ring_missing("uring") else ["uring", "epoll"]:
        with Server("--cores", ",".join(cpus), "--set", f"ring={ring}", balance="least") as server:
            open_ones = [server.connect() for _ in range(50)]
            for http in open_ones:
                http.send(request("GET", "/plaintext"))
            for http in open_ones:
                equal(http.response().status, 200, "status")
            used = [core["accepted"] for core in server.stats()["cores"]]
            expect(all(used), f"every core has some: {used}")
            for http in open_ones:
                http.socket.close()


if __name__ == "__main__":
    sys.exit(run())
