# SPDX-License-Identifier: MIT
"""Cases named SMUG of the public suite Http11Probe (MDA2AV, MIT), restated: requests of which two
servers in a row could see the end at two places. What is refused must end the connection, and
nothing behind it may be handled; run.py sends a further request behind every case.

Where the suite sends a second request only after the first answer, run.py does so for every case."""

from case import (CHUNKED, CLOSE, CLOSED, HOST, MAY, MUST, NONE, SHOULD, Case, chunks, coding, content,
                  get, length, post)

DENIED = (400, CLOSED)
LENIENT = (400, CLOSED, 200)  # RFC 9112 lets a server read it in the one way that it defines
FIVE = length(5)
SMUGGLED = get()


def both(first, second, body=b"hello"):
    return post(first + second, body)


def poison(fields, body, method=b"GET"):
    """A POST in whose content, or behind it, a whole further request lies. `%d` in a field becomes the
    size of it all."""
    inner = body + get(method=method)
    return post(fields.replace(b"%d", b"%d" % len(inner)), inner)


def tecl_poison():
    inner = get(length(7))
    size = b"%x" % len(inner)
    return post(CHUNKED + length(len(size) + 2), size + b"\r\n" + inner + b"\r\n0\r\n\r\n")


def prefix_poison():
    inner = b"GET / HTTP/1.1\r\n" + HOST
    return get(length(len(inner))) + inner + b"\r\n"


def trailer(field):
    return chunks(b"5\r\nhello\r\n0\r\n" + field + b"\r\n\r\n")


def chunk(name, what, body, right=DENIED, level=MUST, section="RFC 9112 7.1"):
    """A bad body is refused after its head was read."""
    return Case(name, what, chunks(body), right, level, section, heads=1)


CASES = [
    # ---- Content-Length -----------------------------------------------------------------------------
    Case("SMUG-DUPLICATE-CL", "two lengths", both(FIVE, length(10), b"helloworld"), DENIED, MUST, "RFC 9110 8.6"),
    Case("SMUG-CL-LEADING-ZEROS", "length 005", post(length(b"005"), b"hello"), LENIENT, SHOULD, "RFC 9110 8.6"),
    Case("SMUG-CL-LEADING-ZEROS-OCTAL", "length 0200, which is 128 to who reads octal",
         post(length(b"0200"), b"A" * 200), LENIENT, SHOULD, "RFC 9110 8.6"),
    Case("SMUG-CL-DOUBLE-ZERO", "length 00", post(length(b"00")), LENIENT, SHOULD, "RFC 9110 8.6"),
    Case("SMUG-CL-NEGATIVE", "length -1", post(length(b"-1")), DENIED, MUST, "RFC 9110 8.6"),
    Case("SMUG-CL-NEGATIVE-ZERO", "length -0", post(length(b"-0")), DENIED, MUST, "RFC 9110 8.6"),
    Case("SMUG-CL-TRAILING-SPACE", "a space behind the length is no part of it", post(length(b"5 "), b"hello"),
         (200, 400, CLOSED), MUST, "RFC 9110 5.5", check=content(b"hello")),
    Case("SMUG-CL-EXTRA-LEADING-SP", "two spaces before the length", post(length(b" 5"), b"hello"),
         (200, 400, CLOSED), MUST, "RFC 9110 5.5", check=content(b"hello")),
    Case("SMUG-CL-COMMA-DIFFERENT", "a list of two lengths", post(length(b"5, 10"), b"hello"), DENIED, MUST,
         "RFC 9110 8.6"),
    Case("SMUG-CL-COMMA-SAME", "the same length twice in a list", post(length(b"5, 5"), b"hello"), LENIENT, MAY,
         "RFC 9110 8.6"),
    Case("SMUG-CL-COMMA-TRIPLE", "the same length three times in a list", post(length(b"5, 5, 5"), b"hello"),
         LENIENT, MAY, "RFC 9110 8.6"),
    Case("SMUG-CL-OCTAL", "length 0o5", post(length(b"0o5"), b"hello"), DENIED, MUST, "RFC 9110 8.6"),
    Case("SMUG-CL-HEX-PREFIX", "length 0x5", post(length(b"0x5"), b"hello"), DENIED, MUST, "RFC 9110 8.6"),
    Case("SMUG-CL-INTERNAL-SPACE", "length 1 0", post(length(b"1 0"), b"hello12345"), DENIED, MUST, "RFC 9110 8.6"),
    Case("SMUG-CL-UNDERSCORE", "length 1_0", post(length(b"1_0"), b"helloworld"), DENIED, MUST, "RFC 9110 8.6"),
    # ---- Transfer-Encoding --------------------------------------------------------------------------
    Case("SMUG-CL-TE-BOTH", "length and chunked",
         post(length(23) + CHUNKED, b"D\r\nhello-bananas\r\n0\r\n\r\n"), LENIENT, SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-TE-XCHUNKED", "a coding that only looks like chunked", both(coding(b"xchunked"), FIVE),
         (501, 400, CLOSED), SHOULD, "RFC 9112 6.1", ends=True),
    Case("SMUG-TE-TRAILING-SPACE", "a space behind chunked, and a length", both(coding(b"chunked "), FIVE), DENIED,
         SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-TE-SP-BEFORE-COLON", "a space before the colon, and a length",
         both(b"Transfer-Encoding : chunked\r\n", FIVE), DENIED, MUST, "RFC 9112 5.1", ends=True),
    Case("SMUG-TE-DOUBLE-CHUNKED", "chunked twice, and a length", both(coding(b"chunked, chunked"), FIVE), DENIED,
         MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-TE-CASE-MISMATCH", "Chunked in title case, and a length", both(coding(b"Chunked"), FIVE), DENIED,
         SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-TE-NOT-FINAL-CHUNKED", "a coding behind chunked", post(coding(b"chunked, gzip"), b"0\r\n\r\n"),
         DENIED, MUST, "RFC 9112 6.3"),
    Case("SMUG-TE-HTTP10", "chunked over HTTP/1.0, and a length", post(CHUNKED + FIVE, b"hello", version=b"HTTP/1.0"),
         DENIED, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-TE-EMPTY-VALUE", "an empty coding, and a length", both(coding(b""), FIVE), DENIED, MUST,
         "RFC 9112 6.1", ends=True),
    Case("SMUG-TE-LEADING-COMMA", "a comma before chunked, and a length", both(coding(b", chunked"), FIVE), DENIED,
         SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-TE-TRAILING-COMMA", "a comma behind chunked, and a length", both(coding(b"chunked,"), FIVE), DENIED,
         SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-TE-DUPLICATE-HEADERS", "chunked and identity in two fields, and a length",
         both(CHUNKED + coding(b"identity"), FIVE), DENIED, MUST, "RFC 9112 6.3", ends=True),
    Case("SMUG-TE-VTAB", "a vertical tab before chunked", both(coding(b"\x0bchunked"), FIVE), DENIED, MUST,
         "RFC 9110 5.5", ends=True),
    Case("SMUG-TE-FORMFEED", "a form feed before chunked", both(coding(b"\x0cchunked"), FIVE), DENIED, MUST,
         "RFC 9110 5.5", ends=True),
    Case("SMUG-TE-NULL", "a NUL behind chunked", both(coding(b"chunked\0"), FIVE), DENIED, MUST, "RFC 9110 5.5",
         ends=True),
    Case("SMUG-TE-IDENTITY", "identity, which is gone since RFC 7230, and a length", both(coding(b"identity"), FIVE),
         (501, 400, CLOSED), MUST, "RFC 9112 7", ends=True),
    Case("SMUG-TRANSFER_ENCODING", "an underscore in the name, and a length",
         both(b"Transfer_Encoding: chunked\r\n", FIVE), LENIENT, NONE, "RFC 9112 6.1"),
    Case("SMUG-CHUNKED-WITH-PARAMS", "chunked with a parameter, and a length", both(coding(b"chunked;ext=val"), FIVE),
         DENIED, MUST, "RFC 9112 7", ends=True),
    Case("SMUG-TE-OBS-FOLD", "chunked in a folded line, and a length",
         both(b"Transfer-Encoding:\r\n chunked\r\n", FIVE), DENIED, MUST, "RFC 9112 5.2", ends=True),
    Case("SMUG-TE-TAB-BEFORE-VALUE", "a tab before chunked, and a length",
         both(b"Transfer-Encoding:\tchunked\r\n", FIVE), DENIED, SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-BARE-CR-HEADER-VALUE", "a CR in a field value", post(FIVE + b"X-Test: a\rb\r\n", b"hello"), DENIED,
         MUST, "RFC 9112 2.2"),
    # ---- chunks -------------------------------------------------------------------------------------
    chunk("SMUG-CHUNK-BARE-SEMICOLON", "an extension without a name", b"5;\r\nhello\r\n0\r\n\r\n",
          section="RFC 9112 7.1.1"),
    chunk("SMUG-CHUNK-EXT-INVALID-TOKEN", "a bracket in the name of an extension",
          b"5;bad[=x\r\nhello\r\n0\r\n\r\n", section="RFC 9112 7.1.1"),
    chunk("SMUG-CHUNK-EXT-LF", "LF alone ends the extension", b"5;\nhello\r\n0\r\n\r\n", LENIENT, MAY,
          "RFC 9112 7.1.1"),
    chunk("SMUG-CHUNK-EXT-CTRL", "a NUL in an extension", b"5;\0ext\r\nhello\r\n0\r\n\r\n",
          section="RFC 9112 7.1.1"),
    chunk("SMUG-CHUNK-EXT-CR", "a CR in an extension", b"5;a\rX\r\nhello\r\n0\r\n\r\n", section="RFC 9112 7.1.1"),
    chunk("SMUG-CHUNK-UNDERSCORE", "size 1_0", b"1_0\r\nhello world!!!!!\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-HEX-PREFIX", "size 0x5", b"0x5\r\nhello\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-SIZE-PLUS", "size +5", b"+5\r\nhello\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-NEGATIVE", "size -1", b"-1\r\nhello\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-SIZE-TRAILING-OWS", "a space behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-LEADING-SP", "a space before the size", b" 5\r\nhello\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-MISSING-TRAILING-CRLF", "no line end behind the data", b"5\r\nhello0\r\n\r\n"),
    chunk("SMUG-CHUNK-SPILL", "two bytes more than the size says", b"5\r\nhello!!\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-LF-TERM", "LF alone behind the data", b"5\r\nhello\n0\r\n\r\n", LENIENT, MAY, "RFC 9112 2.2"),
    chunk("SMUG-CHUNK-LF-TRAILER", "LF alone ends the body", b"5\r\nhello\r\n0\r\n\n", LENIENT, MAY, "RFC 9112 2.2"),
    chunk("SMUG-CHUNK-BARE-CR-TERM", "CR alone behind the size", b"5\rhello\r\n0\r\n\r\n"),
    chunk("SMUG-CHUNK-INVALID-SIZE-DESYNC", "size +0 and a byte behind it", b"+0\r\n\r\nX"),
    # ---- trailers that would have decided something as fields of the head ---------------------------
    Case("SMUG-TRAILER-CL", "a length in a trailer", trailer(b"Content-Length: 50"), LENIENT, MAY,
         "RFC 9110 6.5.1", heads=1),
    Case("SMUG-TRAILER-TE", "a coding in a trailer", trailer(b"Transfer-Encoding: chunked"), LENIENT, MAY,
         "RFC 9110 6.5.1", heads=1),
    Case("SMUG-TRAILER-HOST", "Host in a trailer", trailer(b"Host: evil.example"), LENIENT, MAY,
         "RFC 9110 6.5.1", heads=1),
    Case("SMUG-TRAILER-AUTH", "credentials in a trailer", trailer(b"Authorization: Bearer evil"), LENIENT, MAY,
         "RFC 9110 6.5.1", heads=1),
    Case("SMUG-TRAILER-CONTENT-TYPE", "a type in a trailer", trailer(b"Content-Type: text/evil"), LENIENT, MAY,
         "RFC 9110 6.5.1", heads=1),
    # ---- content of methods that have none ----------------------------------------------------------
    Case("SMUG-HEAD-CL-BODY", "HEAD with content", get(FIVE, method=b"HEAD") + b"hello", (200, 400, CLOSED), MAY,
         "RFC 9110 9.3.2", no_body=True),
    Case("SMUG-OPTIONS-CL-BODY", "OPTIONS with content", get(FIVE, method=b"OPTIONS") + b"hello",
         (204, 200, 400, CLOSED), MAY, "RFC 9110 9.3.7"),
    Case("SMUG-OPTIONS-CL-BODY-DESYNC", "OPTIONS with content that looks like the start of a request",
         get(FIVE, method=b"OPTIONS") + b"GET /", (204, 200, 400, CLOSED), MUST, "RFC 9112 6.3"),
    Case("SMUG-GET-CL-BODY-DESYNC", "GET with content that looks like the start of a request",
         get(FIVE) + b"GET /", (200, 400, CLOSED), MUST, "RFC 9112 6.3"),
    Case("SMUG-GET-CL-PREFIX-DESYNC", "GET whose content is a request without its end", prefix_poison(),
         (200, 400, CLOSED), MUST, "RFC 9112 6.3"),
    Case("SMUG-OPTIONS-TE-OBS-FOLD", "OPTIONS with chunked in a folded line, and a length",
         get(b"Transfer-Encoding:\r\n chunked\r\n" + FIVE, method=b"OPTIONS") + b"hello", DENIED, MUST,
         "RFC 9112 5.2", ends=True),
    Case("SMUG-EXPECT-100-CL", "content that does not wait for 100 Continue",
         post(FIVE + b"Expect: 100-continue\r\n", b"hello"), (200, 400, 417, CLOSED), MAY, "RFC 9110 10.1.1",
         interim=True, check=content(b"hello")),
    Case("SMUG-EXPECT-100-CL-DESYNC", "content that does not wait and looks like the start of a request",
         post(FIVE + b"Expect: 100-continue\r\n", b"GET /"), (200, 400, 417, CLOSED), MUST, "RFC 9112 6.3",
         interim=True, check=content(b"GET /")),
    # What follows content of no bytes is the next request, whatever it is.
    Case("SMUG-CL0-BODY-POISON", "a byte behind a length of 0 belongs to the next request", post(length(0), b"X"),
         (200, 400, CLOSED), MUST, "RFC 9112 6.3", after=CLOSE, then=(501,), heads=1, check=content(b"")),
    # ---- which host ---------------------------------------------------------------------------------
    # RFC 9112 section 3.2.2 would have the absolute form win. A request that names two hosts is routed
    # differently by whoever does not, so that it is refused.
    Case("SMUG-ABSOLUTE-URI-HOST-MISMATCH", "an absolute form of another host than Host",
         get(target=b"http://other.example/"), (400, CLOSED, 200, 421), MUST, "RFC 9112 3.2.2"),
    Case("SMUG-MULTIPLE-HOST-COMMA", "two hosts in one Host", get(host=b"Host: localhost, other.example\r\n"), DENIED,
         MUST, "RFC 9112 3.2"),
    # ---- a further request behind, or within ----------------------------------------------------------
    Case("SMUG-PIPELINE-SAFE", "two plain requests", get(), (200,), MUST, "RFC 9112 9.3.2"),
    Case("SMUG-CLTE-PIPELINE", "length 4 and a chunked body of 5 bytes", both(length(4), CHUNKED, b"0\r\n\r\n"),
         LENIENT, SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-TECL-PIPELINE", "a chunked body of 5 bytes and length 30", both(CHUNKED, length(30), b"0\r\n\r\n"),
         LENIENT, SHOULD, "RFC 9112 6.3", ends=True),
    Case("SMUG-CLTE-CONN-CLOSE", "length and chunked agree: the connection ends nevertheless",
         both(FIVE, CHUNKED, b"0\r\n\r\n"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-TECL-CONN-CLOSE", "chunked and length agree: the connection ends nevertheless",
         both(CHUNKED, FIVE, b"0\r\n\r\n"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-CLTE-DESYNC", "a byte that only the length counts", both(length(6), CHUNKED, b"0\r\n\r\nX"), LENIENT,
         MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-TECL-DESYNC", "a byte that only the length counts, which says 30",
         both(CHUNKED, length(30), b"0\r\n\r\nX"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-CLTE-SMUGGLED-GET", "a GET that only the length counts",
         poison(length(b"%d") + CHUNKED, b"0\r\n\r\n"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-CLTE-SMUGGLED-HEAD", "a HEAD that only the length counts",
         poison(length(b"%d") + CHUNKED, b"0\r\n\r\n", b"HEAD"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-CLTE-SMUGGLED-GET-CL-PLUS", "the same with a plus sign", poison(length(b"+%d") + CHUNKED, b"0\r\n\r\n"),
         LENIENT, MUST, "RFC 9110 8.6", ends=True),
    Case("SMUG-CLTE-SMUGGLED-GET-CL-NON-NUMERIC", "the same with a letter behind the length",
         poison(length(b"%dx") + CHUNKED, b"0\r\n\r\n"), LENIENT, MUST, "RFC 9110 8.6", ends=True),
    Case("SMUG-CLTE-SMUGGLED-GET-TE-OBS-FOLD", "the same with chunked in a folded line",
         poison(b"Transfer-Encoding:\r\n chunked\r\n" + length(b"%d"), b"0\r\n\r\n"), LENIENT, MUST, "RFC 9112 5.2",
         ends=True),
    Case("SMUG-CLTE-SMUGGLED-GET-TE-TRAILING-SPACE", "the same with a space behind chunked",
         poison(length(b"%d") + coding(b"chunked "), b"0\r\n\r\n"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-CLTE-SMUGGLED-GET-TE-LEADING-COMMA", "the same with a comma before chunked",
         poison(length(b"%d") + coding(b", chunked"), b"0\r\n\r\n"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-CLTE-SMUGGLED-GET-TE-CASE-MISMATCH", "the same with Chunked in title case",
         poison(length(b"%d") + coding(b"Chunked"), b"0\r\n\r\n"), LENIENT, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-TE-DUPLICATE-HEADERS-SMUGGLED-GET", "the same with chunked and identity",
         poison(CHUNKED + coding(b"identity") + length(b"%d"), b"0\r\n\r\n"), DENIED, MUST, "RFC 9112 6.1", ends=True),
    Case("SMUG-TECL-SMUGGLED-GET", "a GET in a chunk, where the length would end", tecl_poison(), LENIENT, MUST,
         "RFC 9112 6.1", ends=True),
    Case("SMUG-DUPLICATE-CL-SMUGGLED-GET", "a GET that only the second of two lengths counts",
         poison(length(4) + length(b"%d"), b"PING"), DENIED, MUST, "RFC 9110 8.6"),
]
