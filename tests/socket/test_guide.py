# SPDX-License-Identifier: MIT
"""The pages of docs/guide: each is one program, block by block, which compiles as it is printed and
without a warning, runs, and does what the page says.

    ```c        a part of the page's program, which takes its address as first argument
    ```console  `$ command`, and behind it what that prints
    ```talk     a conversation with a WebSocket:
                    connect /path [Name: value; ...] [as ann]   accepted, or
                    connect /path ... refused 401
                    > what the client sends           (ann > with several)
                    < what the server sends then      (ann <)
                    close 1000                        the server closes with this code
                    leave                             the client closes, and is answered
    ```output   what the program prints
    ```error    what the program prints if it does not start; it is then not run for the others

Other languages are for reading only. 127.0.0.1:8080 becomes an address that is free.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from kit import (BIN, CLOSE, MODE, ROOT, TEXT, Http, Skip, WebSocket, equal, expect, frame, handshake, run, test)
from readme import LIBRARIES, wait

PAGES = sorted((ROOT / "docs/guide").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
CONNECT = re.compile(r"connect (\S+)(?: \[(.*)\])?(?: as (\w+))?(?: refused (\d+))?$")
SAID = re.compile(r"(?:(\w+) )?([<>]) ?(.*)$")
ADDRESS = "127.0.0.1:8080"
STDBUF = shutil.which("stdbuf") or "stdbuf"  # what it prints comes at once, though it is no terminal


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def compile_page(page, directory):
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skip("there is no cc")
    if MODE not in ("release", "debug"):
        raise Skip(f"the library of MODE={MODE} is linked otherwise")
    parts = [text for language, text in BLOCK.findall(page.read_text()) if language == "c"]
    if not parts:
        return None
    source = pathlib.Path(directory, f"{page.stem}.c")
    source.write_text("".join(parts))
    program = f"{directory}/{page.stem}"
    result = subprocess.run(
        [compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", str(source),
         str(BIN.parent / "libgyr.a"), *LIBRARIES, "-o", program], capture_output=True, text=True, check=False)
    equal(result.returncode, 0, f"{page.name}: {result.stderr}")
    return program


def console(text, directory):
    """Each command prints what stands behind it."""
    for command, wanted in re.findall(r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", text, re.M):
        result = subprocess.run(["sh", "-c", command], cwd=directory, capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL)
        equal(lines(result.stdout + result.stderr), lines(wanted), f"$ {command}")


def lines(text):
    return [line.rstrip() for line in text.replace("\r", "").strip("\n").split("\n")]


class Talk:
    def __init__(self, address):
        self.address = address
        self.clients = {}

    def connect(self, path, fields, name, status):
        http = Http(self.address)
        http.send(handshake(path, *[field.strip() for field in (fields or "").split(";") if field]))
        response = http.response()
        equal(response.status, int(status or 101), f"connect {path}")
        if status is None:
            self.clients[name] = WebSocket(http)

    def line(self, line):
        found = CONNECT.fullmatch(line)
        if found:
            self.connect(*found.groups())
            return
        found = re.fullmatch(r"(?:(\w+) )?(close (\d+)|leave)", line)
        if found:
            name, word, code = found.groups()
            client = self.clients.pop(name)
            if word == "leave":
                client.send(frame(CLOSE, b"\x03\xe8"))
                equal(client.closed(answer=False), 1000, line)
            else:
                equal(client.closed(), int(code), line)
            return
        found = SAID.fullmatch(line)
        expect(found, f"a line of a talk: {line}")
        name, direction, said = found.groups()
        if direction == ">":
            self.clients[name].send(frame(TEXT, said.encode()))
        else:
            equal(self.clients[name].message().payload.decode(), said, line)

    def end(self):
        for client in self.clients.values():
            client.http.socket.close()


def talk(text, address):
    conversation = Talk(address)
    try:
        for line in text.splitlines():
            if line and not line.startswith("#"):
                conversation.line(line)
    finally:
        conversation.end()


def try_page(page):
    with tempfile.TemporaryDirectory() as directory:
        program = compile_page(page, directory)
        if program is None:
            return
        port = free_port()
        found = [(language, text.replace(ADDRESS, f"127.0.0.1:{port}"))
                 for language, text in BLOCK.findall(page.read_text())]
        errors = [text for language, text in found if language == "error"]
        if errors:
            result = subprocess.run([program, f"127.0.0.1:{port}"], capture_output=True, text=True, check=False,
                                    timeout=60)
            text = result.stderr.replace(f"{directory}/", "")
            equal(lines(text), lines(errors[0]), "what it prints")
            expect(result.returncode != 0, "it has failed")
            return
        printed = open(f"{directory}/printed", "w+")
        process = subprocess.Popen([STDBUF, "-oL", program, f"127.0.0.1:{port}"], cwd=directory, stdout=printed)
        try:
            wait(process, ("127.0.0.1", port))
            for language, text in found:
                if language == "console":
                    console(text, directory)
                elif language == "talk":
                    talk(text, ("127.0.0.1", port))
            expect(process.poll() is None, "the program runs on")
            printed.seek(0)
            equal(lines(printed.read()), lines("".join(text for language, text in found if language == "output")),
                  "what it prints")
        finally:
            process.kill()
            process.wait()
            printed.close()


def page_test(page):
    def guide():
        try_page(page)

    guide.__name__ = f"guide_{page.stem}_compiles_and_does_what_it_says"
    test(guide)


for found_page in PAGES:
    page_test(found_page)


def indented(page, first, last):
    """The indented C of a page, from a line that begins with `first` to the one that is `last`."""
    text = (ROOT / page).read_text()
    found = re.search(rf"^    {re.escape(first)}.*?^    {re.escape(last)}$", text, re.M | re.S)
    expect(found, f"{page}: the block that begins with {first}")
    return re.sub(r"^    ", "", found[0], flags=re.M) + "\n"


# What such a block leaves out: what stands before it.
INCLUDES = "#include <gyr/gyr_app.h>\n#include <inttypes.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
OF_README = """struct room { char none; };
static int room_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request);
struct say;
static int room_say(struct gyr_conn *conn, void *self, const struct say *say);
"""
OF_WIRE = """struct join { struct gyr_span room; struct gyr_span epoch; uint64_t offset; };
GYR_MESSAGE(join, "join", GYR_MEMBER(join, room), GYR_MEMBER(join, epoch, GYR_SIZE(1, 20)), GYR_MEMBER(join, offset));
struct joined { struct gyr_span room; struct gyr_span epoch; uint64_t offset; bool recovered; };
GYR_MESSAGE(joined, "joined", GYR_MEMBER(joined, room), GYR_MEMBER(joined, epoch), GYR_MEMBER(joined, offset),
            GYR_MEMBER(joined, recovered));
"""
AROUND_WIRE = """static const struct gyr_resource room = {
    GYR_RESOURCE_PLAIN("room"), .on_recovered = room_recovered, .handlers = GYR_HANDLERS(GYR_ON(join, room_join))};
const struct gyr_resource *used(void);
const struct gyr_resource *used(void) { return &room; }
"""
AROUND_README = """static int room_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    return conn != NULL && self != NULL && request != NULL ? 0 : -1;
}
static int room_say(struct gyr_conn *conn, void *self, const struct say *say)
{
    return conn != NULL && self != NULL && say->text.size != 0 ? 0 : -1;
}
const struct gyr_route *used(void);
const struct gyr_route *used(void) { return routes; }
"""


@test
def indented_blocks_of_readme_and_of_the_wire_form_compile():
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skip("there is no cc")
    for text in (INCLUDES + OF_README + indented("README.md", "struct say {", 'static const struct gyr_route routes[] = '
                                                 '{GYR_ROUTE("/rooms/{room}", &room), {0}};') + AROUND_README,
                 INCLUDES + OF_WIRE + indented("docs/wire.md", "static int room_join(", "}") +
                 indented("docs/wire.md", "static void room_recovered(", "}") + AROUND_WIRE):
        result = subprocess.run([compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
                                 f"-I{ROOT}/include", "-x", "c", "-fsyntax-only", "-"], input=text,
                                capture_output=True, text=True, check=False)
        equal((result.returncode, result.stderr), (0, ""), text)


@test
def what_the_guide_links_to_and_names_is_there():
    headers = "".join(header.read_text() for header in (ROOT / "include/gyr").glob("*.h"))
    for page in PAGES:
        text = page.read_text()
        missing = [target for target in re.findall(r"\]\(([^)#:]+)\)", text)
                   if not os.path.exists(page.parent / target)]
        equal(missing, [], f"{page.name}: links")
        names = set(re.findall(r"\b(?:gyr_[a-z_]+|GYR_[A-Z_]+)\b", text))
        unknown = {name for name in names if not re.search(rf"\b{name}\b", headers)}
        unknown -= {name for name in unknown if name.startswith("GYR_REASON_") or name.startswith("GYR_ERR_")}
        equal(unknown, set(), f"{page.name}: names that the headers do not know")


if __name__ == "__main__":
    sys.exit(run())
