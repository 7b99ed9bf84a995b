# SPDX-License-Identifier: MIT
"""The command line of gyr-echo: what a mistake is answered with, and how the program ends."""

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile

from deny import IO_URING_CALLS, denied, needs_seccomp
from kit import (CLOSE, DEADLINE, MODE, RING, TEXT, Http, Server, Skip, close_frame, command, core_lists, equal, eventually,
                 expect, fails, frame, limited, request, run, start, test)


@test
def wrong_usage_is_2():
    fails(2, ["--frobnicate", "--help"], "--frobnicate")
    fails(2, ["extra"], "extra")
    fails(2, ["--listen"], "--listen")
    fails(2, ["--set", "NAME=VALUE", "pin"], "--set", "pin")
    fails(2, ["-x"], "-x")


@test
def bad_address_is_1():
    for address in "nonsense", "8080", "localhost:80", "127.0.0.1:99999", "unix:", "[::1]", "*:8080", "256.1.1.1:80":
        fails(1, [address, "127.0.0.1:8080"] if address != "unix:" else ["unix:"], "--listen", address)
    fails(1, ["192.0.2.1:8080", "address"], "--listen", "192.0.2.1:8080")
    fails(1, ["/nowhere/at/all", "directory"], "--listen", "unix:/nowhere/at/all")


@test
def bad_setting_is_1():
    fails(1, ["no_such_thing"], "--set", "no_such_thing=1")
    fails(1, ["message_size_max", "many"], "--set", "message_size_max=many")
    fails(1, ["pin", "7", "0 to 1"], "--set", "pin=7")
    fails(1, ["balance", "most", "hash", "least"], "--set", "balance=most")
    fails(1, ["recv_buffer_count", "3", "power of two"], "--set", "recv_buffer_count=3")
    fails(1, ["send_queue_low", "send_queue_high"], "--set", "send_queue_low=2m")


@test
def core_that_does_not_exist_is_1():
    allowed = min(os.sched_getaffinity(0))
    fails(1, ["CPU 4096", str(allowed)], "--cores", "4096")
    fails(1, [f"CPU {allowed}", "twice"], "--cores", f"{allowed},{allowed}")
    fails(1, ["cores", "all"], "--cores", "all")
    fails(1, ["cores", "1-"], "--cores", "1-")


@test
def port_that_is_taken_is_1():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "127.0.0.1:%d" % other.getsockname()[1]
        fails(1, [address, "another"], "--listen", address)
    with Server() as server:  # whose sockets share their port among each other
        address = "127.0.0.1:%d" % server.address[1]
        fails(1, [address, "another"], "--listen", address)
        fails(1, [address, "another"], "--listen", "127.0.0.1:0", "--listen", address)
    with tempfile.TemporaryDirectory() as directory:
        path = f"unix:{directory}/gyr.sock"
        with Server(listen=[path]):
            fails(1, [path, "another"], "--listen", path)


# ---- means that cannot be had ---------------------------------------------------------------------

OTHER_CALLS = {"socket": 41, "eventfd2": 290, "clone3": 435}  # x86-64


@test
def start_without_means_says_what_to_raise():
    """Threads, descriptors and memory of the system that cannot be had."""
    needs_seccomp()
    if MODE not in ("release", "debug"):
        raise Skip(f"MODE={MODE} makes calls of its own before the program begins")
    for call, err, words in [
        ("clone3", errno.EAGAIN, ["core 0: no thread", "ulimit -u", "TasksMax=", "fewer cores"]),
        ("clone3", errno.ENOMEM, ["core 0: no thread", "memory", "fewer cores"]),
        ("socket", errno.ENFILE, ["127.0.0.1:0", "fs.file-max"]),
        ("socket", errno.EMFILE, ["127.0.0.1:0", "ulimit -n"]),
        ("socket", errno.ENOBUFS, ["127.0.0.1:0", "memory"]),
        ("eventfd2", errno.ENFILE, ["core ", "eventfd", "fs.file-max"]),
        ("eventfd2", errno.ENOMEM, ["core ", "eventfd", "memory"]),
        ("io_uring_setup", errno.ENFILE, ["core ", "io_uring_setup", "fs.file-max"]),
    ]:
        fails(1, words, "--set", "ring=uring", "--listen", "127.0.0.1:0",
              before=denied(err, {**OTHER_CALLS, **IO_URING_CALLS}[call]))


# ---- files, descriptors and signals ---------------------------------------------------------------


@test
def too_few_descriptors_for_the_start_is_1():
    """From the fewest that the program can be loaded with up to the first that suffice: the listener,
    the ring or its eventfd finds none, on one core or on several at once."""
    ring = "epoll_create1" if RING == "epoll" else "io_uring_setup"
    if MODE in ("asan", "cov"):
        raise Skip(f"MODE={MODE} opens files of its own when the program ends")
    for cores in core_lists():
        arguments = ["--cores", ",".join(cores), "--listen", "127.0.0.1:0"]
        needed = 3 + 3 * len(cores)  # standard ones; a listener, a ring and an eventfd for each core
        calls = set()
        for limit in range(4, needed):
            before = limited(resource.RLIMIT_NOFILE, limit)
            fails(1, ["Too many open files", "raise the limit of open files (ulimit -n)\n"], *arguments, before=before)
            _, _, error = start(*arguments, before=before)
            calls |= {call for call in ("127.0.0.1:", ring, "eventfd") if call in error}
        expect(ring in calls, f"some line names the ring: {calls}")


@test
def file_that_is_no_socket_is_left_alone():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"content")
        file.flush()
        fails(1, [file.name, "no socket"], "--listen", f"unix:{file.name}")
        with open(file.name, "rb") as again:
            equal(again.read(), b"content", "content")


@test
def socket_file_of_a_killed_server_is_replaced():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/gyr.sock"
        killed = Server(listen=[f"unix:{path}"]).start()
        killed.process.kill()
        killed.process.wait()
        expect(os.path.exists(path), "the file is still there")
        with Server(listen=[f"unix:{path}"]) as server:
            with server.connect() as http:
                http.send(request("GET", "/plaintext"))
                equal(http.response().status, 200, "status")
        expect(not os.path.exists(path), "the file is gone")


@test
def help_and_version_are_0():
    status, output, error = start("--help")
    equal((status, error), (0, ""), "--help")
    for word in "--listen", "--cores", "--set", "message_size_max = ", "balance = ":
        expect(word in output, f"no {word} in the help")
    status, output, error = start("--version")
    equal((status, error), (0, ""), "--version")
    expect(re.fullmatch(r"gyr-echo \d+\.\d+\.\d+\n", output), output)


@test
def every_printed_setting_can_be_set():
    _, output, _ = start("--help")
    settings = re.findall(r"^(\w+) = (\S*)  #", output, re.M)
    expect(len(settings) > 30, "settings were found")
    # Without log_level, which would have it say more than the kit expects; the ring is for the kit to say.
    arguments = [word for name, value in settings if name not in ("log_level", "ring")
                 for word in ("--set", f"{name}={value}")]
    with Server(*arguments) as server:
        with server.connect() as http:
            http.send(request("GET", "/plaintext"))
            equal(http.response().status, 200, "status")


@test
def it_says_where_it_listens():
    cores = len(os.sched_getaffinity(0))
    words = "1 core" if cores == 1 else f"{cores} cores"
    with Server() as server:
        expect(re.fullmatch(rf"gyr-echo: listening on http://127\.0\.0\.1:\d+/ with {words}\n", server.line), server.line)


@test
def sigint_ends_it_too():
    server = Server().start()
    server.process.send_signal(signal.SIGINT)
    equal(server.wait(), 0, "exit status")


@test
def second_signal_ends_it_at_once():
    server = Server(shutdown_deadline_ms=1000000, close_timeout_ms=1000000, shutdown_window_ms=0).start()
    ws = server.websocket()
    server.process.send_signal(signal.SIGTERM)
    equal(ws.frame().opcode, CLOSE, "a Close frame")  # which we never answer
    expect(server.process.poll() is None, "it waits for us")
    server.process.send_signal(signal.SIGTERM)
    equal(server.wait(), -signal.SIGTERM, "exit status")
    ws.http.socket.close()


@test
def connection_that_is_busy_may_finish():
    server = Server("--cores", str(min(os.sched_getaffinity(0))), shutdown_window_ms=0).start()
    with server.connect() as http:
        http.send(request("POST", "/upload", "Content-Length: 10") + b"hello")
        eventually(lambda: server.stats()["server"]["requests"] >= 2, "the request has begun")
        with server.websocket() as ws:
            server.process.send_signal(signal.SIGTERM)
            equal(ws.frame().opcode, CLOSE, "stopping has begun")
        http.send(b"again")
        response = http.response()
        equal(response.status, 200, "status")
        equal(response.field("connection").lower(), "close", "connection")
        equal(http.rest(), b"", "end of the stream")
    equal(server.wait(), 0, "exit status")


@test
def closed_standard_output_does_not_matter():
    """Its one line goes to a pipe that nobody reads: no signal, no other exit status, and it serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(command("--listen", "127.0.0.1:%d" % address[1]), stdout=writer,
                               stderr=subprocess.PIPE)
    os.close(writer)
    try:
        def served():
            expect(process.poll() is None, f"it has ended with {process.poll()}")
            try:
                with Http(address) as http:
                    http.send(request("GET", "/plaintext"))
                    return http.response().body == b"Hello, World!"
            except ConnectionRefusedError:
                return False

        eventually(served, "it answers")
        process.send_signal(signal.SIGTERM)
        equal(process.wait(DEADLINE), 0, "exit status")
        equal(process.stderr.read(), b"", "standard error")
    finally:
        process.kill()
        process.stderr.close()


@test
def few_descriptors_do_not_end_it():
    """Past the limit of open files new connections wait or are closed; those there are served on."""
    arguments = command("--listen", "127.0.0.1:0", "--cores", str(min(os.sched_getaffinity(0))))
    process = subprocess.Popen(["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *arguments],
                               stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        port = int(re.search(r":(\d+)/", line)[1])
        first = socket.create_connection(("127.0.0.1", port), DEADLINE)
        others = [socket.create_connection(("127.0.0.1", port), DEADLINE) for _ in range(100)]
        first.sendall(request("GET", "/plaintext"))
        expect(b"Hello, World!" in first.recv(65536), "the first connection is served")
        for other in others:
            other.close()

        def served():
            with socket.create_connection(("127.0.0.1", port), DEADLINE) as fresh:
                fresh.sendall(request("GET", "/plaintext"))
                try:
                    return b"Hello, World!" in fresh.recv(65536)
                except ConnectionError:
                    return False

        eventually(served, "new connections are served again")
        first.close()
        process.send_signal(signal.SIGTERM)
        equal(process.wait(DEADLINE), 0, "exit status")
    finally:
        process.kill()
        process.stdout.close()


if __name__ == "__main__":
    sys.exit(run())
