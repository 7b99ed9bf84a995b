# SPDX-License-Identifier: MIT
"""Files of a real folder below /files/: with curl and on raw sockets."""

import contextlib
import email.utils
import gzip
import hashlib
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from kit import (DEADLINE, MODE, Server, Skip, command, equal, eventually, expect, in_thread, request, run, shorten,
                 test)

LARGE = random.Random(1).randbytes(3_000_017)
GIB = 1 << 30


def make_folder(base):
    """The folder that is served, and beside it what must never be."""
    folder = base / "public"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "bare").mkdir()
    (base / "secret.txt").write_text("secret\n")
    (base / "publicity").mkdir()
    (base / "publicity" / "secret.txt").write_text("secret\n")
    (folder / "index.html").write_text("<p>index</p>\n")
    (folder / "sub" / "index.html").write_text("<p>sub</p>\n")
    (folder / "sub" / "page.html").write_text("<p>page</p>\n")
    (folder / "hello.txt").write_text("hello\n")
    (folder / "a b+ü%.txt").write_text("odd name\n")
    (folder / "empty.css").write_bytes(b"")
    (folder / "large.bin").write_bytes(LARGE)
    (folder / "style.css").write_text("p { color: red }\n" * 100)
    (folder / "style.css.gz").write_bytes(gzip.compress(b"p { color: red }\n" * 100, mtime=0))
    (folder / "style.css.br").write_bytes(b"not really brotli, but nobody looks")
    (folder / ".hidden").write_text("hidden\n")
    (folder / "sub" / ".git").mkdir()
    (folder / "sub" / ".git" / "config").write_text("hidden\n")
    (folder / "inside").symlink_to("sub/page.html")
    (folder / "up").symlink_to("sub/../hello.txt")
    (folder / "outside").symlink_to("../secret.txt")
    (folder / "absolute").symlink_to(base / "secret.txt")
    (folder / "outer").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    with open(folder / "sparse.bin", "wb") as file:
        file.truncate(GIB)
        for at in 0, GIB // 2, GIB - 1:
            file.seek(at)
            file.write(b"x")
    os.utime(folder / "hello.txt", (1_000_000_000, 1_000_000_000))
    return folder


_base = tempfile.TemporaryDirectory()
BASE = pathlib.Path(_base.name)
FOLDER = make_folder(BASE)


@contextlib.contextmanager
def serve(**settings):
    with Server("--files", str(FOLDER), **settings) as server:
        yield server


def get(http, path, *fields, method="GET"):
    http.send(request(method, f"/files{path}", *fields))
    return http.response(head_only=method == "HEAD")


def curl(server, path, *arguments):
    result = subprocess.run(["curl", "-sS", "--path-as-is", "-m", str(DEADLINE), *arguments, server.url(path)],
                            capture_output=True, check=False, timeout=DEADLINE + 5)
    equal(result.returncode, 0, f"curl: {result.stderr.decode()}")
    return result.stdout


@test
def files_come_with_their_types():
    with serve() as server, server.connect() as http:
        for path, content_type in (("/hello.txt", "text/plain; charset=utf-8"),
                                   ("/", "text/html; charset=utf-8"),
                                   ("/sub/", "text/html; charset=utf-8"),
                                   ("/sub/page.html?query", "text/html; charset=utf-8"),
                                   ("/style.css", "text/css; charset=utf-8"),
                                   ("/empty.css", "text/css; charset=utf-8"),
                                   ("/large.bin", "application/octet-stream"),
                                   ("/a%20b+%C3%BC%25.txt", "text/plain; charset=utf-8")):
            response = get(http, path)
            equal(response.status, 200, path)
            equal(response.field("content-type"), content_type, path)
            equal(response.field("accept-ranges"), "bytes", path)
            equal(response.field("vary"), "Accept-Encoding", path)
            expect(response.field("etag"), path)
        equal(get(http, "/large.bin").body, LARGE, "large file")
        equal(get(http, "/empty.css").body, b"", "empty file")
        equal(get(http, "/sub/").body, b"<p>sub</p>\n", "index")


@test
def curl_gets_every_byte():
    with serve() as server:
        equal(curl(server, "/files/large.bin"), LARGE, "large file")
        equal(curl(server, "/files/large.bin", "-0"), LARGE, "HTTP/1.0")
        equal(curl(server, "/files/style.css", "--compressed", "-H", "Accept-Encoding: gzip"), (FOLDER / "style.css").read_bytes(), "compressed")
        equal(curl(server, "/files/sub", "-L"), b"<p>sub</p>\n", "redirect")
        equal(curl(server, "/files/large.bin", "-r", "1000-1999"), LARGE[1000:2000], "range")
        equal(curl(server, "/files/large.bin", "-C", "2900000"), LARGE[2900000:], "resumed")
        equal(curl(server, "/files/hello.txt", "-z", "Sat, 01 Jan 2022 00:00:00 GMT", "-w", "%{http_code}"), b"304",
              "time condition")


@test
def head_has_the_fields_of_get():
    with serve() as server, server.connect() as http:
        for path in "/hello.txt", "/large.bin", "/", "/sparse.bin", "/empty.css":
            got = get(http, path, method="HEAD")
            equal(got.status, 200, path)
            if path != "/sparse.bin":
                whole = get(http, path)
                equal([field for field in got.fields if field[0] != "date"],
                      [field for field in whole.fields if field[0] != "date"], path)
        for path in "/none", "/sub", "/outside":
            got = get(http, path, method="HEAD")
            whole = get(http, path)
            equal((got.status, got.field("content-length")), (whole.status, whole.field("content-length")), path)


@test
def conditions_are_judged():
    with serve() as server, server.connect() as http:
        plain = get(http, "/hello.txt")
        tag, date = plain.field("etag"), plain.field("last-modified")
        equal(date, email.utils.formatdate(1_000_000_000, usegmt=True), "last-modified")
        for fields, status in (([f"If-None-Match: {tag}"], 304),
                               ([f"If-None-Match: W/{tag}"], 304),
                               (['If-None-Match: "x"', f"If-None-Match: {tag}"], 304),
                               (["If-None-Match: *"], 304),
                               (['If-None-Match: "x"'], 200),
                               ([f"If-Modified-Since: {date}"], 304),
                               (["If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT"], 304),
                               (["If-Modified-Since: Sun Sep  9 01:46:40 2001"], 304),
                               (["If-Modified-Since: Sun Sep  9 01:46:39 2001"], 200),
                               (["If-Modified-Since: nonsense"], 200),
                               (['If-None-Match: "x"', f"If-Modified-Since: {date}"], 200),
                               ([f"If-Match: {tag}"], 200),
                               (['If-Match: "x"'], 412),
                               ([f"If-Match: W/{tag}"], 412),
                               (["If-Unmodified-Since: Sun Sep  9 01:46:39 2001"], 412),
                               ([f"If-Unmodified-Since: {date}"], 200)):
            response = get(http, "/hello.txt", *fields)
            equal(response.status, status, fields)
            equal(response.field("etag"), tag, fields)
            expect(status != 304 or response.field("content-length") is None, "a 304 has no length")


@test
def ranges_are_exact_to_the_byte():
    size = len(LARGE)
    with serve() as server, server.connect() as http:
        tag = get(http, "/large.bin", method="HEAD").field("etag")
        parts = [(0, 0), (0, 1), (1, 1), (size - 1, size - 1), (size - 2, size - 1), (0, size - 1), (1, size - 1),
                 (65535, 65535), (65535, 65536), (65536, 131071), (65537, 131072), (12345, 2_345_678)]
        parts += [tuple(sorted((random.Random(i).randrange(size), random.Random(-i - 1).randrange(size))))
                  for i in range(30)]
        for first, last in parts:
            response = get(http, "/large.bin", f"Range: bytes={first}-{last}", f"If-Range: {tag}")
            equal(response.status, 206, (first, last))
            equal(response.field("content-range"), f"bytes {first}-{last}/{size}", "content-range")
            expect(response.body == LARGE[first:last + 1], (first, last))
        for text, body in ((f"{size - 5}-", LARGE[-5:]), ("-7", LARGE[-7:]), (f"-{size}", LARGE), (f"-{10**30}", LARGE),
                           (f"3-{10**30}", LARGE[3:])):
            response = get(http, "/large.bin", f"Range: bytes={text}")
            equal(response.status, 206, text)
            expect(response.body == body, text)
        for text in f"{size}-", f"{10**30}-", "-0":
            response = get(http, "/large.bin", f"Range: bytes={text}")
            equal(response.status, 416, text)
            equal(response.field("content-range"), f"bytes */{size}", text)
        for field in "bytes=0-1,5-6", "bytes=2-1", "items=0-1", "bytes=", "0-1":
            response = get(http, "/large.bin", f"Range: {field}")
            equal((response.status, len(response.body)), (200, size), field)
        equal(get(http, "/large.bin", "Range: bytes=0-1", 'If-Range: "other"').status, 200, "another version")
        equal(get(http, "/empty.css", "Range: bytes=0-").status, 416, "nothing has no first byte")


@test
def compressed_variants_are_served():
    css = (FOLDER / "style.css").read_bytes()
    with serve() as server, server.connect() as http:
        tags = set()
        for accept, coding, name in (("br, gzip", "br", "style.css.br"), ("gzip", "gzip", "style.css.gz"),
                                     ("gzip;q=0.5, br;q=0.4", "gzip", "style.css.gz"),
                                     ("identity", None, "style.css"), ("gzip;q=0, br;q=0", None, "style.css"),
                                     ("*", "br", "style.css.br")):
            response = get(http, "/style.css", f"Accept-Encoding: {accept}")
            equal(response.status, 200, accept)
            equal(response.field("content-encoding"), coding, accept)
            equal(response.field("content-type"), "text/css; charset=utf-8", accept)
            equal(response.field("vary"), "Accept-Encoding", accept)
            equal(response.body, (FOLDER / name).read_bytes(), accept)
            tags.add(response.field("etag"))
        equal(len(tags), 3, "each variant has its own tag")
        equal(get(http, "/style.css").body, css, "nothing is compressed unless that is asked for")
        part = get(http, "/style.css", "Accept-Encoding: gzip", "Range: bytes=-4")
        equal(part.body, (FOLDER / "style.css.gz").read_bytes()[-4:], "a range is of the variant")
        equal(get(http, "/hello.txt", "Accept-Encoding: gzip, br").field("content-encoding"), None, "there is none")


@test
def folders_without_their_slash_are_redirected():
    with serve() as server, server.connect() as http:
        for path, location in (("/sub", "/files/sub/"), ("/sub?a=b", "/files/sub/?a=b"), ("/%73ub", "/files/%73ub/"),
                               ("/bare", "/files/bare/")):
            response = get(http, path)
            equal((response.status, response.field("location")), (301, location), path)
        equal(get(http, "/bare/").status, 404, "a folder without index")


# Each must be answered 404 (or 400 where it is no request at all), and never with what lies outside.
TRAVERSALS = """
/../secret.txt  /../../etc/passwd  /sub/../../secret.txt  /./../secret.txt  /..  /../  /sub/..  /sub/../  /.  /./
/./hello.txt  /sub/./page.html  /sub/../hello.txt  //secret.txt  //etc/passwd  ///etc/passwd  /sub//page.html  //
/%2e%2e/secret.txt  /%2E%2E/secret.txt  /%2e%2E/secret.txt  /.%2e/secret.txt  /%2e./secret.txt  /%2e/hello.txt
/..%2fsecret.txt  /..%2Fsecret.txt  /%2e%2e%2fsecret.txt  /%2e%2e%2f%2e%2e%2fetc%2fpasswd  /sub%2fpage.html
/%2fetc%2fpasswd  /%2f%2fetc/passwd  /..%5csecret.txt  /..%5Csecret.txt  /sub%5cpage.html  /%5c..%5csecret.txt
/..%c0%afsecret.txt  /%c0%ae%c0%ae/secret.txt  /%c0%ae%c0%ae%c0%afsecret.txt  /..%e0%80%afsecret.txt
/%e0%80%ae%e0%80%ae/secret.txt  /%f0%80%80%ae/secret.txt  /..%ef%bc%8fsecret.txt  /%ef%bc%8e%ef%bc%8e/secret.txt
/%252e%252e/secret.txt  /%252e%252e%252fsecret.txt  /..%252fsecret.txt  /%25%32%65%25%32%65/secret.txt
/%u002e%u002e/secret.txt  /..%00/secret.txt  /hello.txt%00  /hello.txt%00.html  /%00  /..;/secret.txt
/..;x=y/secret.txt  /%2e%2e;/secret.txt  /....//secret.txt  /.../secret.txt  /..../secret.txt  /..%09/secret.txt
/.hidden  /%2ehidden  /sub/.git/config  /sub/%2egit/config  /.  /.%2f.hidden  /outside  /absolute  /outer
/outer/secret.txt  /outer/public/hello.txt  /outside/  /absolute/  /loop  /loop/x  /fifo  /hello.txt/  /hello.txt/x
/hello.txt/../hello.txt  /none  /sub/none  /HELLO.TXT  /hello.txt%20  /%20hello.txt  /hello%2etxt%2f
/proc/self/environ  /dev/null  ../secret.txt  ..%2fsecret.txt  /hello.txt.gz/..  /%  /%2  /%zz  /%2g
""".split()


@test
def nothing_outside_of_the_folder_is_served():
    expect(len(TRAVERSALS) > 80, "the table")
    with serve() as server:
        for path in TRAVERSALS:
            with server.connect() as http:
                target = path if path.startswith("/") else f"/{path}"
                http.send(request("GET", f"/files{target}"))
                response = http.response()
                expect(response.status in (404, 400), f"{path}: {response.status}")
                expect(b"secret\n" not in response.body and b"root:" not in response.body, path)
                equal(response.field("location"), None, path)
        for target in "/files/..", "//evil.example/files/sub", "/files//evil.example/sub", "/files/%2fevil.example/sub":
            with server.connect() as http:
                http.send(request("GET", target))
                response = http.response()
                equal((response.status, response.field("location")), (404, None), target)
        with server.connect() as http:
            equal(get(http, "/hello.txt").body, b"hello\n", "and the server lives")


@test
def links_that_stay_inside_are_followed():
    with serve() as server, server.connect() as http:
        equal(get(http, "/inside").body, b"<p>page</p>\n", "link")
        equal(get(http, "/up").body, b"hello\n", "link with ..")


@test
def connections_are_kept_whatever_was_answered():
    with serve() as server, server.connect() as http:
        for path, status in (("/hello.txt", 200), ("/none", 404), ("/outside", 404), ("/fifo", 404), ("/sub", 301),
                             ("/hello.txt", 200), ("/.hidden", 404), ("/large.bin", 200), ("/hello.txt", 200)):
            equal(get(http, path).status, status, path)
        http.send(request("POST", "/files/hello.txt", body=b"x"))
        response = http.response()
        equal((response.status, response.field("allow")), (405, "GET, HEAD"), "POST")


@test
def pipelined_requests_are_answered_in_order():
    rows = [("/hello.txt", 6), ("/large.bin", len(LARGE)), ("/none", None), ("/empty.css", 0),
            ("/style.css", 1700), ("/hello.txt", 6)] * 20
    with serve() as server, server.connect() as http:
        sent = in_thread(http.send, b"".join(request("GET", f"/files{path}") for path, _ in rows))
        for path, size in rows:
            response = http.response()
            equal(response.status, 200 if size is not None else 404, path)
            expect(size is None or len(response.body) == size, path)
            expect(path != "/large.bin" or response.body == LARGE, path)
        sent()


def resident_kib(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


@test
def a_gigabyte_takes_no_memory():
    with serve(cores="0") as server:
        with server.connect() as http:
            get(http, "/large.bin")
        before = resident_kib(server)
        digest = hashlib.md5()
        size = GIB if MODE in ("release", "debug") else GIB // 16
        with server.connect() as http:
            http.send(request("GET", "/files/sparse.bin", f"Range: bytes=0-{size - 1}"))
            http.response(head_only=True)
            got = len(http.buffer)
            digest.update(http.buffer)
            while got < size:
                content = http.socket.recv(1 << 20)
                expect(content, f"end of the stream after {got} bytes")
                got += len(content)
                digest.update(content)
        after = resident_kib(server)
        equal(got, size, "bytes")
        expected = hashlib.md5()
        with open(FOLDER / "sparse.bin", "rb") as file:
            for _ in range(size >> 20):
                expected.update(file.read(1 << 20))
        equal(digest.digest(), expected.digest(), "the file's bytes")
        if MODE in ("release", "debug"):  # a sanitizer keeps what was freed
            expect(after - before < 16 * 1024, f"{before} KiB before, {after} KiB after")
        expect(server.stats()["server"]["file_bytes"] >= size, "counted")


@test
def readers_that_stall_cost_a_queue_each():
    count = 50
    with serve(cores="0") as server, contextlib.ExitStack() as stack:
        with server.connect() as http:
            get(http, "/large.bin")
        for _ in range(count):
            http = stack.enter_context(server.connect(receive_buffer=4096))
            http.send(request("GET", "/files/sparse.bin"))
        eventually(lambda: server.stats()["server"]["heap_bytes"] >= count * 262144, "queues at their low mark")
        heap = server.stats()["server"]["heap_bytes"]
        expect(heap < count * 500_000, f"{heap} bytes for {count} readers")
        with server.connect() as http:
            equal(get(http, "/hello.txt").body, b"hello\n", "others go on")


@test
def a_reader_that_stalls_is_dropped_and_its_file_closed():
    with serve(cores="0", send_timeout_ms=1000) as server:
        before = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        with server.connect(receive_buffer=4096) as http:
            http.send(request("GET", "/files/sparse.bin"))
            eventually(lambda: server.stats()["server"]["timeouts"] >= 1, "send_timeout_ms")
            eventually(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= before + 1, "closed")


@test
def clients_that_go_away_leave_nothing_open():
    with serve(cores="0") as server:
        before = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        memory = server.stats()["server"]["heap_bytes"]
        for i in range(60):
            http = server.connect()
            http.send(request("GET", "/files/sparse.bin") + request("GET", "/files/hello.txt"))
            if i % 3 == 0:
                http.socket.recv(1)
            if i % 2 == 0:
                http.reset()
            else:
                http.socket.close()
        eventually(lambda: server.stats()["server"]["connections"] <= 1, "connections")
        eventually(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= before + 1, "descriptors")
        equal(server.stats()["server"]["heap_bytes"], memory, "memory")


@test
def a_file_that_becomes_shorter_breaks_its_answer():
    path = FOLDER / "shrinks.bin"
    path.write_bytes(b"x" * 20_000_000)
    with serve() as server, server.connect(receive_buffer=4096) as http:
        http.send(request("GET", "/files/shrinks.bin"))
        equal(http.response(head_only=True).field("content-length"), "20000000", "as it was")
        path.write_bytes(b"y" * 1000)
        expect(len(http.rest()) < 20_000_000, "the client sees that something is missing")


@test
def an_answer_is_finished_when_the_server_stops():
    server = Server("--files", str(FOLDER)).start()
    with server.connect() as http:
        http.send(request("GET", "/files/large.bin"))
        head = http.response(head_only=True)
        server.process.terminate()
        equal(http.take(int(head.field("content-length"))), LARGE, "all of it")
    equal(server.wait(), 0, "exit status")


@test
def files_that_may_not_be_read_are_403():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")
    refused = FOLDER / "refused.txt"
    refused.write_text("refused\n")
    refused.chmod(0)
    BASE.chmod(0o755)
    try:
        arguments = command("--files", str(FOLDER), "--listen", "127.0.0.1:0")
        process = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                                    "--bounding-set=-all", *arguments],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            line = process.stdout.readline()
            if not line:
                raise Skip(f"gyr-echo cannot be run as nobody here: {shorten(process.stderr.read())}")
            port = re.search(r"http://127\.0\.0\.1:([0-9]+)/", line)[1]
            result = subprocess.run(["curl", "-sS", "-m", str(DEADLINE), "-w", "%{http_code}",
                                     f"http://127.0.0.1:{port}/files/refused.txt"],
                                    capture_output=True, text=True, check=False)
            expect(result.stdout.endswith("403") and "refused\n" not in result.stdout, result.stdout + result.stderr)
        finally:
            process.terminate()
            process.wait(DEADLINE)
    finally:
        refused.unlink()


@test
def folder_must_be_there():
    for folder, word in (BASE / "none", "No such file"), (FOLDER / "hello.txt", "Not a directory"):
        result = subprocess.run(command("--files", str(folder)), capture_output=True, text=True, timeout=DEADLINE,
                                check=False)
        equal(result.returncode, 1, folder)
        expect(str(folder) in result.stderr and word in result.stderr, result.stderr)


@test
def changes_of_a_file_are_seen():
    path = FOLDER / "changes.txt"
    with serve() as server, server.connect() as http:
        tags = set()
        for i in range(5):
            path.write_text(f"version {i}\n")
            os.utime(path, ns=(i, 1_000_000_000_000_000_000 + i))
            response = get(http, "/changes.txt")
            equal(response.body, f"version {i}\n".encode(), "content")
            tags.add(response.field("etag"))
        equal(len(tags), 5, "a nanosecond makes another tag")
        path.unlink()
        equal(get(http, "/changes.txt").status, 404, "gone")


@test
def many_clients_get_the_same_file():
    with serve() as server:
        def fetch():
            with server.connect() as http:
                for _ in range(5):
                    expect(get(http, "/large.bin").body == LARGE, "the file's bytes")

        waits = [in_thread(fetch) for _ in range(8)]
        for wait in waits:
            wait()


if __name__ == "__main__":
    sys.exit(run())
