# SPDX-License-Identifier: MIT
"""Clients that hold on: heads that come byte by byte, content that stops, answers that nobody reads, many of
each at once. The server ends them by itself, others are served meanwhile, and what they hold is bounded
and given back."""

import contextlib
import json
import select
import sys

from kit import Http, Server, equal, eventually, expect, request, run, test

CLIENTS = 200
KB = 1024


class Watch:
    """A client that behaves, on one connection of its own: it is served while the others hold on, and
    sees what they cost."""

    def __init__(self, server):
        self.http = server.connect()
        self.before = self.ask()
        self.heap_max = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.socket.close()

    def ask(self):
        self.http.send(request("GET", "/plaintext") + request("GET", "/stats"))
        equal(self.http.response().body, b"Hello, World!", "the answer to others")
        return json.loads(self.http.response().body)["server"]

    def look(self):
        stats = self.ask()
        self.heap_max = max(self.heap_max, stats["heap_bytes"])
        return stats

    def ended(self, timeouts, heap_per_client):
        """All have gone by a time limit, and held no more than this."""
        eventually(lambda: self.look()["connections"] == self.before["connections"], "the slow have gone")
        stats = self.look()
        equal(stats["timeouts"] - self.before["timeouts"], timeouts, "connections ended by a time limit")
        eventually(lambda: self.look()["heap_bytes"] <= self.before["heap_bytes"], "their memory is given back")
        held = self.heap_max - self.before["heap_bytes"]
        expect(held <= CLIENTS * heap_per_client, f"{held} bytes were held for {CLIENTS} clients")


def trickle(watch, clients, byte):
    """Send one byte more on each connection, again and again, until the server has ended them all.
    Returns what each was answered."""
    poll = select.poll()
    running = {}
    for client in clients:
        running[client.socket.fileno()] = client
        poll.register(client.socket, select.POLLIN)
    answers = []
    while running:
        for client in running.values():
            client.send_anyway(byte)
        for number, _ in poll.poll(10):
            client = running[number]
            with contextlib.suppress(ConnectionResetError):
                if client.more():
                    continue
            answers.append(client.buffer)
            poll.unregister(number)
            del running[number]
        watch.look()
    return answers


def statuses(answers):
    return {answer.split(b"\r\n", 1)[0] for answer in answers}


@test
def heads_that_come_byte_by_byte_are_ended_and_others_served():
    with Server("--cores", "0", header_timeout_ms=500) as server, Watch(server) as watch:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            answers = trickle(watch, clients, b"s")
        equal(statuses(answers), {b"HTTP/1.1 408 Request Timeout"}, "answers")
        watch.ended(CLIENTS, 4 * KB)


@test
def heads_that_come_field_by_field_are_ended_and_others_served():
    # A whole field each time: what counts is when the head began, not when something came.
    with Server("--cores", "0", header_timeout_ms=500) as server, Watch(server) as watch:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            answers = trickle(watch, clients, b"a:\r\n")
        expect(statuses(answers) <= {b"HTTP/1.1 408 Request Timeout",
                                     b"HTTP/1.1 431 Request Header Fields Too Large"}, f"{statuses(answers)}")
        equal(len(answers), CLIENTS, "answers")
        timeouts = sum(answer.startswith(b"HTTP/1.1 408") for answer in answers)
        watch.ended(timeouts, 8 * KB)


@test
def connections_that_say_nothing_are_ended_and_others_served():
    # A limit that the client which watches does not run into.
    with Server("--cores", "0", header_timeout_ms=1500, keep_alive_timeout_ms=1500) as server, Watch(server) as watch:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
            answers = trickle(watch, clients, b"")
        equal(answers, [b""] * CLIENTS, "nothing was asked, nothing is answered")
        eventually(lambda: watch.look()["connections"] == watch.before["connections"], "the slow have gone")
        equal(watch.look()["timeouts"] - watch.before["timeouts"], CLIENTS, "time limits")


@test
def content_that_stops_is_ended_and_others_served():
    heads = (request("POST", "/upload", "Content-Length: 1000000") + b"x" * 100,
             request("POST", "/upload", "Transfer-Encoding: chunked") + b"ffff\r\n" + b"x" * 100,
             request("POST", "/upload", "Transfer-Encoding: chunked") + b"5;ext",
             request("POST", "/upload", "Transfer-Encoding: chunked") + b"0\r\nX-Trailer: ",
             request("POST", "/nowhere", "Transfer-Encoding: chunked") + b"5\r\nhel")
    with Server("--cores", "0", body_timeout_ms=500) as server, Watch(server) as watch:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
            for i, client in enumerate(clients):
                client.send(heads[i % len(heads)])
            watch.look()
            for i, client in enumerate(clients):
                answer = client.rest()
                early = i % len(heads) == len(heads) - 1  # answered before its content had come
                status = b"HTTP/1.1 404" if early else b"HTTP/1.1 408"
                expect(answer.startswith(status), f"{heads[i % len(heads)]} got {answer[:60]}")
                equal(answer.count(b"HTTP/1.1"), 1, "answers")
                watch.look()
        watch.ended(CLIENTS - CLIENTS // len(heads), 4 * KB)


@test
def content_that_drips_is_ended_and_others_served():
    # Something comes all the time, so that only the rate is too low. What frames content does not count as such.
    drips = ((request("POST", "/upload", "Content-Length: 1000000"), b"x"),
             (request("POST", "/upload", "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
             (request("POST", "/upload", "Transfer-Encoding: chunked") + b"1;e", b"e"))
    for head, drip in drips:
        settings = {"body_timeout_ms": 500, "body_rate_min": "1m"}
        with Server("--cores", "0", **settings) as server, Watch(server) as watch:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
                for client in clients:
                    client.send(head)
                answers = trickle(watch, clients, drip)
            equal(statuses(answers), {b"HTTP/1.1 408 Request Timeout"}, f"answers to {head + drip}")
            watch.ended(CLIENTS, 4 * KB)


@test
def answers_that_nobody_reads_are_bounded_and_ended_and_others_served():
    high = 64 * KB
    settings = {"send_timeout_ms": 500, "send_queue_high": high, "send_queue_low": 16 * KB, "pause_size_max": high,
                "recv_buffer_count": 1024}  # all ask at once: it is not buffers that shall run dry here
    wanted = request("GET", "/") * 2000  # far more than the kernel keeps for both sides
    with Server("--cores", "0", **settings) as server, Watch(server) as watch:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Http(server.address, receive_buffer=4 * KB)) for _ in range(CLIENTS)]
            for client in clients:
                client.socket.setblocking(False)
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    client.socket.send(wanted)
            # The queue may pass its high mark by one answer; what was asked behind it waits in the backlog.
            watch.ended(CLIENTS, 2 * high + 64 * KB)


if __name__ == "__main__":
    sys.exit(run())
