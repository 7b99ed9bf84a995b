# SPDX-License-Identifier: MIT
"""Why the servers of differential.py differ, and why Gyr does what it does: (title, text, ids) in the
order of the page. Written by hand; differential.py complains when a case is missing here, or is here
without need."""

REASONS = [
    ("Where a line ends", """
RFC 9112 section 2.2 lets a recipient take a lone LF for the end of a line. nginx and h2o do; Gyr refuses,
as that section allows: an intermediary that does not see a line end there sees other fields than the
server behind it. One empty line before a request should be skipped; Gyr skips two, h2o one. A folded
value may be refused or unfolded (section 5.2): Gyr and nginx refuse it, since some read its second line
as a field.
""", ("RFC9112-2.2-BARE-LF-REQUEST-LINE", "RFC9112-2.2-BARE-LF-HEADER", "GARDEN-T16", "GARDEN-S19", "GARDEN-T14",
      "COMP-LEADING-CRLF", "RFC9112-5.1-OBS-FOLD")),
    ("The request line", """
Gyr takes one space between three parts and nothing else (RFC 9112 section 3); more is allowed to who wants
to be lenient. HTTP/0.9 is not spoken: an answer without a head can be made to look like anything. Of
versions it knows 1.0 and 1.1. A higher minor version should be read as 1.1 (RFC 9110 section 2.5), and here
Gyr departs from a SHOULD: none was ever published, so that 505 costs nobody, and what is sent to find out
what passes does not. h2o and nginx answer unknown methods because here they answer everything alike; Gyr
knows the methods of RFC 9110 and PATCH, and answers 501 to the rest, as section 9.1 has it.
h2o also speaks HTTP/2 on this port.
""", ("RFC9112-3-MULTI-SP-REQUEST-LINE", "RFC9112-2.3-HTTP09-REQUEST", "GARDEN-S9", "COMP-HTTP12-VERSION", "GARDEN-S5",
      "COMP-METHOD-CASE", "COMP-UNKNOWN-METHOD", "GARDEN-S6", "MAL-H2-PREFACE", "GARDEN-X1")),
    ("Methods that are not for everybody", """
CONNECT asks for a tunnel, and 200 says that there is one; TRACE repeats a request to whoever can make
a browser send it. Gyr refuses both with 405, names what it offers, and closes the connection, because what
follows CONNECT may be no HTTP. An expectation other than `100-continue` may be answered 417 (RFC 9110 section
10.1.1); Gyr does, since the client has said that it wants no other answer. A WebSocket of another version
gets 426 with the version that is spoken (RFC 6455 section 4.4); nginx and h2o have none here and ignore the
Upgrade, as they may.
""", ("COMP-METHOD-CONNECT", "COMP-METHOD-TRACE", "COMP-TRACE-WITH-BODY", "COMP-TRACE-SENSITIVE", "COMP-EXPECT-UNKNOWN",
      "COMP-UPGRADE-INVALID-VER")),
    ("Targets", """
Only bytes that RFC 3986 allows pass, and square brackets, which browsers send. A client has no business
sending a fragment; raw UTF-8 and backslashes are read as different paths by different servers.
Percent-encoded NUL and line ends are within the grammar. Gyr refuses them in paths because whoever decodes
the path later finds its string or its line ended; RFC 3986 section 7.3 warns of this, and no path that
people use has them. The asterisk stands for the server as a whole, for OPTIONS alone (RFC 9112 section
3.2.4).
""", ("RFC9112-3.2-FRAGMENT-IN-TARGET", "GARDEN-S7", "MAL-NON-ASCII-URL", "MAL-URL-OVERLONG-UTF8", "MAL-URL-BACKSLASH",
      "MAL-URL-PERCENT-NULL", "MAL-URL-PERCENT-CRLF", "COMP-ASTERISK-WITH-GET", "COMP-OPTIONS-STAR")),
    ("Which host", """
A request of HTTP/1.1 has one valid Host, or is answered 400 (RFC 9112 section 3.2): a cache and the server
behind it must not find two. An absolute form overrides Host by section 3.2.2; Gyr demands that the two agree,
which every honest client fulfils, because not all that stand in front obey that section.
""", ("RFC9112-7.1-MISSING-HOST", "RFC9110-5.4-DUPLICATE-HOST", "COMP-DUPLICATE-HOST-SAME", "COMP-HOST-WITH-USERINFO",
      "COMP-HOST-WITH-PATH", "COMP-HOST-EMPTY-VALUE", "SMUG-MULTIPLE-HOST-COMMA", "SMUG-ABSOLUTE-URI-HOST-MISMATCH")),
    ("Names and values of fields", """
A field name is a token (RFC 9110 section 5.1). nginx drops lines whose name it does not like and goes on; a
server in front may not have dropped them. Control characters in values may be kept for robustness (section 5.5);
Gyr keeps none but the tab. A name with an underscore is a token like any other. `Content_Length` and
`Transfer_Encoding` are refused nevertheless: what maps names to variables, as CGI does, cannot tell them from
the real ones.
""", ("RFC9112-5-INVALID-HEADER-NAME", "RFC9112-5-HEADER-NO-COLON", "MAL-NON-ASCII-HEADER-NAME", "GARDEN-S8", "GARDEN-S20",
      "GARDEN-T6", "GARDEN-S37", "MAL-CONTROL-CHARS-HEADER", "COOK-CONTROL-CHARS", "NORM-UNDERSCORE-CL",
      "NORM-UNDERSCORE-TE", "SMUG-TRANSFER_ENCODING")),
    ("Lengths", """
Two lengths that differ must be refused (RFC 9112 section 6.3). Leading zeros are within the grammar of RFC 9110
section 8.6; some read them as octal, no client sends them, and Gyr refuses them. White space round a value is no
part of it (section 5.5), so a space behind a length and a tab before it are taken, where h2o and nginx each
refuse one of the two.
""", ("SMUG-DUPLICATE-CL", "SMUG-DUPLICATE-CL-SMUGGLED-GET", "GARDEN-S23", "GARDEN-S33", "GARDEN-T22",
      "SMUG-CL-LEADING-ZEROS", "SMUG-CL-LEADING-ZEROS-OCTAL", "SMUG-CL-DOUBLE-ZERO", "GARDEN-S32",
      "SMUG-CL-TRAILING-SPACE", "MAL-CL-TAB-BEFORE-VALUE")),
    ("Length and chunked at once", """
RFC 9112 section 6.1 lets a server refuse such a request, or read it as chunked and then close the connection,
which it must. h2o reads it as chunked and goes on, so that a request that only the length counted is answered
as the next one. Gyr and nginx refuse. `chunked` in two fields is `chunked` applied twice, which no sender may do;
h2o takes it for once.
""", ("SMUG-CL-TE-BOTH", "SMUG-CLTE-PIPELINE", "SMUG-TECL-PIPELINE", "SMUG-CLTE-CONN-CLOSE", "SMUG-TECL-CONN-CLOSE",
      "SMUG-CLTE-DESYNC", "SMUG-TECL-DESYNC", "SMUG-CLTE-SMUGGLED-GET", "SMUG-CLTE-SMUGGLED-HEAD",
      "SMUG-CLTE-SMUGGLED-GET-CL-PLUS", "SMUG-CLTE-SMUGGLED-GET-CL-NON-NUMERIC",
      "SMUG-CLTE-SMUGGLED-GET-TE-CASE-MISMATCH", "SMUG-TECL-SMUGGLED-GET", "GARDEN-T23", "GARDEN-S11", "GARDEN-T25")),
    ("Chunks", """
The size is hexadecimal digits and nothing else (RFC 9112 section 7.1). h2o 2.2 takes the digits that it finds and
skips the rest of the line, nginx skips what follows a semicolon or a space. Gyr reads extensions by their
grammar and limits them, since what one server skips is where another sees a line end (CVE-2025-55315). Each
line ends with CRLF; Gyr also does without the white space that section 7.1.1 would have skipped.
""", ("SMUG-CHUNK-HEX-PREFIX", "GARDEN-S1", "GARDEN-S22", "SMUG-CHUNK-SIZE-TRAILING-OWS", "SMUG-CHUNK-BARE-SEMICOLON",
      "SMUG-CHUNK-EXT-INVALID-TOKEN", "SMUG-CHUNK-EXT-LF", "SMUG-CHUNK-EXT-CTRL", "SMUG-CHUNK-EXT-CR", "GARDEN-S31",
      "SMUG-CHUNK-LF-TERM", "GARDEN-T13", "SMUG-CHUNK-LF-TRAILER")),
    ("Trailers", """
Fields that decide about framing, routing, authority or content must not stand in a trailer (RFC 9110 section 6.5.1).
Dropping them, as nginx and h2o do with every trailer, is right. Gyr refuses them: no honest client sends them,
and a server behind may merge what it passes on.
""", ("SMUG-TRAILER-CL", "SMUG-TRAILER-TE", "SMUG-TRAILER-HOST", "SMUG-TRAILER-AUTH", "SMUG-TRAILER-CONTENT-TYPE")),
    ("Sizes and times", """
No section sets a limit; each server has its own, and h2o applies its to what has not come in one piece. Gyr's are
exact to the byte: `head_size_max`, `target_size_max` and `field_count_max` of the configuration, and 16 KB of
extensions and trailers in a body. Content that never comes ends in 408 after `body_timeout_ms`; nginx has
answered before it waits, h2o closes without a word.
""", ("MAL-LONG-URL", "MAL-LONG-METHOD", "MAL-LONG-HEADER-VALUE", "MAL-LONG-HEADER-NAME", "COOK-OVERSIZED",
      "COOK-MANY-PAIRS", "MAL-CHUNK-EXT-64K", "COMP-POST-CL-UNDERSEND", "COMP-CHUNKED-NO-FINAL")),
]
