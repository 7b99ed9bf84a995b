# SPDX-License-Identifier: MIT
"""The service of README.md: its text, how a library in some place compiles it, and a real request to it; and
the blocks of other pages."""

import glob
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

from kit import ROOT, TEXT, Http, Skip, WebSocket, equal, eventually, expect, frame, handshake, request

README = (ROOT / "README.md").read_text()

# What a program that links the archive needs beside it.
LIBRARIES = re.search(r"^LIBS := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()

# Languages in which the service has to compile. In C++17 designated initialisers are an extension that gcc
# and clang have; g++ alone minds, with -Wextra, that they leave members out.
LANGUAGES = {
    "c": ["cc", "-x", "c", "-std=c11", "-Wpedantic"],
    "c++17": ["c++", "-x", "c++", "-std=c++17", "-Wno-missing-field-initializers"],
    "c++20": ["c++", "-x", "c++", "-std=c++20", "-Wno-missing-field-initializers", "-Wpedantic"],
}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def block(language):
    found = blocks(README, language)
    equal(len(found), 1, f"blocks of {language}")
    return found[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(program, environment=None, before=None, talk=None):
    """Start it, talk to it, end it. `before` runs in the new process, before the program does."""
    port = free_port()
    process = subprocess.Popen([program, f"127.0.0.1:{port}"], env=environment, preexec_fn=before)
    try:
        wait(process, ("127.0.0.1", port))
        (talk or echo)(("127.0.0.1", port))
    finally:
        process.kill()
        process.wait()


def wait(process, address):
    def listening():
        expect(process.poll() is None, "the service has ended")
        try:
            Http(address).socket.close()
        except ConnectionError:
            return False
        return True

    eventually(listening, "the service listens")


def echo(address):
    with Http(address) as http:
        http.send(request("GET", "/"))
        equal(http.response().body, b"Connect a WebSocket.\n", "body")
        http.send(handshake())
        equal(http.response().status, 101, "status")
        ws = WebSocket(http)
        ws.send(frame(TEXT, b"hello"))
        equal(ws.message().payload, b"hello", "echo")


class Tree:
    """A library as it was installed: `root` stands for the root of the file system, where it was meant to be
    below `prefix`, with its libraries in `libdir`."""

    def __init__(self, root, prefix, libdir):
        self.root = pathlib.Path(root)
        self.prefix = self.root / prefix.lstrip("/")
        self.libdir = self.root / libdir.lstrip("/")

    def flags(self, *options, **variables):
        if shutil.which("pkg-config") is None:
            raise Skip("there is no pkg-config")
        variables.setdefault("prefix", str(self.prefix))
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.libdir / "pkgconfig")}
        result = subprocess.run(
            ["pkg-config", *options, *[f"--define-variable={name}={value}" for name, value in variables.items()],
             "gyr"], env=environment, capture_output=True, text=True, check=False)
        equal(result.returncode, 0, result.stderr)
        return result.stdout.split()

    def compile(self, language, program, flags):
        command = LANGUAGES[language]
        if shutil.which(command[0]) is None:
            raise Skip(f"there is no {command[0]}")
        source = pathlib.Path(f"{program}.source")
        source.write_text(block("c"))
        result = subprocess.run([*command, "-Wall", "-Wextra", "-Werror", str(source), "-x", "none", *flags, "-o",
                                 program], capture_output=True, text=True, check=False)
        equal(result.returncode, 0, f"{language}: {result.stderr}")

    def try_service_with_shared_library(self):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.libdir)}
        with tempfile.TemporaryDirectory() as directory:
            for language in LANGUAGES:
                program = f"{directory}/service"
                self.compile(language, program, self.flags("--cflags", "--libs"))
                needed = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=True).stdout
                expect(re.search(r"NEEDED +libgyr\.so\.0\n", needed), f"{language}: it needs the library: {needed}")
                expect(not re.search(r"NEEDED +lib(uring|simdjson)", needed), f"{language}: and no more: {needed}")
                serve(program, environment)

    def try_service_with_archive(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(self.libdir / "libgyr.a", directory)
            for language in LANGUAGES:
                program = f"{directory}/service"
                self.compile(language, program, self.flags("--cflags", "--libs", "--static", libdir=directory))
                needed = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=True).stdout
                expect("libgyr" not in needed, f"{language}: it needs no libgyr: {needed}")
                serve(program)

    def units(self):
        return sorted(glob.glob(f"{self.root}/**/systemd/system/gyr-echo.*", recursive=True))


def verify_units(units):
    """systemd finds nothing wrong with them."""
    if shutil.which("systemd-analyze") is None:
        raise Skip("there is no systemd-analyze")
    equal([os.path.basename(unit) for unit in units], ["gyr-echo.service", "gyr-echo.socket"], "units")
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                            check=False)
    # What is wrong with other units of this machine does not matter.
    ours = [line for line in result.stderr.splitlines() if "gyr" in line]
    equal(ours, [], "complaints")
    equal(result.returncode, 0, result.stderr)
