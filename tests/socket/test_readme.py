# SPDX-License-Identifier: MIT
"""The service of README.md compiles as it is printed, with the command that is printed, and works; and
what README.md links to is there. The same for the blocks of docs/rooms.md."""

import errno
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from deny import IO_URING_CALLS, denied
from kit import BIN, MODE, ROOT, TEXT, Http, Skip, WebSocket, equal, expect, frame, handshake, run, test
from readme import LIBRARIES, README, block, blocks, serve

ROOMS = (ROOT / "docs/rooms.md").read_text()


@test
def service_compiles_and_works_as_printed():
    if MODE not in ("release", "debug"):
        raise Skip(f"the printed command is not for MODE={MODE}")
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skip("there is no cc")
    command = shlex.split(block("sh"))
    equal(command[0], "cc", "command")
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "service.c")
        source.write_text(block("c"))
        program = f"{directory}/service"
        places = {"service.c": str(source), "service": program, "-Iinclude": f"-I{ROOT}/include",
                  "build/release/libgyr.a": str(BIN.parent / "libgyr.a")}
        result = subprocess.run([places.get(word, word) for word in command] + ["-Wall", "-Wextra", "-Werror"],
                                capture_output=True, text=True, check=False)
        equal(result.returncode, 0, result.stderr)
        serve(program)
        if platform.machine() == "x86_64":  # whose system calls deny.py knows
            serve(program, before=denied(errno.EPERM, *IO_URING_CALLS.values()))  # and so on epoll


@test
def links_lead_somewhere():
    missing = [target for target in re.findall(r"\]\(([^)#:]+)\)", README) if not os.path.exists(ROOT / target)]
    equal(missing, [], "links")


@test
def printed_commands_are_targets_of_make():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([\w-]+)", README):
        expect(re.search(rf"^{target}:", makefile, re.M), f"make {target}")


# ---- docs/rooms.md ---------------------------------------------------------------------------------


def compile_rooms(directory, index, *options):
    """The block with this index, as it is printed; only the first is a program."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skip("there is no cc")
    source = pathlib.Path(directory, f"block{index}.c")
    source.write_text(blocks(ROOMS, "c")[index])
    result = subprocess.run(
        [compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-variable",
         "-Wno-unused-const-variable", f"-I{ROOT}/include", str(source), *options],
        capture_output=True, text=True, check=False)
    equal(result.returncode, 0, f"block {index}: {result.stderr}")


@test
def every_block_about_rooms_compiles():
    with tempfile.TemporaryDirectory() as directory:
        count = len(blocks(ROOMS, "c"))
        expect(count >= 8, f"{count} blocks")
        for index in range(count):
            compile_rooms(directory, index, "-c", "-o", f"{directory}/block.o")


def rooms_are_apart(address):
    """Three clients in two rooms of the service: each gets what is said in its room, in one order."""

    def enter(path):
        http = Http(address)
        http.send(handshake(path))
        equal(http.response().status, 101, "status")
        return WebSocket(http)

    with enter("/a") as first, enter("/a") as second, enter("/b") as other:
        other.send(frame(TEXT, b"alone"))
        equal(other.message().payload, b"alone", "who speaks hears it")
        first.send(frame(TEXT, b"one"), frame(TEXT, b"two"))
        second.send(frame(TEXT, b"three"))
        seen = [[member.message().payload for _ in range(3)] for member in (first, second)]
        equal(sorted(seen[0]), [b"one", b"three", b"two"], "all of it")
        equal(seen[1], seen[0], "in the same order")
        expect(seen[0].index(b"one") < seen[0].index(b"two"), "and in the order of who said it")
        other.send(frame(TEXT, b"still alone"))
        equal(other.message().payload, b"still alone", "nothing of another room came before it")


@test
def service_about_rooms_works_as_printed():
    if MODE not in ("release", "debug"):
        raise Skip(f"the library of MODE={MODE} is linked otherwise")
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/service"
        compile_rooms(directory, 0, str(BIN.parent / "libgyr.a"), *LIBRARIES, "-o", program)
        serve(program, talk=rooms_are_apart)


@test
def guide_of_rooms_is_true():
    """What it names is in the header, and what it links to is there."""
    header = (ROOT / "include/gyr/gyr.h").read_text()
    names = set(re.findall(r"\b(?:gyr_[a-z_]+|GYR_[A-Z_]+|on_[a-z_]+|[a-z]+_[a-z_]+_(?:max|ms|size|count))\b", ROOMS))
    expect(len(names) > 50, f"found: {sorted(names)}")
    own = {"again_in_ms"}  # what the guide's own program says
    unknown = {name for name in names - own if not re.search(rf"\b{name}\b", header)}
    equal(unknown, set(), "names that the header does not know")
    missing = [target for target in re.findall(r"\]\(([^)#:]+)\)", ROOMS)
               if not os.path.exists(ROOT / "docs" / target)]
    equal(missing, [], "links")


if __name__ == "__main__":
    sys.exit(run())
