# SPDX-License-Identifier: MIT
"""The bugs that the HTTP Garden (narfindustries) has found in servers (S) and in intermediaries (T),
and by the way (B), by their numbers in its list of trophies: a request for each, restated so that only
the flaw in question decides, and the answer that is right.

Left out are those without a request of their own (B1, B2, B5: a crash on whatever comes) and those
of HTTP/2, of which only the preface is left (X1, X2); the list has no T8."""

from case import (CHUNKED, CLOSE, CLOSE_FIELD, CLOSED, HOST, MAY, MUST, NONE, SHOULD, Case, chunks, coding,
                  content, get, length, line, post)

DENIED = (400, CLOSED)
LENIENT = (400, CLOSED, 200)
FIVE = length(5)
INNER = get(target=b"/stats")  # what would be handled if the flaw were there
LAST = b"0\r\n\r\n"
EVERY_BAD_BYTE = bytes([*range(0, 10), 11, 12, *range(14, 33)]) + b'"(),/;<=>?@[]{}\\\x7f'


def no(number, what, send, level=MUST, section="RFC 9112 5", right=DENIED, **more):
    return Case(f"GARDEN-{number}", what, send, right, level, section, **more)


def no_chunk(number, what, body, level=MUST, section="RFC 9112 7.1", right=DENIED):
    return Case(f"GARDEN-{number}", what, chunks(body), right, level, section, heads=1)


SERVERS = [
    no_chunk("S1", "an underscore in a chunk size, and a request where it would end",
             b"0_2e\r\n\r\n" + post(FIVE) + LAST),
    no("S2", "NUL and CR in a field value", get(b"X-Test: a\0\rb\r\n"), section="RFC 9110 5.5", right=LENIENT),
    no("S3", "a space behind the name of a length", get(b"Content-Length : %d\r\n" % len(INNER)) + INNER,
       section="RFC 9112 5.1"),
    no("S4", "a tab before the first field name", b"GET / HTTP/1.1\r\n\tContent-Length: 1\r\n" + HOST + b"\r\nX",
       section="RFC 9112 2.2"),
    no("S5", "HTTP/1.32", get(version=b"HTTP/1.32"), section="RFC 9112 2.3"),
    no("S6", "delimiters in a method", get(method=b'G=":<>(e),[T];?"'), section="RFC 9110 9.1"),
    no("S7", "a target of no form", get(target=b"!"), section="RFC 9112 3.2"),
    no("S8", "a byte beyond ASCII before a field name", get(b"\xefname: 1\r\n"), section="RFC 9110 5.1"),
    no("S9", "LF between target and version", b"GET /\nHTTP/1.1\r\n" + HOST + b"\r\n", section="RFC 9112 3"),
    no("S10", "length +1_0", get(length(b"+1_0")) + b"0123456789", section="RFC 9110 8.6"),
    no("S11", "chunked in two fields", post(CHUNKED + CHUNKED, b"1\r\nZ\r\n" + LAST), SHOULD, section="RFC 9112 6.1"),
    no("S12", "no-break spaces round chunked", post(coding(b"\xa0chunked\xa0"), LAST), section="RFC 9112 6.1",
       right=(400, 501, CLOSED)),
    no("S13", "CR where a line would end, and a field behind it", get(b"X-Test: 1\rX-Smuggled: 1\r\n"),
       section="RFC 9112 2.2"),
    no("S14", "every byte of ASCII that is in no field name", get(EVERY_BAD_BYTE + b": 1\r\n"), section="RFC 9110 5.1"),
    no("S15", "CRs in the version", get(version=b"HTTP/\r\r1.1"), section="RFC 9112 2.3"),
    no("S16", "an empty length with GET", get(length(b"")), section="RFC 9110 8.6"),
    no_chunk("S17", "an empty chunk size", b"\r\n\r\n"),
    no("S18", "an empty field name first", get(host=b": 1\r\n" + HOST)),
    no("S19", "LF for white space before a value, and a request behind it",
       b"GET / HTTP/1.1\r\n" + HOST + b"X-Test:\n\n" + INNER, MAY, "RFC 9112 2.2", LENIENT),
    no("S20", "a byte beyond ASCII behind the name of a length", get(b"Content-Length\x85: 10\r\n") + b"0123456789",
       section="RFC 9110 5.1"),
    no("S21", "chunked behind a comma, and a length", get(coding(b",chunked") + FIVE) + LAST, SHOULD, "RFC 9112 6.3",
       LENIENT, ends=True),
    no_chunk("S22", "a size that begins well, and a request where its beginning would end",
             b"0_2e\r\n\r\n" + post(FIVE) + LAST),
    no("S23", "lengths 1 and 0", get(length(1) + length(0)) + b"Z", section="RFC 9110 8.6"),
    no("S24", "a version whose numbers wrap round to 1.1", get(version=b"HTTP/4294967297.257"),
       section="RFC 9112 2.3"),
    no_chunk("S25", "size -0x0", b"-0x0\r\n\r\n"),
    no("S26", "length -48", get(length(b"-48")), section="RFC 9110 8.6"),
    no("S27", "a field with neither name nor value", get(b":\r\nX-Test: 1\r\n")),
    no("S28", "a space for the colon of a length", get(b"Content-Length 10\r\n") + b"0123456789"),
    no("S29", "length 1Z", get(length(b"1Z")) + b"Z", section="RFC 9110 8.6"),
    no("S30", "CR and another byte where the head would end", b"GET / HTTP/1.1\r\n" + HOST + b"\rZ" + INNER,
       section="RFC 9112 2.2"),
    no_chunk("S31", "CR twice behind a size", b"5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n" + post(FIVE) + LAST),
    no("S32", "length 010, which is 8 to who reads octal", get(length(b"010")) + b"01234567", SHOULD, "RFC 9110 8.6",
       LENIENT),
    no("S33", "lengths 0 and 1", get(length(0) + length(1)) + b"Z", section="RFC 9110 8.6"),
    no("S34", "CR in a field value", get(b"X-Test: a\rb\r\n"), section="RFC 9112 2.2"),
    no("S35", "NUL in a field value, and a field that counts behind it", get(b"X-Test: a\0b\r\n" + CLOSE_FIELD),
       section="RFC 9110 5.5"),
    no_chunk("S36", "CR twice in an extension, and a request behind it",
             b"41;a=b\r\r" + b"x" * 65 + b"\r\n0\r\n\r\n" + post(length(412)) + LAST, section="RFC 9112 7.1.1"),
    no("S37", "a field name in two lines", post(b"Transfer-\r\nEncoding: chunked\r\n" + FIVE, LAST)),
    no("S38", "an empty length, and a request behind it", get(length(b"")) + INNER, section="RFC 9110 8.6"),
    # The trailer is a well-formed field, so that all of it is one request.
    no("S39", "a trailer that looks like a request behind two bytes",
       chunks(b"0\r\nX:POST / HTTP/1.1\r\n\r\n"), section="RFC 9112 7.1.2", right=(200, 400, CLOSED),
       check=content(b"")),
    no("S40", "neither method nor version", line(b"\0 / HTTP/............0596.7407."), section="RFC 9112 3"),
    no("S41", "bytes beyond ASCII round a value belong to it", get(b"X-User: \x85admin\xa0\r\n"), MAY, "RFC 9110 5.5",
       (200, 400, CLOSED)),
    no("S42", "an empty length and another", get(length(b"") + length(len(INNER))) + INNER, section="RFC 9110 8.6"),
    no("S43", "NUL at the end of a value", get(b"X-Test: evil\0\r\n"), section="RFC 9110 5.5"),
    no("S44", "a coding that nobody knows", post(coding(b"blegh"), b"1\r\nZ\r\n" + LAST), SHOULD, "RFC 9112 6.1",
       (501, 400, CLOSED)),
    no("S45", "noise behind a last request does not keep its answer away", get(CLOSE_FIELD) + b"noise\r\n\r\n",
       section="RFC 9112 9.6", right=(200,), after=CLOSE),
    no("S46", "bytes beyond ASCII round Host and chunked",
       post(coding(b"\xffchunked\xff"), b"1\r\nZ\r\n" + LAST, host=b"Host: \xfflocalhost\xff\r\n"),
       section="RFC 9112 3.2", right=(400, 501, CLOSED)),
    no_chunk("S47", "a line that is no size, and a request behind it", b"noise!\r\n" + INNER),
    no("S48", "three requests at once, each of its own length",
       post(length(0)) + post(length(len(INNER)), INNER), section="RFC 9112 6.3", right=(200,), then=(200,), heads=2,
       check=content(b"")),
]

INTERMEDIARIES = [
    no("T1", "length 0x10", post(length(b"0x10"), b"Z"), section="RFC 9110 8.6"),
    no_chunk("T2", "letters for sizes", b"Z\r\nZZ\r\nZZZ\r\n\r\n"),
    no_chunk("T3", "CR twice between size and extension, and a request behind it",
             b"2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n" + post(length(430)) + LAST),
    no_chunk("T4", "CR and another byte behind a size", b"1\r0\n"),
    no("T5", "an empty length in lower case", get(b"content-length: \r\n"), section="RFC 9110 8.6"),
    no("T6", "a byte beyond ASCII at the end of a field name", get(b"X-Test\x85: 1\r\n"), section="RFC 9110 5.1"),
    no_chunk("T7", "letters behind a size", b"1and-more\r\nZ\r\n0\r\n\r\n"),
    no("T9", "chunked behind a comma", post(coding(b",chunked"), LAST), MAY, "RFC 9110 5.6.1", (400, CLOSED, 200, 501)),
    no("T10", "CRs in a field value", get(b"X-Test: this\rvalue\ris\rnone\r\n"), section="RFC 9112 2.2"),
    no("T11", "an empty length before another, in lower case",
       get(b"content-length: \r\ncontent-length: %d\r\n" % len(INNER)) + INNER, section="RFC 9110 8.6"),
    no("T12", "NUL in Host", get(host=b"Host: localhost\0.other.example\r\n"), section="RFC 9112 3.2"),
    no_chunk("T13", "LF alone behind the data", b"a\r\n0123456789\n0\r\n\r\n", MAY, "RFC 9112 2.2", LENIENT),
    no("T14", "a field name that LF cuts in two", get(b"X-Te\nst: 1\r\n")),
    no("T15", "chunked behind a comma, a length, and a body that ends at neither",
       get(coding(b",chunked") + FIVE + CLOSE_FIELD) + b"0r\n\r\n", SHOULD, "RFC 9112 6.3", ends=True),
    no("T16", "LF alone for every line end", b"GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n", MAY,
       "RFC 9112 2.2", LENIENT),
    no_chunk("T17", "an empty line before the last chunk, and a request within the first",
             b"17\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n\r\n0\r\n\r\n"),
    no("T18", "chunked behind a comma, and a length, with POST", post(coding(b",chunked") + FIVE, LAST), SHOULD,
       "RFC 9112 6.3", LENIENT, ends=True),
    no_chunk("T19", "size +0x0", b"+0x0\r\n\r\n"),
    no("T20", "a name with NUL and no colon", get(b"a:b\r\nc\0\r\n")),
    no("T21", "content of GET is content", get(length(10)) + b"1234567890", section="RFC 9112 6.3",
       right=(200, 400, CLOSED)),
    no("T22", "lengths 0 and that of a request behind it", post(length(0) + length(len(INNER)), INNER),
       section="RFC 9110 8.6"),
    no("T23", "length and chunked", post(FIVE + CHUNKED, LAST), SHOULD, "RFC 9112 6.3", LENIENT, ends=True),
    no_chunk("T24", "spaces before a size", b" " * 11 + b"0\r\n\r\n"),
    no("T25", "chunked in two fields, and only the last chunk", post(CHUNKED + CHUNKED, LAST), SHOULD,
       section="RFC 9112 6.1"),
]

FURTHER = [
    no("B3", "a NUL behind a chunked request is of the next one", chunks(LAST + b"\0"), section="RFC 9112 3",
       right=(200, 400, CLOSED), after=CLOSE, then=(400,), heads=1, check=content(b"")),
    no("B4", "chunks are not sent back before the answer", chunks(b"1\r\nZ\r\n" + LAST), section="RFC 9112 9.3",
       right=(200,), check=content(b"Z")),
    no("X1", "the preface of HTTP/2 and frames",
       b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\x08\1\5\0\0\0\1\x82\x84\x86\x41\x01\x61\0\0", NONE,
       "RFC 9110 15.6.6", (505, 400, CLOSED)),
]

CASES = SERVERS + INTERMEDIARIES + FURTHER
