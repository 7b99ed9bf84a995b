# SPDX-License-Identifier: MIT
"""Responses that come in pieces, as clients see them: /stream and /events of gyr-echo, read by curl,
by Python's http.client and on raw sockets."""

import http.client
import json
import re
import subprocess
import sys

from kit import (DEADLINE, Server, Skip, equal, eventually, expect, in_thread, request, run_shared, shared, shorten,
                 test)

PATTERN = bytes(range(251))


def content(size, start=0):
    start %= len(PATTERN)
    return (PATTERN * ((start + size) // len(PATTERN) + 1))[start:start + size]


def line(client):
    text = b""
    while not text.endswith(b"\r\n"):
        text += client.take(1)
    return text


def chunk(client):
    """The bytes of the next chunk; none of the last."""
    size = line(client)
    expect(re.fullmatch(rb"[0-9a-f]+\r\n", size), f"chunk size {size!r}")
    text = client.take(int(size, 16))
    equal(client.take(2), b"\r\n", "the end of a chunk")
    return text


def head(client, status=200):
    response = client.response(head_only=True)
    equal(response.status, status, "status")
    equal(response.field("transfer-encoding"), "chunked", "transfer-encoding")
    equal(response.field("content-length"), None, "content-length")
    return response


def events(text):
    """What a client makes of a stream (HTML Living Standard, section 9.2.6), as far as it is used here."""
    expect(text.endswith(b"\n\n"), f"an event is incomplete: {shorten(text)}")
    for event in text[:-2].split(b"\n\n"):
        expect(event.startswith(b"data: ") and b"\n" not in event, f"event {shorten(event)}")
        yield json.loads(event[6:])


def curl(*arguments):
    try:
        return subprocess.run(("curl", "-sS", "--max-time", str(DEADLINE), *arguments), check=True, timeout=DEADLINE + 5,
                              stdout=subprocess.PIPE).stdout
    except FileNotFoundError:
        raise Skip("curl is missing") from None


# ---- /stream ----------------------------------------------------------------------------------------


@test
def every_piece_is_a_chunk_and_the_connection_is_kept():
    with shared().connect() as client:
        for size, piece in (1000, 100), (0, 1), (1, 65536), (100001, 1000), (65536, 65536), (50, 1):
            client.send(request("GET", f"/stream?size={size}&piece={piece}"))
            head(client)
            at = 0
            while text := chunk(client):
                equal(len(text), min(piece, size - at), "size of a chunk")
                equal(text, content(len(text), at), f"bytes at {at}")
                at += len(text)
            equal(at, size, "size of all")
        client.send(request("GET", "/plaintext"))
        equal(client.response().body, b"Hello, World!", "the request after")


@test
def curl_gets_every_byte():
    for arguments in (), ("--http1.0",):
        for size in 0, 1, 5_000_011:
            equal(curl(*arguments, shared().url(f"/stream?size={size}")), content(size), f"{arguments} {size}")


@test
def python_gets_every_byte_of_several_on_one_connection():
    host, port = shared().url("/").split("/")[2].rsplit(":", 1)
    client = http.client.HTTPConnection(host, int(port), timeout=DEADLINE)
    for size in 10, 3_000_000, 0, 77:
        client.request("GET", f"/stream?size={size}&piece=1234")
        equal(client.getresponse().read(), content(size), f"{size} bytes")
    client.request("HEAD", "/stream?size=1000")
    response = client.getresponse()
    equal((response.status, response.getheader("Transfer-Encoding"), response.read()), (200, "chunked", b""), "HEAD")
    client.request("GET", "/stream?size=10")
    equal(client.getresponse().read(), content(10), "after HEAD")
    client.close()


@test
def http_1_0_gets_no_chunks_and_the_end_of_the_connection():
    with shared().connect() as client:
        client.send(request("GET", "/stream?size=100000&piece=999", "Connection: keep-alive", version="HTTP/1.0"))
        response = client.response(head_only=True)
        equal(response.field("transfer-encoding"), None, "transfer-encoding")
        equal(response.field("connection"), "close", "connection")
        equal(client.rest(), content(100000), "content")


@test
def pipelined_streams_follow_each_other():
    sizes = [0, 1, 70000, 3, 200000, 9]
    with shared().connect() as client:
        sent = in_thread(client.send, b"".join(request("GET", f"/stream?size={size}&piece=500") for size in sizes)
                         + request("GET", "/plaintext"))
        for size in sizes:
            head(client)
            equal(b"".join(iter(lambda: chunk(client), b"")), content(size), f"{size} bytes")
        equal(client.response().body, b"Hello, World!", "the last")
        sent()


@test
def end_of_the_clients_stream_does_not_end_the_answer():
    with shared().connect() as client:
        client.send(request("GET", "/stream?size=8000000"))
        client.end()
        head(client)
        equal(b"".join(iter(lambda: chunk(client), b"")), content(8000000), "content")
        equal(client.rest(), b"", "then the connection ends")


@test
def reader_that_stalls_holds_no_more_than_the_limit_and_loses_nothing():
    settings = {"send_queue_size_max": "256k", "send_queue_high": "128k", "send_queue_low": "32k"}
    size = 100_000_000
    with Server("--cores", "0", **settings) as server:
        idle = server.stats()["server"]["heap_bytes"]
        with server.connect(receive_buffer=8192) as client:
            client.send(request("GET", f"/stream?size={size}&piece=10000"))
            head(client)
            # The kernel's buffers fill, and then the queue: from there on nothing moves.
            before = [None]

            def stands_still():
                stats = server.stats()["server"]
                now = (stats["bytes_out"] - stats["requests"], stats["heap_bytes"])
                stood, before[0] = now[1] > idle and before[0] is not None and now[1] == before[0][1], now
                return stood

            eventually(stands_still, "the server waits for the reader")
            # An entry takes a little more than its bytes, and one more batch may be on its way.
            expect(before[0][1] < 2 * 256 * 1024 + 300_000, f"heap of a stalled stream: {before[0][1]} bytes")
            with server.connect() as other:
                other.send(request("GET", "/plaintext"))
                equal(other.response().body, b"Hello, World!", "others are served meanwhile")
            at = 0
            while text := chunk(client):
                if text != content(len(text), at):
                    raise AssertionError(f"wrong bytes at {at}")
                at += len(text)
            equal(at, size, "size of all")
            client.send(request("GET", "/plaintext"))
            equal(client.response().body, b"Hello, World!", "the connection is kept")
        eventually(lambda: server.stats()["server"]["heap_bytes"] == idle, "nothing is left")


@test
def client_that_goes_away_is_noticed():
    with Server("--cores", "0") as server:
        for leave in "reset", "close":
            with server.connect(receive_buffer=8192) as client:
                client.send(request("GET", "/stream?size=1000000000"))
                head(client)
                client.take(100000)
                if leave == "reset":
                    client.reset()
            eventually(lambda: server.stats()["server"]["connections"] == 1, f"the stream ends after {leave}")


@test
def bad_numbers_are_refused():
    with shared().connect() as client:
        for query in ("size=x", "size=", "size", "size=-1", "size=1099511627777", "size=18446744073709551617",
                      "piece=0", "piece=65537", "size=1&piece=", "size=1x"):
            client.send(request("GET", f"/stream?{query}"))
            equal(client.response().status, 400, query)
        for query in "count=0", "count=4294967296", "interval_ms=0", "interval_ms=60001", "count=1&interval_ms=a":
            client.send(request("GET", f"/events?{query}"))
            equal(client.response().status, 400, query)
        for query in "size=5&sizes=x", "other&size=5", "asize=9&size=5&", "&&size=5", "size=05":
            client.send(request("GET", f"/stream?{query}"))
            head(client)
            equal(chunk(client) + chunk(client), content(5), query)


# ---- /events ----------------------------------------------------------------------------------------


@test
def events_have_the_counters_of_the_server():
    with shared().connect() as client:
        client.send(request("GET", "/events?count=5&interval_ms=1"))
        response = head(client)
        equal(response.field("content-type"), "text/event-stream", "content-type")
        equal(response.field("cache-control"), "no-store", "cache-control")
        pieces = list(iter(lambda: chunk(client), b""))
        equal(len(pieces), 5, "a chunk for each event")
        turns = [event["server"]["turns"] for piece in pieces for event in events(piece)]
        equal(len(turns), 5, "events")
        expect(turns == sorted(turns), f"counters grow: {turns}")
        client.send(request("GET", "/plaintext"))
        equal(client.response().body, b"Hello, World!", "the connection is kept")


@test
def curl_gets_events_of_any_version():
    for arguments in (), ("--http1.0",):
        text = curl("-N", *arguments, shared().url("/events?count=3&interval_ms=2"))
        equal(len(list(events(text))), 3, f"events {arguments}")


@test
def head_of_events_ends_at_once():
    with shared().connect() as client:
        client.send(request("HEAD", "/events") + request("GET", "/plaintext"))
        equal(client.response(head_only=True).field("content-type"), "text/event-stream", "content-type")
        equal(client.response().body, b"Hello, World!", "the next")


@test
def events_go_on_until_the_client_goes():
    with Server("--cores", "0") as server:
        with server.connect() as client:
            client.send(request("GET", "/events?interval_ms=1"))
            head(client)
            for _ in range(100):
                expect(chunk(client), "an event")
        eventually(lambda: server.stats()["server"]["connections"] == 1, "the connection has gone")


@test
def server_that_stops_ends_its_events_politely():
    server = Server("--cores", "0", shutdown_window_ms=0).start()
    with server.connect() as client:
        client.send(request("GET", "/events?interval_ms=5"))
        head(client)
        expect(chunk(client), "an event")
        equal(server.stop(), 0, "exit status")
        while chunk(client):
            pass
        equal(client.rest(), b"", "the end of the stream is where it should be")


if __name__ == "__main__":
    sys.exit(run_shared())
