# SPDX-License-Identifier: MIT
"""What the scripts of tests/socket share: a running gyr-echo, plain sockets that speak HTTP and
WebSocket byte by byte, and the list of tests.

A test is a function marked with @test; its name says what holds. `run()` runs them in their order,
prints `ok NAME`, `ok NAME # skip WHY` or `not ok NAME: WHY`, and returns the script's exit status. With
GYR_RING=uring or epoll in the environment every gyr-echo is told to use that ring, and NAME says so.
Nothing here measures time: DEADLINE only keeps a failing test from waiting for ever.
"""

import atexit
import base64
import collections
import contextlib
import hashlib
import json
import os
import pathlib
import queue
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("GYR_BIN", ROOT / "build/release/bin"))
PROGRAM = os.environ.get("GYR_ECHO", str(BIN / "gyr-echo"))
MODE = os.environ.get("MODE", "release")
RING = os.environ.get("GYR_RING", "")  # "": gyr-echo chooses
DEADLINE = 60

# ---- tests ----------------------------------------------------------------------------------------

_tests = []


class Skip(Exception):
    """This machine cannot run the test."""


def test(function):
    _tests.append(function)
    return function


def run():
    chosen = sys.argv[1:]
    failed = 0
    missing = ring_missing(RING)
    for function in _tests:
        name = function.__name__
        if chosen and not any(word in name for word in chosen):
            continue
        if RING:
            name += f" [{RING}]"
        try:
            if missing:
                raise Skip(missing)
            function()
            print(f"ok {name}", flush=True)
        except Skip as skip:
            print(f"ok {name} # skip {skip}", flush=True)
        except Exception as error:  # whatever it is, the other tests shall run
            failed += 1
            place = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in place if pathlib.Path(frame.filename).parent == pathlib.Path(__file__).parent]
            where = ", ".join(f"{pathlib.Path(frame.filename).name}:{frame.lineno}" for frame in own)
            why = " ".join(str(error).split()) or type(error).__name__
            print(f"not ok {name}: {why[:500]} ({where})", flush=True)
    return 1 if failed else 0


def ring_missing(ring):
    """Why this machine does not have this ring; "" if it has."""
    if ring != "uring":
        return ""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile("w+") as errors:
        arguments = command("--listen", f"unix:{directory}/gyr.sock", "--set", "ring=uring")
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            started = process.stdout.readline()
            process.terminate()
        errors.seek(0)
        why = errors.read().strip()
    return "" if started or "io_uring" not in why else why


def equal(actual, expected, why=""):
    if actual != expected:
        raise AssertionError(f"{why}: {shorten(actual)} instead of {shorten(expected)}")


def expect(condition, why):
    if not condition:
        raise AssertionError(why)


def shorten(value):
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:100]}...{text[-40:]} ({len(value)})"


def eventually(condition, why):
    """Wait until a condition holds that other threads and processes bring about."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never: {why}")
        time.sleep(0.01)


# ---- the server -----------------------------------------------------------------------------------


def command(*arguments, program=PROGRAM):
    prefix = ["setarch", "-R"] if MODE == "tsan" else []
    ring = ["--set", f"ring={RING}"] if RING else []
    return [*prefix, program, *ring, *arguments]


def start(*arguments, before=None, program=PROGRAM):
    """`before` runs in the new process, before the program does."""
    result = subprocess.run(command(*arguments, program=program), capture_output=True, text=True, timeout=DEADLINE, check=False,
                            preexec_fn=before)
    return result.returncode, result.stdout, result.stderr


def fails(status, words, *arguments, before=None, program=PROGRAM):
    """Ends with this status and one line on standard error that holds all the words."""
    actual, output, error = start(*arguments, before=before, program=program)
    equal(actual, status, f"{arguments}: exit status ({shorten(error)})")
    equal(output, "", f"{arguments}: standard output")
    expect(re.fullmatch(rf"{pathlib.Path(program).name}: [^\n]+\n", error), f"{arguments}: not one line: {error!r}")
    for word in words:
        expect(word in error, f"{arguments}: no {word!r} in {error!r}")


def limited(name, value):
    return lambda: resource.setrlimit(name, (value, value))


def core_lists():
    """One core, and several that fail at once."""
    cpus = [str(cpu) for cpu in sorted(os.sched_getaffinity(0))]
    if MODE == "tsan" or len(cpus) == 1:
        # liburing unmaps the ring that failed without ThreadSanitizer noticing, which takes the next
        # core's ring at this address for a race.
        return [cpus[:1]]
    return [cpus[:1], cpus[:4]]


class Server:
    """A gyr-echo of its own: `with Server("--cores", "0", pin=1) as server`. Keywords are settings.
    It must end with 0 on SIGTERM; an ending before that fails the test too."""

    program = PROGRAM

    def __init__(self, *arguments, listen=("127.0.0.1:0",), environment=None, before=None, **settings):
        """`before` runs in the new process, before the program does."""
        self.arguments = [*arguments]
        self.environment = environment
        self.before = before
        for address in listen:
            self.arguments += ["--listen", address]
        for name, value in settings.items():
            self.arguments += ["--set", f"{name}={value}"]
        self.errors = tempfile.TemporaryFile()

    def __enter__(self):
        return self.start()

    def start(self):
        self.process = subprocess.Popen(
            command(*self.arguments, program=self.program), stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env=self.environment, preexec_fn=self.before)
        atexit.register(self.process.kill)
        watch = threading.Timer(DEADLINE, self.process.kill)
        watch.start()
        self.line = self.process.stdout.readline()
        watch.cancel()
        if not self.line:
            raise AssertionError(f"gyr-echo did not start: {self.error_text()}")
        found = re.findall(r"http://(?:([0-9.]+)|\[([0-9a-f:]+)\]):([0-9]+)/|unix:([^, ]+)", self.line)
        self.addresses = [path or (ipv4 or ipv6, int(port)) for ipv4, ipv6, port, path in found]
        self.address = self.addresses[0]
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.process.kill()
            self.process.wait()
            error = self.error_text()
            if error:
                print(f"# standard error of gyr-echo: {error}", flush=True)
            return
        early = self.process.poll()
        expect(early is None, f"gyr-echo ended with {early}: {self.error_text()}")
        equal(self.stop(), 0, f"exit status after SIGTERM: {self.error_text()}")
        equal(self.error_text(), "", "standard error")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("gyr-echo does not end after SIGTERM") from None

    def error_text(self):
        """What it has said so far. Its descriptor shares our place in the file, so that stays where it is."""
        number = self.errors.fileno()
        return os.pread(number, os.fstat(number).st_size, 0).decode(errors="replace").strip()

    def url(self, path="/", scheme="http", index=0):
        host, port = self.addresses[index]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"

    def connect(self, index=0, **options):
        return Http(self.addresses[index], **options)

    def websocket(self, path="/", **options):
        http = self.connect(**options)
        http.send(handshake(path))
        response = http.response()
        equal(response.status, 101, "status of the handshake")
        return WebSocket(http)

    def stats(self):
        with self.connect() as http:
            http.send(request("GET", "/stats"))
            return json.loads(http.response().body)


class Logged(Server):
    """A gyr-echo that tells what it does on standard error, where a Server must be silent."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **{"log_level": "info", **settings})

    def __exit__(self, kind, value, trace):
        if kind is not None:
            super().__exit__(kind, value, trace)
        elif self.process.poll() is None:
            equal(self.stop(), 0, "exit status")

    def lines(self):
        return self.error_text().splitlines()

    def ended(self):
        """All lines; after them there are no more."""
        equal(self.stop(), 0, "exit status")
        return self.lines()


_shared = {}


def shared(**settings):
    """One server for all tests that ask for the same settings; `shared_end` stops them."""
    key = tuple(sorted(settings.items()))
    if key not in _shared or _shared[key].process.poll() is not None:
        _shared[key] = Server(**settings).start()
    return _shared[key]


def run_shared():
    """Run the tests, then stop the shared servers: that they end well is the last test."""

    def shared_servers_end_with_0():
        for server in _shared.values():
            server.__exit__(None, None, None)

    _tests.append(shared_servers_end_with_0)
    if sys.argv[1:]:
        sys.argv.append("shared_servers_end_with_0")
    return run()


# ---- HTTP -----------------------------------------------------------------------------------------


class Response:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields  # (name in lower case, value)
        self.body = body

    def field(self, name):
        values = [value for field, value in self.fields if field == name]
        expect(len(values) <= 1, f"{name} is repeated: {values}")
        return values[0] if values else None


def request(method, target, *fields, body=b"", version="HTTP/1.1", host="localhost"):
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += fields
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*chunks, trailers=()):
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"".join(parts) + b"0\r\n" + b"".join(b"%s\r\n" % line for line in trailers) + b"\r\n"


def fnv1a(content):
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


class Http:
    """A socket that sends what it is told to and takes responses apart."""

    def __init__(self, address, receive_buffer=None, source=None):
        """`source`: an address of its own; all of 127.0.0.0/8 is this machine."""
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(DEADLINE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, content):
        self.socket.sendall(content)

    def send_anyway(self, content):
        """Send to a peer that may have closed already."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(content)

    def more(self):
        content = self.socket.recv(65536)
        self.buffer += content
        return bool(content)

    def take(self, size):
        while len(self.buffer) < size:
            if not self.more():
                raise AssertionError(f"end of the stream after {shorten(self.buffer)}, {size} bytes wanted")
        content, self.buffer = self.buffer[:size], self.buffer[size:]
        return content

    def response(self, head_only=False):
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                raise AssertionError(f"end of the stream within a head: {shorten(self.buffer)}")
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status_line, *lines = head.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*", status_line)
        expect(found, f"status line {status_line!r}")
        fields = []
        for line in lines:
            name, separator, value = line.partition(": ")
            expect(separator and re.fullmatch(r"[A-Za-z0-9-]+", name), f"field line {line!r}")
            fields.append((name.lower(), value))
        response = Response(int(found[1]), fields, b"")
        bodyless = head_only or response.status < 200 or response.status in (204, 304)
        if not bodyless:
            response.body = self.take(int(response.field("content-length")))
        return response

    def rest(self):
        """Everything up to the end of the stream; a reset is an end, too."""
        with contextlib.suppress(ConnectionResetError):
            while self.more():
                pass
        content, self.buffer = self.buffer, b""
        return content

    def end(self):
        """Finish our stream, not theirs."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


# ---- WebSocket ------------------------------------------------------------------------------------

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
ACCEPT = base64.b64encode(
    hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Frame = collections.namedtuple("Frame", "fin opcode payload")


def handshake(path="/", *fields, version="13", key=KEY):
    return request("GET", path, "Upgrade: websocket", "Connection: Upgrade",
                   f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}", *fields)


def mask(payload, key):
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, key=b"\x37\xfa\x21\x3d", width=None, size=None):
    """A frame as a client sends it. `width` (1, 2, 8): bytes of the length; `size`: a length that
    is not the payload's."""
    size = len(payload) if size is None else size
    if width is None:
        width = 1 if size <= 125 else 2 if size <= 0xFFFF else 8
    length = {1: struct.pack("!B", size if width == 1 else 0),
              2: struct.pack("!BH", 126, size if width == 2 else 0),
              8: struct.pack("!BQ", 127, size)}[width]
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if masked:
        return bytes([first, length[0] | 0x80]) + length[1:] + key + mask(payload, key)
    return bytes([first]) + length + payload


def close_frame(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


class WebSocket:
    """The client's end after the handshake, frame by frame."""

    def __init__(self, http):
        self.http = http

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.socket.close()

    def send(self, *frames):
        self.http.send(b"".join(frames))

    def frame(self):
        first, second = self.http.take(2)
        expect(first & 0x70 == 0, f"reserved bits in {first:#x}")
        expect(second & 0x80 == 0, "a server's frame is masked")
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", self.http.take(2))
            expect(size > 125, "length not minimal")
        elif size == 127:
            (size,) = struct.unpack("!Q", self.http.take(8))
            expect(size > 0xFFFF, "length not minimal")
        return Frame(first >> 7, first & 15, self.http.take(size))

    def message(self):
        """One unfragmented data message."""
        found = self.frame()
        expect(found.fin and found.opcode in (TEXT, BINARY), f"not a message: {shorten(found)}")
        return found

    def closed(self, answer=True):
        """Frames up to the Close, which must be followed by nothing; its code, or 1005."""
        while True:
            found = self.frame()
            if found.opcode == CLOSE:
                break
        if answer:
            self.http.send_anyway(frame(CLOSE, found.payload[:2]))
        equal(self.http.rest(), b"", "bytes behind the Close frame")
        code, reason = (struct.unpack("!H", found.payload[:2])[0], found.payload[2:]) if found.payload else (1005, b"")
        reason.decode()
        return code


def in_thread(function, *arguments):
    """Run a function beside the test; the returned function waits for it and gives its result."""
    results = queue.Queue()

    def body():
        try:
            results.put((function(*arguments), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=body, daemon=True).start()

    def wait():
        result, error = results.get(timeout=DEADLINE)
        if error is not None:
            raise error
        return result

    return wait
