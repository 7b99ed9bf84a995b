# SPDX-License-Identifier: MIT
"""HTTP/1.1 as gyr-echo speaks it, on raw sockets and with curl: what a service needs, and what bad
input gets."""

import json
import os
import re
import subprocess
import sys
import tempfile

from kit import (DEADLINE, ROOT, Server, Skip, chunked, equal, eventually, expect, fnv1a, handshake,
                 in_thread, request, run_shared, shared, shorten, test)

DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
                  r" \d{4} \d\d:\d\d:\d\d GMT")


def uploaded(response, content):
    equal(response.status, 200, "status of an upload")
    equal(json.loads(response.body), {"length": len(content), "hash": fnv1a(content)}, "upload")


# ---- requests and answers ---------------------------------------------------------------------------


@test
def plaintext_is_hello_world():
    with shared().connect() as http:
        http.send(request("GET", "/plaintext"))
        response = http.response()
        equal(response.status, 200, "status")
        equal(response.body, b"Hello, World!", "body")
        equal(response.field("content-type"), "text/plain", "content-type")
        equal(response.field("content-length"), "13", "content-length")
        expect(DATE.fullmatch(response.field("date") or ""), f"date: {response.field('date')}")


@test
def page_is_the_file_of_the_sources():
    with shared().connect() as http:
        http.send(request("GET", "/?query=does&not=matter"))
        response = http.response()
        equal(response.status, 200, "status")
        equal(response.field("content-type"), "text/html; charset=utf-8", "content-type")
        equal(response.body, (ROOT / "examples/echo.html").read_bytes(), "page")


@test
def connection_is_kept_for_the_next_request():
    with shared().connect() as http:
        for path, status in ("/plaintext", 200), ("/nowhere", 404), ("/plaintext", 200), ("/stats", 200):
            http.send(request("GET", path))
            equal(http.response().status, status, path)


@test
def pipelined_requests_are_answered_in_order():
    with shared().connect() as http:
        contents = [bytes([i % 256]) * (i * 37 % 1000) for i in range(300)]
        sent = in_thread(http.send, b"".join(
            request("POST", "/upload", body=content) + request("HEAD", "/plaintext") + request("GET", f"/{i}")
            for i, content in enumerate(contents)))
        for content in contents:
            uploaded(http.response(), content)
            equal(http.response(head_only=True).status, 200, "HEAD")
            equal(http.response().status, 404, "GET")
        sent()


@test
def many_pipelined_requests_in_one_piece():
    with shared().connect() as http:
        sent = in_thread(http.send, request("GET", "/plaintext") * 20000)
        for _ in range(20000):
            equal(http.response().body, b"Hello, World!", "body")
        sent()


@test
def request_may_come_byte_by_byte():
    content = b"chunk by chunk"
    whole = (request("GET", "/plaintext", "X-Some: thing") + request("POST", "/upload", body=content) +
             request("POST", "/upload", "Transfer-Encoding: chunked") +
             chunked(content[:5], content[5:], trailers=[b"X-T: 1"]))
    with shared().connect() as http:
        for i in range(len(whole)):
            http.send(whole[i:i + 1])
        equal(http.response().body, b"Hello, World!", "body")
        uploaded(http.response(), content)
        uploaded(http.response(), content)


@test
def head_has_the_fields_of_get_and_no_content():
    with shared().connect() as http:
        for path in "/", "/plaintext":
            http.send(request("GET", path))
            get = http.response()
            http.send(request("HEAD", path))
            head = http.response(head_only=True)
            equal([field for field in head.fields if field[0] != "date"],
                  [field for field in get.fields if field[0] != "date"], path)
        http.send(request("GET", "/plaintext"))
        equal(http.response().body, b"Hello, World!", "nothing stood between the answers")


@test
def options_names_the_methods():
    with shared().connect() as http:
        for path, allow in (("/plaintext", {"GET", "HEAD", "OPTIONS"}), ("/upload", {"POST", "OPTIONS"}),
                            ("*", {"GET", "HEAD", "POST", "OPTIONS"})):
            http.send(request("OPTIONS", path))
            response = http.response()
            equal(response.status, 204, path)
            equal(set(response.field("allow").split(", ")), allow, path)
            equal(response.field("content-length"), None, "content-length of 204")


@test
def wrong_method_is_405_with_allow():
    for method, path, allow in (("DELETE", "/", "GET"), ("POST", "/plaintext", "GET"), ("GET", "/upload", "POST"),
                                ("TRACE", "/", "GET"), ("PATCH", "/stats", "GET"), ("PUT", "/upload", "POST")):
        with shared().connect() as http:
            http.send(request(method, path))
            response = http.response()
            equal(response.status, 405, f"{method} {path}")
            expect(allow in response.field("allow").split(", "), f"{method} {path}: {response.field('allow')}")


@test
def absolute_form_is_its_path():
    with shared().connect() as http:
        http.send(request("GET", "http://localhost/plaintext?x"))
        equal(http.response().body, b"Hello, World!", "body")


@test
def empty_lines_before_a_request_are_skipped():
    with shared().connect() as http:
        http.send(b"\r\n" + request("GET", "/plaintext") + b"\r\n" + request("GET", "/plaintext"))
        equal(http.response().status, 200, "first")
        equal(http.response().status, 200, "second")


@test
def http_1_0_closes_unless_asked_to_stay():
    with shared().connect() as http:
        http.send(request("GET", "/plaintext", version="HTTP/1.0"))
        response = http.response()
        equal(response.body, b"Hello, World!", "body")
        equal(http.rest(), b"", "end of the stream")
    with shared().connect() as http:
        for _ in range(2):
            http.send(request("GET", "/plaintext", "Connection: keep-alive", version="HTTP/1.0"))
            response = http.response()
            equal(response.field("connection").lower(), "keep-alive", "connection")
    with shared().connect() as http:
        http.send(request("GET", "/plaintext", version="HTTP/1.0", host=None))
        equal(http.response().status, 200, "without Host")


@test
def connection_close_is_heard():
    with shared().connect() as http:
        http.send(request("GET", "/plaintext", "Connection: close") + request("GET", "/nowhere"))
        response = http.response()
        equal(response.field("connection").lower(), "close", "connection")
        equal(http.rest(), b"", "what follows is not answered")


@test
def answer_comes_after_the_client_has_ended_its_stream():
    with shared().connect() as http:
        http.send(request("GET", "/plaintext") * 3)
        http.end()
        for _ in range(3):
            equal(http.response().body, b"Hello, World!", "body")
        equal(http.rest(), b"", "end of the stream")


@test
def many_connections_at_once():
    connections = [shared().connect() for _ in range(300)]
    for http in connections:
        http.send(request("GET", "/plaintext"))
    for http in connections:
        equal(http.response().status, 200, "status")
    for http in connections:
        http.socket.close()


# ---- content ----------------------------------------------------------------------------------------


@test
def upload_answers_length_and_hash():
    with shared().connect() as http:
        for content in b"", b"x", b"\0" * 1000, os.urandom(100000):
            http.send(request("POST", "/upload", body=content))
            uploaded(http.response(), content)
        http.send(request("POST", "/upload", "Content-Length: 0"))
        uploaded(http.response(), b"")


@test
def upload_takes_chunks_and_trailers():
    content = os.urandom(70000)
    with shared().connect() as http:
        for pieces in ([content], [content[i:i + 997] for i in range(0, len(content), 997)], []):
            http.send(request("POST", "/upload", "Transfer-Encoding: chunked", "Trailer: X-Sum") +
                      chunked(*pieces, trailers=[b"X-Sum: 1", b"X-Other: 2"]))
            uploaded(http.response(), b"".join(pieces))
        http.send(request("POST", "/upload", "Transfer-Encoding: chunked") +
                  b'5;name=value;other="a b"\r\nhello\r\n00A\r\n0123456789\r\n0;last\r\n\r\n')
        uploaded(http.response(), b"hello0123456789")


@test
def expect_100_continue_is_answered_before_the_body():
    content = b"after the 100"
    with shared().connect() as http:
        for fields, body in ((f"Content-Length: {len(content)}", content),
                             ("Transfer-Encoding: chunked", chunked(content))):
            http.send(request("POST", "/upload", "Expect: 100-continue", fields))
            equal(http.response().status, 100, "the client waits for this")
            http.send(body)
            uploaded(http.response(), content)


@test
def expect_is_not_answered_with_100_on_http_1_0():
    content = b"content"
    with shared().connect() as http:
        http.send(request("POST", "/upload", "Expect: 100-continue", body=content, version="HTTP/1.0"))
        uploaded(http.response(), content)


@test
def body_that_looks_like_a_request_is_none():
    inner = request("GET", "/plaintext")
    with shared().connect() as http:
        http.send(request("POST", "/upload", body=inner))
        uploaded(http.response(), inner)
        http.send(request("POST", "/nowhere", body=inner))
        equal(http.response().status, 404, "status")
        http.send_anyway(request("GET", "/stats", "Connection: close"))
        rest = http.rest()
        expect(b"Hello, World!" not in rest, "the content of a request was answered")
        expect(rest.count(b"HTTP/1.1") <= 1, "one answer at most")


# ---- bad input --------------------------------------------------------------------------------------

LOCAL = b"Host: localhost\r\n"


def get(lines=b"", target=b"/plaintext", line=None):
    return (line or b"GET " + target + b" HTTP/1.1") + b"\r\n" + LOCAL + lines + b"\r\n"


def post(lines, body=b""):
    return b"POST /upload HTTP/1.1\r\n" + LOCAL + lines + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"

BAD = [
    # Request line (RFC 9112 section 3).
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(40)), {400}),
    ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 501, 505}),
    ("method only", b"GET\r\n\r\n", {400}),
    ("no version", b"GET /plaintext\r\n" + LOCAL + b"\r\n", {400, 505}),
    ("bare LF behind the request line", b"GET /plaintext HTTP/1.1\n" + LOCAL + b"\r\n", {400}),
    ("bare LF behind a field", b"GET /plaintext HTTP/1.1\r\nHost: localhost\n\r\n", {400}),
    ("bare LF at the end", b"GET /plaintext HTTP/1.1\r\n" + LOCAL + b"\n", {400}),
    ("bare CR", get(b"X: a\rb\r\n"), {400}),
    ("two spaces", get(line=b"GET  /plaintext HTTP/1.1"), {400}),
    ("two spaces before the version", get(line=b"GET /plaintext  HTTP/1.1"), {400}),
    ("a tab", get(line=b"GET\t/plaintext HTTP/1.1"), {400}),
    ("a space first", get(line=b" GET /plaintext HTTP/1.1"), {400}),
    ("a space last", get(line=b"GET /plaintext HTTP/1.1 "), {400, 505}),
    ("no target", get(line=b"GET HTTP/1.1"), {400}),
    ("target without slash", get(target=b"plaintext"), {400}),
    ("asterisk with GET", get(target=b"*"), {400}),
    ("NUL in the target", get(target=b"/a\0b"), {400}),
    ("control character in the target", get(target=b"/a\x01b"), {400}),
    ("DEL in the target", get(target=b"/a\x7fb"), {400}),
    ("raw byte in the target", get(target=b"/\xc3\xa4"), {400}),
    ("method in lower case", get(line=b"get /plaintext HTTP/1.1"), {400, 501}),
    ("method unknown", get(line=b"BREW /plaintext HTTP/1.1"), {501}),
    ("method not a token", get(line=b"G(T /plaintext HTTP/1.1"), {400}),
    ("version 2.0", get(line=b"GET /plaintext HTTP/2.0"), {505}),
    ("version 0.9", get(line=b"GET /plaintext HTTP/0.9"), {505}),
    ("version 11.1", get(line=b"GET /plaintext HTTP/11.1"), {400, 505}),
    ("version in lower case", get(line=b"GET /plaintext http/1.1"), {400}),
    ("another protocol", get(line=b"GET /plaintext HTTQ/1.1"), {400}),
    # Fields (RFC 9112 section 5).
    ("no colon", get(b"Nothing\r\n"), {400}),
    ("no name", get(b": value\r\n"), {400}),
    ("space before the colon", get(b"X : value\r\n"), {400}),
    ("name not a token", get(b"X(y: value\r\n"), {400}),
    ("raw byte in a name", get(b"X\xe4: value\r\n"), {400}),
    ("obs-fold", get(b"X: a\r\n b\r\n"), {400}),
    ("space before the first field", b"GET /plaintext HTTP/1.1\r\n " + LOCAL + b"\r\n", {400}),
    ("NUL in a value", get(b"X: a\0b\r\n"), {400}),
    ("control character in a value", get(b"X: a\x0bb\r\n"), {400}),
    # Host (RFC 9112 section 3.2).
    ("no Host", b"GET /plaintext HTTP/1.1\r\n\r\n", {400}),
    ("two Hosts", get(LOCAL), {400}),
    ("two different Hosts", get(b"Host: other\r\n"), {400}),
    ("Host with userinfo", b"GET / HTTP/1.1\r\nHost: user@localhost\r\n\r\n", {400}),
    ("Host with a path", b"GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n", {400}),
    ("Host as a list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", {400}),
    ("Host with a bad port", b"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n", {400}),
    # Content-Length (RFC 9112 section 6.3).
    *[(f"Content-Length {value!r}", post(b"Content-Length: " + value + b"\r\n", b"hello"), {400, 413})
      for value in (b"", b"abc", b"-5", b"+5", b"5 5", b"0x5", b"5;", b"5_0", b"5.0", b"5,6", b"18446744073709551616",
                    b"99999999999999999999999999", b"\xef\xbc\x95")],
    ("Content-Length twice", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), {400}),
    ("two Content-Lengths", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"), {400}),
    ("space before its colon", post(b"Content-Length : 5\r\n", b"hello"), {400}),
    # Transfer-Encoding (RFC 9112 section 6.1).
    ("both framings", post(b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n"), {400}),
    ("both framings, other order", post(CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n"), {400}),
    ("unknown coding", post(b"Transfer-Encoding: gzip\r\n", b"hello"), {501}),
    ("unknown coding before chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), {501}),
    ("nearly chunked", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), {501}),
    ("chunked not last", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), {400, 501}),
    ("chunked twice", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), {400}),
    ("two fields", post(CHUNKED + CHUNKED, b"0\r\n\r\n"), {400}),
    ("empty coding", post(b"Transfer-Encoding:\r\n", b"0\r\n\r\n"), {400}),
    ("identity", post(b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"), {400, 501}),
    ("vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), {400}),
    ("chunked on HTTP/1.0", b"POST /upload HTTP/1.0\r\n" + LOCAL + CHUNKED + b"\r\n0\r\n\r\n", {400}),
    # Chunks (RFC 9112 section 7.1).
    *[(f"chunk {body!r}", post(CHUNKED, body), {400})
      for body in (b"x\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
                   b"0x5\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n",
                   b"5 5\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n",
                   b"5\r\nhello0\r\n\r\n", b"5\r\nhello!\r\n0\r\n\r\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n",
                   b"5;\0\r\nhello\r\n0\r\n\r\n", b"10000000000000000\r\nhello\r\n", b"fffffffffffffffff\r\nhello\r\n",
                   b"0\r\n\n", b"0\r\nX: a\n\r\n", b"0\r\n X: a\r\n\r\n", b"0\r\nX\r\n\r\n",
                   b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
                   b"0\r\nHost: other\r\n\r\n")],
    # Sizes.
    ("long target", get(target=b"/" + b"a" * 8300), {414}),
    ("long field", get(b"X: " + b"a" * 17000 + b"\r\n"), {431}),
    ("long name", get(b"X" * 17000 + b": a\r\n"), {431}),
    ("many fields", get(b"X: a\r\n" * 101), {431}),
    ("endless empty lines", b"\r\n" * 100, {400, 431}),
    ("long content", post(b"Content-Length: 16777217\r\n"), {413}),
    ("long chunk", post(CHUNKED, b"1000001\r\n"), {413}),
    # Expectations and handshakes.
    ("unknown expectation", post(b"Expect: miracles\r\nContent-Length: 5\r\n", b"hello"), {417}),
    ("WebSocket version 12", handshake(version="12"), {426}),
    ("WebSocket version 8", handshake(version="8"), {426}),
    ("no WebSocket version", handshake().replace(b"Sec-WebSocket-Version: 13\r\n", b""), {426}),
    ("no key", handshake().replace(b"Sec-WebSocket-Key", b"X-Key"), {400}),
    ("short key", handshake(key="c2hvcnQ="), {400}),
    ("key not base64", handshake(key="dGhlIHNhbXBsZSBub25j!Q=="), {400}),
    ("two keys", handshake("/", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), {400}),
]


@test
def bad_input_is_answered_and_ends_the_connection():
    failures = []
    for why, content, statuses in BAD:
        with shared().connect() as http:
            http.send_anyway(content + request("GET", "/plaintext"))
            try:
                response = http.response()
                rest = http.rest()
                if response.status not in statuses:
                    failures.append(f"{why}: {response.status} instead of {statuses}")
                elif rest:
                    failures.append(f"{why}: what follows was interpreted: {shorten(rest)}")
                elif (response.field("connection") or "").lower().split(",")[0] != "close":
                    failures.append(f"{why}: no Connection: close")
            except AssertionError as error:
                failures.append(f"{why}: {error}")
    equal(failures, [], f"{len(failures)} of {len(BAD)}")


@test
def good_input_still_works_afterwards():
    with shared().connect() as http:
        http.send(request("GET", "/plaintext"))
        equal(http.response().status, 200, "status")


@test
def answer_to_a_wrong_websocket_version_names_13():
    with shared().connect() as http:
        http.send(handshake(version="12"))
        response = http.response()
        equal(response.status, 426, "status")
        equal(response.field("sec-websocket-version"), "13", "sec-websocket-version")


@test
def limits_count_to_the_byte():
    with shared().connect() as http:
        http.send(request("GET", "/" + "a" * 8191))
        equal(http.response().status, 404, "the longest target")
        fields = [f"X-{i}: y" for i in range(99)]  # and Host
        http.send(request("GET", "/plaintext", *fields))
        equal(http.response().status, 200, "the most fields")
        bare = len(request("GET", "/plaintext", "X: "))
        http.send(request("GET", "/plaintext", "X: " + "y" * (16384 - bare)))
        equal(http.response().status, 200, "the longest head")
        http.send(request("GET", "/plaintext", "X: " + "y" * (16385 - bare)))
        equal(http.response().status, 431, "a byte more")


@test
def body_limit_holds_for_both_framings():
    server = shared(body_size_max=1000)
    with server.connect() as http:
        http.send(request("POST", "/upload", body=b"x" * 1000))
        uploaded(http.response(), b"x" * 1000)
        http.send(request("POST", "/upload", "Transfer-Encoding: chunked") + chunked(b"x" * 400, b"x" * 600))
        uploaded(http.response(), b"x" * 1000)
        http.send_anyway(request("POST", "/upload", "Transfer-Encoding: chunked") + chunked(b"x" * 400, b"x" * 601))
        equal(http.response().status, 413, "chunked")
        equal(http.rest(), b"", "end of the stream")
    with server.connect() as http:
        http.send_anyway(request("POST", "/upload", "Expect: 100-continue", "Content-Length: 1001"))
        equal(http.response().status, 413, "no 100 for what will be refused")
        equal(http.rest(), b"", "end of the stream")


@test
def error_reaches_a_client_that_still_sends():
    """Closing at once would reset the connection, and the client would never see the answer."""
    with shared(body_size_max=1000).connect() as http:
        sent = in_thread(http.send_anyway, request("POST", "/upload", "Content-Length: 4000000") + b"x" * 4000000)
        equal(http.response().status, 413, "status")
        http.rest()
        sent()


# ---- time limits --------------------------------------------------------------------------------------


@test
def slow_head_is_408():
    for start in b"G", b"GET / HTTP/1.1\r\n", request("GET", "/")[:-1]:
        with shared(header_timeout_ms=50).connect() as http:
            http.send(start)
            response = http.response()
            equal(response.status, 408, shorten(start))
            equal(http.rest(), b"", "end of the stream")


@test
def silent_connection_is_closed():
    with shared(header_timeout_ms=50).connect() as http:
        rest = http.rest()
        expect(rest == b"" or rest.startswith(b"HTTP/1.1 408 "), shorten(rest))


@test
def slow_body_is_408():
    for body in (request("POST", "/upload", "Content-Length: 10") + b"hello",
                 request("POST", "/upload", "Transfer-Encoding: chunked") + b"5\r\nhe"):
        with shared(body_timeout_ms=50).connect() as http:
            http.send(body)
            equal(http.response().status, 408, "status")
            equal(http.rest(), b"", "end of the stream")


@test
def idle_connection_is_closed_silently():
    with shared(keep_alive_timeout_ms=50).connect() as http:
        http.send(request("GET", "/plaintext"))
        equal(http.response().status, 200, "status")
        equal(http.rest(), b"", "end of the stream")


@test
def reader_that_takes_nothing_is_cut():
    server = shared(send_timeout_ms=100)
    before = server.stats()["server"]["timeouts"]
    with server.connect(receive_buffer=4096) as http:
        http.socket.settimeout(1)
        try:
            for _ in range(2000):
                http.send(request("GET", "/") * 10)
        except OSError:
            pass  # no room is left, or the connection has been cut already
        eventually(lambda: server.stats()["server"]["timeouts"] > before, "a connection ends by a time limit")


# ---- counters -----------------------------------------------------------------------------------------


@test
def stats_hold_every_counter_for_each_core():
    header = (ROOT / "include/gyr/gyr.h").read_text()
    names = re.findall(r"^    X\((\w+), ", header.split("#define GYR_STATS(X)")[1].split("\n\n")[0], re.M)
    expect(len(names) > 10, "counters were found in the header")
    with Server() as server:
        for _ in range(10):
            with server.connect() as http:
                http.send(request("GET", "/plaintext"))
                http.response()
        stats = server.stats()
        equal(list(stats["server"]), names, "counters")
        for core in stats["cores"]:
            equal(list(core), names, "counters of a core")
        count = int(re.search(r"with (\d+) core", server.line)[1])
        equal(len(stats["cores"]), count, "cores")
        equal(stats["server"]["requests"], 11, "requests")
        equal(stats["server"]["accepted"], 11, "accepted")
        equal(stats["server"]["http_errors"], 0, "http_errors")
        eventually(lambda: server.stats()["server"]["connections"] == 1, "only the one that asks is open")


# ---- curl ---------------------------------------------------------------------------------------------


def curl(*arguments, content=None):
    try:
        result = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(DEADLINE), *arguments],
                                capture_output=True, check=False, input=content)
    except FileNotFoundError:
        raise Skip("curl is not installed") from None
    equal(result.returncode, 0, f"curl: {result.stderr.decode()}")
    return result.stdout


@test
def curl_reuses_a_connection():
    url = shared().url("/plaintext")
    output = curl("-w", "%{num_connects}\\n", url, url, url)
    equal(output, b"Hello, World!1\n" + b"Hello, World!0\n" * 2, "new connections of each")


@test
def curl_uploads():
    content = os.urandom(300000)
    url = shared().url("/upload")
    wanted = {"length": len(content), "hash": fnv1a(content)}
    for extra in [], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"], ["--http1.0"]:
        equal(json.loads(curl(*extra, "--data-binary", "@-", url, content=content)), wanted, str(extra))
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        equal(json.loads(curl("-F", f"file=@{file.name}", url))["length"] > len(content), True, "a form")
        equal(json.loads(curl("-X", "POST", "-T", file.name, url)), wanted, "-T")


@test
def curl_head_and_options():
    head = curl("-I", shared().url("/plaintext")).decode()
    expect(head.startswith("HTTP/1.1 200 OK\r\n"), head)
    expect("Content-Length: 13\r\n" in head, head)
    head = curl("-i", "-X", "OPTIONS", shared().url("/upload")).decode()
    expect(head.startswith("HTTP/1.1 204 No Content\r\n"), head)


@test
def curl_over_a_socket_file_and_ipv6():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/gyr.sock"
        with Server(listen=[f"unix:{path}", "[::1]:0"]) as server:
            equal(curl("--unix-socket", path, "http://localhost/plaintext"), b"Hello, World!", "unix")
            equal(curl("-g", server.url("/plaintext", index=1)), b"Hello, World!", "IPv6")
        expect(not os.path.exists(path), "the socket file is removed at the end")


if __name__ == "__main__":
    sys.exit(run_shared())
