# SPDX-License-Identifier: MIT
"""WebSocket as gyr-echo speaks it: with the `websockets` package as an independent client, and frame by
frame where a decent client cannot misbehave."""

import concurrent.futures
import os
import signal
import sys
import tempfile

from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect, unix_connect

from kit import (ACCEPT, BINARY, CLOSE, CONTINUATION, DEADLINE, PING, PONG, TEXT, Frame, Server, WebSocket,
                 close_frame, equal, eventually, expect, frame, handshake, in_thread, request, run_shared,
                 shared, test)

OPTIONS = {"compression": None, "proxy": None, "max_size": None, "ping_interval": None,
           "open_timeout": DEADLINE, "close_timeout": DEADLINE}


def client(server=None, path="/", index=0, **options):
    server = server or shared()
    return connect(server.url(path, "ws", index), **{**OPTIONS, **options})


def echoed(ws, message):
    ws.send(message)
    equal(ws.recv(timeout=DEADLINE), message, "echo")


# ---- an independent client --------------------------------------------------------------------------


@test
def text_and_binary_come_back_as_they_came():
    with client() as ws:
        for message in "", "hello", "Grüße, 世界 🙂", b"", b"\x00\xff" * 50, bytes(range(256)):
            echoed(ws, message)


@test
def every_length_encoding_is_echoed():
    with client() as ws:
        for size in 1, 124, 125, 126, 127, 1000, 65523, 65535, 65536, 65537, 131072, 1 << 20:
            echoed(ws, os.urandom(size))
            echoed(ws, "ä" * (size // 2) + "x" * (size % 2))


@test
def large_messages_are_echoed():
    with client() as ws:
        for size in 5_000_000, 16 << 20:
            echoed(ws, os.urandom(size))


@test
def any_path_is_upgraded():
    for path in "/", "/chat/room?name=x", "/plaintext", "/nowhere":
        with client(path=path) as ws:
            echoed(ws, path)


@test
def fragments_come_back_as_one_message():
    with client() as ws:
        for parts in (["one", "two", "three"], ["", "", "x"], [b"a" * 70000, b"", b"b" * 70000],
                      ["\u4e16"] * 1000):
            ws.send(parts)
            equal(ws.recv(timeout=DEADLINE), parts[0][:0].join(parts), "echo")


@test
def pings_are_answered():
    with client() as ws:
        for payload in b"", b"x", b"y" * 125:
            expect(ws.ping(payload).wait(DEADLINE), "a pong")


@test
def close_is_answered_with_its_code():
    for code, reason in (1000, ""), (1001, "leaving"), (3000, ""), (4999, "r" * 123), (1011, "Ü" * 61):
        with client() as ws:
            ws.close(code, reason)
        equal((ws.close_code, ws.protocol.close_rcvd.code), (code, code), "close code")
        equal(ws.protocol.close_rcvd_then_sent, False, "the server answered")


@test
def subprotocol_is_one_that_both_know():
    with client(subprotocols=["chat", "echo"]) as ws:
        equal(ws.subprotocol, "echo", "offered by us")
        echoed(ws, "hello")
    with client(subprotocols=["chat"]) as ws:
        equal(ws.subprotocol, None, "not offered by us")
        echoed(ws, "hello")


@test
def messages_come_back_in_order():
    with client() as ws:
        sent = in_thread(lambda: [ws.send(str(i)) for i in range(5000)])
        for i in range(5000):
            equal(ws.recv(timeout=DEADLINE), str(i), "order")
        sent()


@test
def many_clients_at_once():
    def talk(number):
        with client() as ws:
            for i in range(20):
                echoed(ws, f"{number}:{i}" * (i * 50))

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        list(pool.map(talk, range(128)))


@test
def socket_file_and_ipv6_and_several_listeners():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/gyr.sock"
        with Server(listen=[f"unix:{path}", "[::1]:0", "127.0.0.1:0"]) as server:
            with unix_connect(path, "ws://localhost/", **OPTIONS) as ws:
                echoed(ws, "over a file")
            for index in 1, 2:
                with client(server, index=index) as ws:
                    echoed(ws, "over TCP")


@test
def one_core_serves_too():
    with Server("--cores", str(min(os.sched_getaffinity(0)))) as server:
        expect(server.line.endswith("with 1 core\n"), server.line)
        with client(server) as ws:
            echoed(ws, "hello")


# ---- the handshake, byte by byte --------------------------------------------------------------------


@test
def handshake_has_the_answer_of_the_rfc():
    with shared().connect() as http:
        http.send(handshake("/any"))
        response = http.response()
        equal(response.status, 101, "status")
        equal(response.field("upgrade").lower(), "websocket", "upgrade")
        equal(response.field("connection").lower(), "upgrade", "connection")
        equal(response.field("sec-websocket-accept"), ACCEPT, "sec-websocket-accept")
        equal(ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the example of RFC 6455 section 1.3")
        equal(response.field("sec-websocket-extensions"), None, "none was offered")


@test
def frames_may_come_with_the_handshake():
    with shared().connect() as http:
        http.send(handshake() + frame(TEXT, b"early") + frame(BINARY, b"bird" * 5000) + frame(PING, b"p"))
        equal(http.response().status, 101, "status")
        ws = WebSocket(http)
        equal(ws.frame(), Frame(1, TEXT, b"early"), "first")
        equal({ws.frame(), ws.frame()}, {Frame(1, BINARY, b"bird" * 5000), Frame(1, PONG, b"p")}, "then")


@test
def handshake_and_frames_may_come_byte_by_byte():
    content = handshake() + frame(TEXT, "ü".encode()) + frame(BINARY, b"b" * 200) + frame(PING, b"p")
    with shared().connect() as http:
        for i in range(len(content)):
            http.send(content[i:i + 1])
        equal(http.response().status, 101, "status")
        ws = WebSocket(http)
        for wanted in Frame(1, TEXT, "ü".encode()), Frame(1, BINARY, b"b" * 200), Frame(1, PONG, b"p"):
            equal(ws.frame(), wanted, "frame")


@test
def handshake_may_follow_a_request():
    with shared().connect() as http:
        http.send(request("GET", "/plaintext") + handshake() + frame(TEXT, b"hello"))
        equal(http.response().body, b"Hello, World!", "body")
        equal(http.response().status, 101, "status")
        equal(WebSocket(http).message().payload, b"hello", "echo")


@test
def fields_of_the_handshake_may_be_written_in_other_ways():
    with shared().connect() as http:
        http.send(handshake().replace(b"Upgrade: websocket", b"uPgRaDe: WebSocket")
                  .replace(b"Connection: Upgrade", b"CONNECTION:   keep-alive ,\t upgrade"))
        equal(http.response().status, 101, "status")


# ---- frames -----------------------------------------------------------------------------------------


@test
def control_frames_may_stand_between_fragments():
    with shared().websocket() as ws:
        ws.send(frame(TEXT, b"one ", fin=False), frame(PING, b"now"), frame(CONTINUATION, b"two", fin=False))
        equal(ws.frame(), Frame(1, PONG, b"now"), "the pong does not wait for the message")
        ws.send(frame(PONG, b"unasked"), frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, b" three"))
        equal(ws.message().payload, b"one two three", "message")


@test
def every_masking_key_works():
    with shared().websocket() as ws:
        payload = bytes(range(200))
        for key in b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04", b"\x80\0\0\0":
            ws.send(frame(BINARY, payload, key=key))
            equal(ws.message().payload, payload, f"key {key!r}")


@test
def pipelined_frames_of_all_sizes():
    payloads = [os.urandom(i * 61 % 3000) for i in range(2000)]
    with shared().websocket() as ws:
        sent = in_thread(ws.send, *[frame(BINARY, payload) for payload in payloads])
        for payload in payloads:
            equal(ws.message().payload, payload, "echo")
        sent()


@test
def utf8_may_be_cut_anywhere():
    text = "aä世🙂".encode()
    with shared().websocket() as ws:
        for cut in range(len(text) + 1):
            ws.send(frame(TEXT, text[:cut], fin=False), frame(CONTINUATION, text[cut:]))
            equal(ws.message(), Frame(1, TEXT, text), f"cut at {cut}")


@test
def close_without_code_is_answered():
    with shared().websocket() as ws:
        ws.send(close_frame())
        equal(ws.closed(answer=False), 1005, "close code")


@test
def frames_behind_a_close_are_not_answered():
    with shared().websocket() as ws:
        ws.send(close_frame(1000), frame(TEXT, b"too late"), frame(PING, b"p"))
        equal(ws.closed(answer=False), 1000, "close code")


@test
def messages_before_a_close_are_answered():
    with shared().websocket() as ws:
        ws.send(*[frame(TEXT, b"%d" % i) for i in range(100)], close_frame(1000))
        for i in range(100):
            equal(ws.message().payload, b"%d" % i, "echo")
        equal(ws.closed(answer=False), 1000, "close code")


BAD = [
    *[(f"reserved bits {rsv:#o}", [frame(TEXT, b"x", rsv=rsv)], 1002) for rsv in (1, 2, 4, 7)],
    ("reserved bit on a control frame", [frame(PING, b"x", rsv=4)], 1002),
    ("reserved bit on a continuation", [frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"x", rsv=4)], 1002),
    *[(f"opcode {opcode}", [frame(opcode, b"x")], 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    ("unmasked text", [frame(TEXT, b"hello", masked=False)], 1002),
    ("unmasked ping", [frame(PING, b"", masked=False)], 1002),
    ("unmasked close", [frame(CLOSE, b"", masked=False)], 1002),
    ("long ping", [frame(PING, b"x" * 126)], 1002),
    ("long pong", [frame(PONG, b"x" * 126)], 1002),
    ("long close", [frame(CLOSE, b"\x03\xe8" + b"x" * 124)], 1002),
    ("fragmented ping", [frame(PING, b"x", fin=False)], 1002),
    ("fragmented close", [frame(CLOSE, b"\x03\xe8", fin=False)], 1002),
    ("125 in two bytes", [frame(TEXT, b"x" * 125, width=2)], 1002),
    ("0 in two bytes", [frame(TEXT, b"", width=2)], 1002),
    ("125 in eight bytes", [frame(TEXT, b"x" * 125, width=8)], 1002),
    ("65535 in eight bytes", [frame(BINARY, b"x" * 65535, width=8)], 1002),
    ("ping of 5 in two bytes", [frame(PING, b"x" * 5, width=2)], 1002),
    ("top bit of the length", [frame(BINARY, b"", size=1 << 63)], 1002),
    ("all bits of the length", [frame(BINARY, b"", size=(1 << 64) - 1)], 1002),
    ("continuation of nothing", [frame(CONTINUATION, b"x")], 1002),
    ("continuation of a message that has ended", [frame(TEXT, b"x"), frame(CONTINUATION, b"x")], 1002),
    ("text within a message", [frame(TEXT, b"x", fin=False), frame(TEXT, b"x")], 1002),
    ("binary within a message", [frame(TEXT, b"x", fin=False), frame(BINARY, b"x")], 1002),
    *[(f"text {text!r}", [frame(TEXT, text)], 1007)
      for text in (b"\x80", b"\xff", b"ok\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf",
                   b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xc3", b"abc\xe4\xb8",
                   b"\xf0\x9f\x99", b"x" * 300 + b"\xc3", b"x" * 70000 + b"\xff")],
    ("bad text in a later fragment", [frame(TEXT, b"ok", fin=False), frame(CONTINUATION, b"\xff")], 1007),
    ("character cut by the end", [frame(TEXT, b"\xe4", fin=False), frame(CONTINUATION, b"\xb8")], 1007),
    ("character cut by another", [frame(TEXT, b"\xe4", fin=False), frame(CONTINUATION, b"x", fin=False)], 1007),
    ("close of one byte", [frame(CLOSE, b"\x03")], 1002),
    *[(f"close code {code}", [close_frame(code)], 1002)
      for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)],
    ("close reason not UTF-8", [close_frame(1000, b"\xff")], 1007),
    ("close reason cut", [close_frame(1000, b"ok\xc3")], 1007),
]


@test
def bad_frames_are_answered_with_their_close_code():
    failures = []
    for why, frames, code in BAD:
        with shared().websocket() as ws:
            ws.http.send_anyway(b"".join(frames))
            try:
                actual = ws.closed()
                if actual != code:
                    failures.append(f"{why}: {actual} instead of {code}")
            except AssertionError as error:
                failures.append(f"{why}: {error}")
    equal(failures, [], f"{len(failures)} of {len(BAD)}")


@test
def bad_frames_are_answered_byte_by_byte_too():
    failures = []
    for why, frames, code in BAD:
        content = b"".join(frames)
        if len(content) > 500:
            continue
        with shared().websocket() as ws:
            for i in range(len(content)):
                ws.http.send_anyway(content[i:i + 1])
            try:
                actual = ws.closed()
                if actual != code:
                    failures.append(f"{why}: {actual} instead of {code}")
            except AssertionError as error:
                failures.append(f"{why}: {error}")
    equal(failures, [], f"{len(failures)} of {len(BAD)}")


@test
def bad_text_is_refused_at_its_first_bad_byte():
    """The rest of the frame, and of the message, never comes."""
    for text in b"ok\xff", b"\xed\xa0", b"\xf4\x90", b"x" * 1000 + b"\xc0":
        with shared().websocket() as ws:
            ws.send(frame(TEXT, text, size=100000))
            equal(ws.closed(), 1007, "close code")
        with shared().websocket() as ws:
            ws.send(frame(TEXT, text, fin=False))
            equal(ws.closed(), 1007, "close code")


@test
def bad_header_is_refused_at_its_first_bad_byte():
    for start in b"\xc1", b"\x83", b"\x81\x05", b"\x89\xfe", b"\x09":
        with shared().websocket() as ws:
            ws.send(start)
            equal(ws.closed(), 1002, repr(start))


@test
def message_limit_is_1009_before_the_payload_comes():
    server = shared(message_size_max=1000)
    with server.websocket() as ws:
        ws.send(frame(BINARY, b"x" * 1000))
        equal(ws.message().payload, b"x" * 1000, "the largest message")
        ws.send(frame(BINARY, b"", size=1001))
        equal(ws.closed(), 1009, "one frame")
    with server.websocket() as ws:
        ws.send(frame(BINARY, b"x" * 600, fin=False), frame(CONTINUATION, b"", size=401))
        equal(ws.closed(), 1009, "fragments")
    with server.websocket() as ws:
        ws.send(frame(BINARY, b"", size=(1 << 63) - 1))
        equal(ws.closed(), 1009, "the largest frame there is")
    with server.websocket() as ws:
        ws.send(frame(BINARY, b"x" * 999, fin=False), frame(CONTINUATION, b"x" * 1))
        equal(len(ws.message().payload), 1000, "fragments that just fit")


# ---- connections that break -------------------------------------------------------------------------


@test
def lost_connections_are_forgotten():
    with Server() as server:
        sockets = [server.websocket() for _ in range(50)]
        for i, ws in enumerate(sockets):
            ws.send(frame(TEXT, b"half a message", fin=False))
            if i % 2:
                ws.http.reset()
            else:
                ws.http.socket.close()
        eventually(lambda: server.stats()["server"]["websockets"] == 0, "all WebSockets are gone")
        eventually(lambda: server.stats()["server"]["connections"] == 1, "and their connections")


@test
def reader_that_pauses_loses_nothing():
    """What is queued for it grows to a limit; then it is not read from until it reads again."""
    payload = os.urandom(16384)
    count = 4000
    with shared().websocket(receive_buffer=65536) as ws:
        sent = in_thread(lambda: [ws.send(frame(BINARY, payload)) for _ in range(count)])
        ws.http.take(1)
        queued = shared().stats()["server"]["heap_bytes"]
        expect(queued < 40 << 20, f"{queued} bytes are queued")
        ws.http.buffer = b"\x82" + ws.http.buffer
        for _ in range(count):
            expect(ws.message().payload == payload, "echo")
        sent()


@test
def reader_that_takes_nothing_is_cut():
    server = shared(send_timeout_ms=100)
    before = server.stats()["server"]["timeouts"]
    with server.websocket(receive_buffer=4096) as ws:
        ws.http.socket.settimeout(1)
        try:
            for _ in range(2000):
                ws.send(frame(BINARY, b"x" * 16384))
        except OSError:
            pass  # no room is left, or the connection has been cut already
        eventually(lambda: server.stats()["server"]["timeouts"] > before, "a connection ends by a time limit")


# ---- time limits and stopping -----------------------------------------------------------------------


@test
def silent_peer_is_pinged_and_then_dropped():
    with shared(heartbeat_interval_ms=50, heartbeat_timeout_ms=50).websocket() as ws:
        found = ws.frame()
        equal(found.opcode, PING, "opcode")
        equal(ws.http.rest()[:1] in (b"", b"\x88"), True, "the end, or a Close frame")


@test
def peer_that_answers_pings_stays():
    with shared(heartbeat_interval_ms=50, heartbeat_timeout_ms=5000).websocket() as ws:
        for _ in range(5):
            found = ws.frame()
            equal(found.opcode, PING, "opcode")
            ws.send(frame(PONG, found.payload))
        ws.send(frame(TEXT, b"still here"))
        while True:
            found = ws.frame()
            if found.opcode != PING:
                break
        equal(found.payload, b"still here", "echo")


@test
def idle_limit_and_lifetime_end_with_1001():
    with shared(idle_timeout_ms=50).websocket() as ws:
        equal(ws.closed(), 1001, "idle")
    with shared(lifetime_max_ms=50).websocket() as ws:
        equal(ws.closed(), 1001, "lifetime")


@test
def peer_that_never_answers_a_close_is_dropped():
    with shared(idle_timeout_ms=50, close_timeout_ms=50).websocket() as ws:
        equal(ws.closed(answer=False), 1001, "close code, and the end of the stream after it")


@test
def stop_closes_with_1001_and_ends_with_0():
    server = Server(shutdown_window_ms=100).start()
    sockets = [server.websocket() for _ in range(20)]
    with server.connect() as http:
        http.send(request("GET", "/plaintext"))
        equal(http.response().status, 200, "status")
        server.process.send_signal(signal.SIGTERM)
        for ws in sockets:
            equal(ws.closed(), 1001, "close code")
        equal(http.rest(), b"", "an idle HTTP connection is closed")
    equal(server.wait(), 0, "exit status")


@test
def stop_cuts_what_does_not_answer():
    server = Server(shutdown_window_ms=0, shutdown_deadline_ms=100, close_timeout_ms=1000000).start()
    ws = server.websocket()
    equal(server.stop(), 0, "exit status")
    ws.http.socket.close()


@test
def client_package_sees_1001():
    server = Server(shutdown_window_ms=0).start()
    with client(server) as ws:
        stopped = in_thread(server.stop)
        try:
            ws.recv(timeout=DEADLINE)
            raise AssertionError("a message came")
        except ConnectionClosedOK as closed:
            equal(closed.rcvd.code, 1001, "close code")
    equal(stopped(), 0, "exit status")


@test
def connections_are_refused_while_stopping():
    """Not left waiting in a queue that nobody reads: the listening sockets are closed at once."""
    server = Server(shutdown_window_ms=0, shutdown_deadline_ms=1000000, close_timeout_ms=1000000).start()
    with server.websocket() as ws:
        server.process.send_signal(signal.SIGTERM)
        while ws.frame().opcode != CLOSE:
            pass

        def refused():
            try:
                server.connect().socket.close()
            except ConnectionError:
                return True
            return False

        eventually(refused, "new connections are refused")
        ws.send(close_frame(1001))
    equal(server.wait(), 0, "exit status")


# ---- counters ---------------------------------------------------------------------------------------


@test
def counters_count():
    with Server() as server:
        with server.websocket() as ws:
            ws.send(frame(TEXT, b"one"), frame(TEXT, b"t", fin=False), frame(CONTINUATION, b"wo"), frame(PING))
            seen = [ws.frame().opcode for _ in range(3)]
            equal(sorted(seen), [TEXT, TEXT, PONG], "answers")
            stats = server.stats()["server"]
            equal(stats["websockets"], 1, "websockets")
            equal(stats["upgrades"], 1, "upgrades")
            equal(stats["messages_in"], 2, "messages_in")
            equal(stats["messages_out"], 2, "messages_out")
            equal(stats["ws_errors"], 0, "ws_errors")
            ws.send(frame(3, b""))
            equal(ws.closed(), 1002, "close code")
        eventually(lambda: server.stats()["server"]["ws_errors"] == 1, "ws_errors")
        eventually(lambda: server.stats()["server"]["websockets"] == 0, "websockets")


if __name__ == "__main__":
    sys.exit(run_shared())
