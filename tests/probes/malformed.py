# SPDX-License-Identifier: MIT
"""Cases named MAL, NORM and COOK of the public suite Http11Probe (MDA2AV, MIT), restated: bytes that
are no request, requests that are too large, and names that a lenient server takes for others."""

import hashlib

from case import CLOSED, HOST, MAY, MUST, NONE, SHOULD, SILENT, Case, chunks, content, get, length, post

DENIED = (400, CLOSED)
TOO_LARGE = (431, 400, CLOSED, 200)  # none has to set a limit
GARBAGE = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(8))


def named(name, field, level=MUST, section="RFC 9110 5.1"):
    """A second name that some server normalises to a field that frames the content."""
    return Case(name, "beside a length of 11: " + field.decode().replace("\t", "<tab>"),
                post(length(11) + field + b"\r\n", b"hello world"), DENIED if level == MUST else (400, CLOSED, 200),
                level, section)


def cookie(name, what, value, right=(200, 400, CLOSED), level=NONE, first=None):
    if first is not None:
        right = (first, *(status for status in right if status != first))
    return Case(name, what, get(b"Cookie: " + value + b"\r\n"), right, level, "RFC 9110 5.5")


CASES = [
    # ---- no request at all --------------------------------------------------------------------------
    Case("MAL-BINARY-GARBAGE", "256 bytes of noise", GARBAGE, DENIED, SHOULD, "RFC 9112 2.2"),
    Case("MAL-WHITESPACE-ONLY-LINE", "a line of spaces", b"   \r\n\r\n", DENIED, MUST, "RFC 9112 3"),
    Case("MAL-H2-PREFACE", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505, 400, CLOSED), SHOULD,
         "RFC 9110 15.6.6"),
    # Nothing was asked, so that nothing is answered.
    Case("MAL-EMPTY-REQUEST", "nothing", b"", (CLOSED, 408, 400), NONE, "RFC 9112 9.5", after=SILENT),
    Case("MAL-INCOMPLETE-REQUEST", "a head without its end", b"GET / HTTP/1.1\r\n" + HOST + b"X-Test: 1",
         (408, 400, CLOSED), SHOULD, "RFC 9110 15.5.9", after=SILENT),
    # ---- too large ----------------------------------------------------------------------------------
    Case("MAL-LONG-URL", "a target of 100 KB", get(target=b"/" + b"A" * 100000), (414, 400, 431, CLOSED, 200), SHOULD,
         "RFC 9112 3"),
    Case("MAL-LONG-METHOD", "a method of 100 KB", get(method=b"A" * 100000), (400, 414, 501, CLOSED, 200), SHOULD,
         "RFC 9112 3"),
    Case("MAL-LONG-HEADER-VALUE", "a field value of 100 KB", get(b"X-Big: " + b"B" * 100000 + b"\r\n"), TOO_LARGE,
         SHOULD, "RFC 6585 5"),
    Case("MAL-LONG-HEADER-NAME", "a field name of 100 KB", get(b"A" * 100000 + b": 1\r\n"), TOO_LARGE, SHOULD,
         "RFC 6585 5"),
    Case("MAL-MANY-HEADERS", "10,000 fields", get(b"".join(b"X-%d: 1\r\n" % i for i in range(10000))), TOO_LARGE,
         SHOULD, "RFC 6585 5"),
    Case("MAL-CL-OVERFLOW", "a length of 20 digits, which 64 bits do not hold", post(length(99999999999999999999)),
         (400, 413, CLOSED), MUST, "RFC 9110 8.6"),
    Case("MAL-CHUNK-SIZE-OVERFLOW", "a chunk size of 17 digits", chunks(b"FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n"),
         (400, 413, CLOSED), MUST, "RFC 9112 7.1", heads=1),
    Case("MAL-CHUNK-EXT-64K", "a chunk extension of 64 KB",
         chunks(b"5;ext=" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n"), (400, 431, CLOSED, 200), SHOULD,
         "RFC 9112 7.1.1", heads=1),
    # The suite would have 400 or silence. RFC 9110 section 15.5.14 has a code for it, and it is known
    # from the length alone, so that nobody has to wait for content that would not be taken.
    Case("MAL-POST-CL-HUGE-NO-BODY", "a length of 1 GB and no content", post(length(999999999)), (413, 400, CLOSED),
         MAY, "RFC 9110 15.5.14", heads=1),
    Case("MAL-RANGE-OVERLAPPING", "1000 ranges of the whole",
         get(b"Range: bytes=" + b",".join([b"0-"] * 1000) + b"\r\n"), (200, 206, 400, 416, 431, CLOSED), SHOULD,
         "RFC 9110 14.2"),
    # ---- bytes that stand nowhere -------------------------------------------------------------------
    Case("MAL-NUL-IN-URL", "a NUL in the target", get(target=b"/\0test"), DENIED, MUST, "RFC 3986 3.3"),
    Case("MAL-NON-ASCII-URL", "UTF-8 in the target", get(target=b"/caf\xc3\xa9"), DENIED, MUST, "RFC 3986 3.3"),
    Case("MAL-URL-OVERLONG-UTF8", "a slash in two bytes in the target", get(target=b"/\xc0\xaf"), DENIED, MUST,
         "RFC 3986 3.3"),
    Case("MAL-URL-BACKSLASH", "a backslash in the target", get(target=b"/path\\file"), (400, CLOSED, 200, 404), MUST,
         "RFC 3986 3.3"),
    # Well-formed by the grammar. Refused because what is decoded later would end a string or a line.
    Case("MAL-URL-PERCENT-NULL", "a NUL in percent encoding", get(target=b"/path%00.html"), (400, CLOSED, 200, 404),
         NONE, "RFC 3986 7.3"),
    Case("MAL-URL-PERCENT-CRLF", "a line end in percent encoding", get(target=b"/path%0d%0aX-Injected:%20true"),
         (400, CLOSED, 200, 404), NONE, "RFC 3986 7.3"),
    Case("MAL-NUL-IN-HEADER-VALUE", "a NUL in a field value", get(b"X-Test: a\0b\r\n"), (400, CLOSED, 200),
         MUST, "RFC 9110 5.5"),
    Case("MAL-CONTROL-CHARS-HEADER", "control characters in a field value", get(b"X-Test: a\x07\x08\x0bb\r\n"),
         (400, CLOSED, 200), MAY, "RFC 9110 5.5"),
    Case("MAL-NON-ASCII-HEADER-NAME", "UTF-8 in a field name", get(b"X-T\xc3\xabst: 1\r\n"), DENIED, MUST,
         "RFC 9110 5.1"),
    Case("MAL-CL-EMPTY", "an empty length", post(length(b"")), DENIED, MUST, "RFC 9110 8.6"),
    Case("MAL-CL-TAB-BEFORE-VALUE", "a tab before the length is no part of it",
         post(b"Content-Length:\t5\r\n", b"hello"), (200, 400, CLOSED), MAY, "RFC 9110 5.5", check=content(b"hello")),
    # ---- other names for framing fields -------------------------------------------------------------
    named("NORM-UNDERSCORE-CL", b"Content_Length: 99", NONE),
    named("NORM-SP-BEFORE-COLON-CL", b"Content-Length : 5", MUST, "RFC 9112 5.1"),
    named("NORM-TAB-IN-NAME", b"Content\tLength: 99"),
    named("NORM-CASE-TE", b"TRANSFER-ENCODING: chunked", MUST, "RFC 9112 6.3"),
    named("NORM-UNDERSCORE-TE", b"Transfer_Encoding: chunked", NONE),
    # ---- cookies, as far as the engine reads them: as values of fields -------------------------------
    cookie("COOK-OVERSIZED", "a cookie of 64 KB", b"big=" + b"A" * 65536, (431, 400, CLOSED, 200)),
    cookie("COOK-EMPTY", "an empty Cookie", b""),
    cookie("COOK-NUL", "a NUL in a cookie", b"a=\0b", level=MUST, first=400),
    cookie("COOK-CONTROL-CHARS", "control characters in a cookie", b"a=\1\2\3", level=MAY, first=400),
    cookie("COOK-MANY-PAIRS", "1000 cookies in one field", b"; ".join(b"k%d=v%d" % (i, i) for i in range(1000)),
           (200, 400, 431, CLOSED)),
    cookie("COOK-MALFORMED", "signs without names", b"===;;;"),
    Case("COOK-MULTI-HEADER", "two Cookie fields", get(b"Cookie: a=1\r\nCookie: b=2\r\n"), (200, 400), NONE,
         "RFC 9110 5.3"),
]
