# SPDX-License-Identifier: MIT
"""What a probe is: bytes that a hostile or careless client sends, the answers that are right, and
what must hold behind them.

The tables are written for the paths of gyr-echo: GET / is a page, POST /upload answers length and
hash of its content, so that an answer shows what was taken for content.
"""

import dataclasses
import json

from kit import expect, fnv1a

# How strongly the section that decides speaks (RFC 2119); NONE: no section does, or each server may.
MUST, SHOULD, MAY, NONE = "must", "should", "may", "-"

CLOSED = 0  # an end of the stream instead of an answer

KEEP = "keep"  # the next request of the connection is answered
CLOSE = "close"  # nothing that follows is handled
SILENT = "silent"  # the request never ends: the server's own time limit does it


@dataclasses.dataclass(frozen=True)
class Case:
    """`right` are the statuses of a first answer that the section allows, CLOSED among them if none
    may come. The first is Gyr's, and is what run.py demands; the others serve to judge peers."""

    id: str
    what: str
    send: bytes
    right: tuple
    level: str
    rfc: str  # the section that decides
    after: str = ""  # KEEP for what is accepted, CLOSE for what is refused, unless said
    then: tuple = ()  # statuses of further answers that are due before the end
    heads: int = -1  # complete heads in `send`, as the server counts them: 1 if accepted, else 0
    interim: bool = False  # a 100 Continue may come
    check: object = None  # further demands on the first answer
    no_body: bool = False  # the first answer is to HEAD
    ends: bool = False  # whoever takes it must end the connection (RFC 9112 section 6.1)

    def __post_init__(self):
        accepted = self.right[0] != CLOSED and self.right[0] < 400
        if not self.after:
            object.__setattr__(self, "after", KEEP if accepted else CLOSE)
        if self.heads < 0:
            object.__setattr__(self, "heads", int(accepted or self.after == KEEP))


# ---- parts of requests ------------------------------------------------------------------------------

HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CLOSE_FIELD = b"Connection: close\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"

# What is pipelined behind every case. Only it has this path, so its answer is known by its body.
MARKER = b"GET /plaintext HTTP/1.1\r\n" + HOST + CLOSE_FIELD + b"\r\n"
MARKER_BODY = b"Hello, World!"


def line(text, fields=b"", host=HOST):
    """A request with this request line."""
    return text + b"\r\n" + host + fields + b"\r\n"


def get(fields=b"", target=b"/", method=b"GET", version=b"HTTP/1.1", host=HOST):
    return line(method + b" " + target + b" " + version, fields, host)


def post(fields=b"", content=b"", target=b"/upload", method=b"POST", version=b"HTTP/1.1", host=HOST):
    return get(fields, target, method, version, host) + content


def length(value):
    return b"Content-Length: %s\r\n" % (value if isinstance(value, bytes) else b"%d" % value)


def coding(value):
    return b"Transfer-Encoding: " + value + b"\r\n"


def chunks(content):
    """A chunked request of exactly these bytes of body."""
    return post(CHUNKED, content)


def upgrade(version=b"13"):
    return (b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: " + version + b"\r\n")


# ---- demands on an answer ---------------------------------------------------------------------------


def content(expected):
    """The server took exactly this for the content of the request."""

    def check(response):
        found = json.loads(response.body)
        expect(found == {"length": len(expected), "hash": fnv1a(expected)}, f"content taken: {found}")

    return check


def has(name, value=None):
    def check(response):
        found = response.field(name)
        expect(found is not None, f"{name} is missing")
        expect(value is None or value(found), f"{name}: {found}")

    return check


def has_not(name):
    return lambda response: expect(response.field(name) is None, f"{name} is there")


def body_without(text):
    return lambda response: expect(text not in response.body, f"{text!r} is in the answer")
