# SPDX-License-Identifier: MIT
"""The service of README.md compiles as it is printed, with the command that is printed, and works; and
what README.md links to is there."""

import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

from kit import (BIN, MODE, ROOT, TEXT, Http, Skip, WebSocket, equal, eventually, expect, frame, handshake,
                 request, run, test)

README = (ROOT / "README.md").read_text()


def block(language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)
    equal(len(found), 1, f"blocks of {language}")
    return found[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
        port = free_port()
        process = subprocess.Popen([program, f"127.0.0.1:{port}"])
        try:
            talk(process, ("127.0.0.1", port))
        finally:
            process.kill()
            process.wait()


def talk(process, address):
    def listening():
        expect(process.poll() is None, "the service has ended")
        try:
            Http(address).socket.close()
        except ConnectionError:
            return False
        return True

    eventually(listening, "the service listens")
    with Http(address) as http:
        http.send(request("GET", "/"))
        equal(http.response().body, b"Connect a WebSocket.\n", "body")
        http.send(handshake())
        equal(http.response().status, 101, "status")
        ws = WebSocket(http)
        ws.send(frame(TEXT, b"hello"))
        equal(ws.message().payload, b"hello", "echo")


@test
def links_lead_somewhere():
    missing = [target for target in re.findall(r"\]\(([^)#:]+)\)", README) if not os.path.exists(ROOT / target)]
    equal(missing, [], "links")


@test
def printed_commands_are_targets_of_make():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        expect(re.search(rf"^{target}:", makefile, re.M), f"make {target}")


if __name__ == "__main__":
    sys.exit(run())
