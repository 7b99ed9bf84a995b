# SPDX-License-Identifier: MIT
"""The limits and policies of a public server over real sockets: who is refused, with what, and what the log
says of it."""

import collections
import json
import os
import pathlib
import re
import signal
import socket
import struct
import sys
import tempfile

from kit import (CLOSE, PING, TEXT, Logged, Server, WebSocket, close_frame, equal, eventually, expect, frame, handshake,
                 request, run, shorten, test)

CORE = str(min(os.sched_getaffinity(0)))
CORES = ",".join(map(str, sorted(os.sched_getaffinity(0))[:4]))
PLAIN = request("GET", "/plaintext")
FULL = b"a configured maximum is reached"


def logged(*arguments, **settings):
    """On one core unless told otherwise."""
    return Logged(*(arguments or ("--cores", CORE)), **settings)


def answer(http, content=PLAIN):
    http.send(content)
    return http.response()


def ask(server, content=PLAIN):
    with server.connect() as http:
        return answer(http, content)


def refused(http, content=PLAIN):
    """503 comes to a connection that has no place, whether it asks or not, and the connection ends."""
    http.send_anyway(content)
    response = http.response()
    equal((response.status, response.body, response.field("retry-after"), response.field("connection")),
          (503, FULL, "1", "close"), "the answer beyond a limit")
    equal(http.rest(), b"", "the end of the stream")
    http.socket.close()


def counters(http):
    return json.loads(answer(http, request("GET", "/stats")).body)["server"]


def fields_of(line):
    """The names and values of a line of text; `level` and `event` are those that have no name."""
    pair = r' ([\w.]+)=([^\s"=]+|"[^"]*")'
    found = re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z (\w+) ([\w.]+)((?:{pair})*)", line)
    expect(found, f"the form of {line!r}")
    level, event, rest = found.groups()[:3]
    values = {name: value.strip('"') for name, value in re.findall(pair, rest)}
    return {"level": level, "event": event, **values}


def only(lines, event):
    return [fields for fields in map(fields_of, lines) if fields["event"] == event]


# ---- how many may come ----------------------------------------------------------------------------


@test
def connections_beyond_those_of_the_server_are_503():
    with logged("--cores", CORES, server_connections_max=3) as server:  # of all cores together
        open_ones = [server.connect() for _ in range(3)]
        for http in open_ones:
            equal(answer(http).status, 200, "one of three")
        for _ in range(5):
            refused(server.connect())
            refused(server.connect(), b"")
        refused(server.connect(), handshake())
        found = counters(open_ones[0])
        equal((found["limited"], found["accepted"]), (11, 3), "counters")
        open_ones.pop().socket.close()

        def place():
            with server.connect() as http:
                return answer(http).status == 200

        eventually(place, "there is a place again")
        for http in open_ones:
            equal(answer(http).status, 200, "the others are served")
            http.socket.close()


@test
def connections_beyond_those_of_an_address_are_503():
    with logged("--cores", CORES, address_connections_max=2) as server:
        open_ones = [server.connect(source="127.0.0.2") for _ in range(2)]
        for http in open_ones:
            equal(answer(http).status, 200, "one of two")
        for _ in range(5):
            refused(server.connect(source="127.0.0.2"))
        with server.connect(source="127.0.0.3") as other:
            equal(answer(other).status, 200, "another address has its own")
            equal(counters(other)["limited"], 5, "counted")
        open_ones.pop().socket.close()

        def place():
            with server.connect(source="127.0.0.2") as http:
                return answer(http).status == 200

        eventually(place, "there is a place again")
        open_ones[0].socket.close()


@test
def refused_connections_are_named_in_the_log():
    with logged(address_connections_max=1) as server:
        with server.connect(source="127.0.0.2") as http:
            equal(answer(http).status, 200, "the first")
            refused(server.connect(source="127.0.0.2"))
        lines = server.ended()
        found = only(lines, "request.refused")
        equal([(line["error"], line["limit"]) for line in found], [(FULL.decode(), "address_connections_max")], "why")
        expect(found[0]["client"].startswith("127.0.0.2:"), f"who: {found}")
        equal([(line["level"], line["limit"], line["count"]) for line in only(lines, "trouble")],
              [("warning", "address_connections_max", "1")], "trouble")


@test
def upgrades_beyond_their_rate_are_503():
    with logged(upgrade_rate_max=1) as server:
        def status():
            with server.connect() as http:
                response = answer(http, handshake())
                expect(response.status in (101, 503), response.status)
                expect(response.status == 101 or response.body == FULL, response.body)
                return response.status

        equal(status(), 101, "the first")
        eventually(lambda: status() == 503, "one comes too soon")
        equal(ask(server).status, 200, "requests are no upgrades")
        eventually(lambda: status() == 101, "time has passed")


@test
def who_resets_before_the_accept_asks_nothing():
    """Its bytes can still be read then, but nobody can say any more whose they were."""
    with logged(access_log=1) as server:
        for _ in range(300):
            http = server.connect()
            http.send(PLAIN)
            http.reset()
        equal(ask(server).status, 200, "others are served")
        expect(not any(" client=? " in line for line in server.ended()), "a request of nobody")


# ---- how fast ---------------------------------------------------------------------------------------


@test
def messages_beyond_their_rate_are_1008():
    with logged(message_rate_max=1, message_burst_max=10) as server:
        for opcode, size in (TEXT, 3), (PING, 0):
            with server.websocket() as ws:
                ws.http.send_anyway(frame(opcode, b"a" * size) * 1000)
                echoes = 0
                while (found := ws.frame()).opcode != CLOSE:
                    echoes += 1
                equal(struct.unpack("!H", found.payload[:2])[0], 1008, "close code")
                expect(10 <= echoes < 1000 or opcode == PING, f"{echoes} of 1000 were handled")
        equal(server.stats()["server"]["rate_limited"], 2, "counted")
        found = only(server.ended(), "websocket.failed")
        equal([(line["level"], line["error"]) for line in found], [("info", "a rate limit is exceeded; slow down")] * 2,
              "lines")


@test
def messages_beyond_their_rate_may_wait():
    with Server("--cores", CORE, message_rate_max=200, message_burst_max=10, rate_action="pause") as server:
        with server.websocket() as ws:
            messages = [b"message %d" % i for i in range(100)]
            ws.send(*(frame(TEXT, message) for message in messages))
            for message in messages:
                equal(ws.message().payload, message, "in order, and none is lost")
            ws.send(close_frame(1000))
            equal(ws.closed(answer=False), 1000, "close code")
        expect(server.stats()["server"]["rate_limited"] >= 1, "counted")


@test
def bytes_beyond_their_rate_are_1008_or_wait():
    message = frame(TEXT, b"b" * 1000)
    with Server("--cores", CORE, byte_rate_max=1024, byte_burst_max=8192) as server:
        with server.websocket() as ws:
            ws.http.send_anyway(message * 100)
            equal(ws.closed(), 1008, "close code")
    with Server("--cores", CORE, byte_rate_max="64k", byte_burst_max=8192, rate_action="pause") as server:
        with server.websocket() as ws:
            ws.send(message * 40)
            for _ in range(40):
                equal(ws.message().payload, b"b" * 1000, "echo")
        # Requests have no close code: they wait, whatever the action.
        with server.connect() as http:
            content = bytes(range(256)) * 160
            response = answer(http, request("POST", "/upload", body=content))
            equal(json.loads(response.body)["length"], len(content), "every byte")
        expect(server.stats()["server"]["rate_limited"] >= 2, "counted")


# ---- who may come ---------------------------------------------------------------------------------


@test
def origins_are_the_own_host_or_listed():
    with Server("--cores", CORE, origins="https://a.example https://*.b.example null") as server:
        own = "http://%s:%d" % server.address
        for origin, status in [
                (None, 101), (own.replace("127.0.0.1", "localhost"), 101), ("https://a.example", 101),
                ("https://x.b.example", 101), ("null", 101), (own, 403), ("http://a.example", 403),
                ("https://b.example", 403), ("https://a.example:444", 403), ("https://a.example.evil.example", 403),
                ("https://evil.example", 403), ("", 403), ("https://a.example https://evil.example", 403)]:
            fields = [] if origin is None else [f"Origin: {origin}"]
            host = "localhost:%d" % server.address[1]
            content = handshake("/", *fields).replace(b"Host: localhost", b"Host: " + host.encode())
            equal(ask(server, content).status, status, f"Origin: {origin}")
        equal(ask(server, handshake("/", "Origin: https://a.example", "Origin: https://a.example")).status, 403, "twice")
        equal(ask(server, request("GET", "/plaintext", "Origin: https://evil.example")).status, 200, "no handshake")
        equal(server.stats()["server"]["forbidden"], 9, "counted")
    with Server("--cores", CORE, origins="*") as server:
        equal(ask(server, handshake("/", "Origin: https://evil.example")).status, 101, "any")


@test
def other_hosts_are_421():
    with Server("--cores", CORE, hosts="a.example *.b.example:8443 127.0.0.1") as server:
        for host, status in [("a.example", 200), ("A.Example:99", 200), ("x.b.example:8443", 200), ("127.0.0.1:80", 200),
                             ("b.example:8443", 421), ("x.b.example", 421), ("evil.example", 421), ("a.example.", 421),
                             ("a.example.evil.example", 421), ("localhost", 421)]:
            equal(ask(server, request("GET", "/plaintext", host=host)).status, status, host)
        equal(ask(server, request("GET", "/plaintext", host=None, version="HTTP/1.0")).status, 421, "no host")
        equal(ask(server, request("GET", "http://evil.example/plaintext", host="evil.example")).status, 421, "absolute")
        equal(ask(server, handshake()).status, 421, "a handshake to localhost")
        with server.connect() as http:
            found = json.loads(answer(http, request("GET", "/stats", host="a.example")).body)["server"]
            equal(found["forbidden"], 9, "counted")


# ---- behind a proxy ---------------------------------------------------------------------------------

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def proxy_header(source="203.0.113.7", port=4711, command=1, tlv=b""):
    """PROXY version 2, over TCP; `source` None: the proxy speaks for itself."""
    if source is None:
        return SIGNATURE + bytes([0x20, 0, 0, 0])
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    local = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, local) + struct.pack("!HH", port, 443) + tlv
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, kind, len(addresses)) + addresses


def clients(lines):
    return [line["client"] for line in only(lines, "request")]


@test
def proxy_header_names_the_client():
    with logged(trusted_proxies="127.0.0.1", proxy_protocol=1, access_log=1) as server:
        for header in proxy_header(), proxy_header("2001:db8::7"), proxy_header(tlv=b"\x04\0\x02ab"):
            equal(ask(server, header + PLAIN).status, 200, "status")
        with server.connect() as http:
            for byte in proxy_header() + PLAIN:
                http.send(bytes([byte]))
            equal(http.response().status, 200, "byte by byte")
            equal(answer(http).status, 200, "its next request has none")
        equal(ask(server, proxy_header(None) + PLAIN).status, 200, "the proxy's own: a health check")
        found = clients(server.ended())
        first = "203.0.113.7:4711"
        equal(found[:5], [first, "[2001:db8::7]:4711", first, first, first], "clients")
        expect(found[5].startswith("127.0.0.1:"), found[5])


@test
def proxy_header_is_demanded_of_proxies_and_refused_from_others():
    wrong = [PLAIN, b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n" + PLAIN, proxy_header(command=2) + PLAIN,
             SIGNATURE + b"\x21\x11\x00\x04abcd" + PLAIN, handshake()]
    with logged(trusted_proxies="127.0.0.1", proxy_protocol=1) as server:
        for content in wrong:
            with server.connect() as http:
                http.send(content)
                equal(http.response().status, 400, shorten(content))
                equal(http.rest(), b"", "and nothing behind it is read")
        with server.connect(source="127.0.0.2") as other:
            equal(answer(other).status, 200, "who is not trusted speaks for itself")
        with server.connect(source="127.0.0.2") as other:
            equal(answer(other, proxy_header() + PLAIN).status, 400, "and for nobody else")
        lines = only(server.ended(), "request.refused")
        equal([line["error"] for line in lines], ["PROXY protocol header missing or malformed"] * len(wrong), "lines")


@test
def clients_behind_a_proxy_are_counted_each():
    with Server(trusted_proxies="127.0.0.1", proxy_protocol=1, address_connections_max=2) as server:
        open_ones = [server.connect() for _ in range(4)]
        for i, http in enumerate(open_ones):
            equal(answer(http, proxy_header(f"203.0.113.{i // 2}") + PLAIN).status, 200, "two of each client")
        http = server.connect()
        refused(http, proxy_header("203.0.113.0") + PLAIN)
        with server.connect() as http:
            equal(answer(http, proxy_header("203.0.113.9") + PLAIN).status, 200, "another client")
        for http in open_ones:
            http.socket.close()


@test
def forwarded_client_is_in_the_access_log():
    rows = {
        "x-forwarded-for": [
            ("X-Forwarded-For: 203.0.113.9", "203.0.113.9"),
            ("X-Forwarded-For: 6.6.6.6, 203.0.113.9", "203.0.113.9"),  # the client claims what stands left
            ("X-Forwarded-For: 203.0.113.9, 10.0.0.1", "203.0.113.9"),  # a second proxy of ours
            ("X-Forwarded-For: 2001:db8::9", "2001:db8::9"),
            ("Forwarded: for=203.0.113.9", None)],
        "forwarded": [
            ("Forwarded: for=203.0.113.9", "203.0.113.9"),
            ('Forwarded: for="[2001:db8::9]:4711";proto=https', "[2001:db8::9]:4711"),
            ("Forwarded: for=6.6.6.6, for=203.0.113.9", "203.0.113.9"),
            ("Forwarded: for=unknown", None),
            ("X-Forwarded-For: 203.0.113.9", None)],
    }
    for kind, cases in rows.items():
        with logged(trusted_proxies="127.0.0.1 10.0.0.0/8", forwarded=kind, access_log=1) as server:
            for field, _ in cases:
                equal(ask(server, request("GET", "/plaintext", field)).status, 200, field)
            name = cases[0][0].split(":")[0]
            equal(ask(server, request("GET", "/plaintext", f"{name}: no address")).status, 400, "malformed")
            with server.connect(source="127.0.0.2") as other:
                equal(answer(other, request("GET", "/plaintext", cases[0][0])).status, 200, "who is not trusted")
            found = clients(server.ended())
            for (field, client), seen in zip(cases, found):
                expect(seen == client or (client is None and seen.startswith("127.0.0.1:")), f"{field}: {seen}")
            expect(found[-1].startswith("127.0.0.2:"), f"is not believed: {found[-1]}")


# ---- the log --------------------------------------------------------------------------------------

STRANGE = b'Strange "Agent" \\ {"event":"forged"}\t[31m \xc3\xbc \xff'


def make_events(server):
    ask(server, request("GET", "/plaintext?a=b", "User-Agent: test/1"))
    ask(server, request("GET", "/missing%22=x"))
    with server.connect() as http:
        http.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + STRANGE + b"\r\n\r\n")
        size = len(http.response().body)
    ask(server, b"GET /\n\n")
    with server.websocket("/chat") as ws:
        ws.send(close_frame(4321))
        equal(ws.closed(answer=False), 4321, "close code")
    ask(server, handshake("/", "Origin: https://evil.example"))
    return size


@test
def access_log_in_text_has_a_line_for_each_event():
    with logged(access_log=1) as server:
        size = str(make_events(server))
        lines = server.ended()
        found = [fields_of(line) for line in lines]
        counts = collections.Counter(fields["event"] for fields in found)
        expect(all(re.fullmatch(r"[ -~]+", line) for line in lines), "printable")
        equal(counts, {"server.start": 1, "server.listen": 1, "request": 6, "websocket": 1, "request.refused": 1,
                       "core.stop": 1, "core.end": 1}, "events")
        rows = [[fields.get(name) for name in ("method", "target", "status", "size", "outcome", "user_agent")]
                for fields in found if fields["event"] == "request"]
        equal(rows[0], ["GET", "/plaintext?a=b", "200", "13", "answered", "test/1"], "a request")
        equal(rows[1][:3] + rows[1][4:], ["GET", "/missing%22=x", "404", "answered", ""], "nothing there")
        equal(rows[2][:5], ["GET", "/", "200", size, "answered"], "the page")
        equal(re.sub(r"\\x(..)", lambda byte: chr(int(byte[1], 16)), rows[2][5]).encode("latin-1"), STRANGE, "escaped")
        equal(rows[3], [None, None, "400", None, "refused", None], "no request at all")
        equal(rows[4][:5], ["GET", "/chat", "101", "0", "upgraded"], "a handshake")
        equal(rows[5][2], "403", "a refused one")
        closed = [fields for fields in found if fields["event"] == "websocket"]
        equal((closed[0]["target"], closed[0]["close_code"]), ("/chat", "4321"), "a WebSocket")


@test
def access_log_in_json_has_an_object_for_each_event():
    with logged(access_log=1, log_format="json") as server:
        size = make_events(server)
        lines = server.ended()
        found = [json.loads(line) for line in lines]
        for line in lines:
            expect(re.fullmatch(r"[ -~]+", line), f"printable: {line}")
        expect(not any(fields["event"] == "forged" for fields in found), "forged")
        equal(sorted({fields["event"] for fields in found}),
              ["core.end", "core.stop", "request", "request.refused", "server.listen", "server.start", "websocket"], "events")
        requests = [fields for fields in found if fields["event"] == "request"]
        equal((requests[0]["status"], requests[0]["size"], requests[0]["user_agent"]), (200, 13, "test/1"), "a request")
        equal((requests[2]["size"], requests[2]["user_agent"]),
              (size, 'Strange "Agent" \\ {"event":"forged"}\t[31m \u00fc \ufffd'), "the page")
        expect(all(fields["time"] and fields["level"] for fields in found), "when, and how bad")


@test
def log_rate_max_counts_what_it_drops():
    with logged(access_log=1, log_rate_max=5) as server:
        asked = 50
        with server.connect() as http:
            for _ in range(asked):
                equal(answer(http).status, 200, "answers go on")

            def dropped():
                nonlocal asked
                asked += 1
                equal(answer(http).status, 200, "answers go on")
                return any(" warning log.dropped count=" in line for line in server.lines())

            eventually(dropped, "a line says so")
            counted = counters(http)["log_dropped"]
        lines = server.lines()
        told = sum(int(fields["count"]) for fields in only(lines, "log.dropped"))
        expect(0 < told <= counted, f"{told} in lines, {counted} counted")
        expect(asked <= len(only(lines, "request")) + counted + 1, "each request is a line or counted")


@test
def nothing_is_said_below_the_level():
    with Server("--cores", CORE, access_log=1) as server:  # gyr-echo's own level is warning; it must end silently
        make_events(server)


@test
def policies_can_be_reloaded():
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "gyr.ini")
        path.write_text("")
        with Server("--cores", CORE, "--config", str(path)) as server:
            first = server.connect()
            equal(answer(first).status, 200, "no policy")
            path.write_text("hosts = a.example\norigins = https://a.example\nmessage_rate_max = 1\nmessage_burst_max = 1\n")
            server.process.send_signal(signal.SIGHUP)
            expect("reloaded" in server.process.stdout.readline(), "reloaded")
            eventually(lambda: ask(server).status == 421, "a new connection")
            equal(answer(first).status, 421, "one that was there")
            first.socket.close()
            own = handshake("/", "Origin: https://a.example").replace(b"localhost", b"a.example")
            with server.connect() as http:
                equal(answer(http, own).status, 101, "the listed origin")
                ws = WebSocket(http)
                ws.http.send_anyway(frame(TEXT, b"x") * 10)
                equal(ws.closed(), 1008, "its rate")


if __name__ == "__main__":
    sys.exit(run())
