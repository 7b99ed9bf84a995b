# SPDX-License-Identifier: MIT
"""Sockets and messages of a service manager: gyr-echo takes what was passed to it (sd_listen_fds(3)) and
says when it is ready (sd_notify(3))."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from kit import DEADLINE, PROGRAM, ROOT, Http, Skip, command, equal, eventually, expect, request, run, test
from readme import LIBRARIES


def listening(address=("127.0.0.1", 0), kind=socket.SOCK_STREAM):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.bind(address)
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


class Manager:
    """Starts gyr-echo as a service manager does: with these sockets as descriptors 3, 4, ..., and with
    variables, of which `$$` is the process id of gyr-echo."""

    def __init__(self, sockets, *arguments, variables=None):
        if variables is None:
            variables = {"LISTEN_PID": "$$", "LISTEN_FDS": str(len(sockets))}
        # Descriptors from 100 on, from which the shell makes those from 3 on.
        high = [os.dup(sock.fileno()) for sock in sockets]
        for place, descriptor in enumerate(high):
            os.dup2(descriptor, 100 + place, inheritable=True)
            os.close(descriptor)
        passed = list(range(100, 100 + len(sockets)))
        script = "".join(f'export {name}="{value}"; ' for name, value in variables.items())
        script += "".join(f"exec {3 + place}<&{number} {number}<&-; " for place, number in enumerate(passed))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
        self.process = subprocess.Popen(
            ["bash", "-c", script + 'exec "$@"', "bash", *command(*arguments)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, pass_fds=passed, env=environment)
        for number in passed:
            os.close(number)
        self.line = self.process.stdout.readline()

    def __enter__(self):
        if not self.line:
            raise AssertionError(f"gyr-echo did not start: {self.process.stderr.read()}")
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            expect(self.process.poll() is None, "gyr-echo has ended")
            self.process.send_signal(signal.SIGTERM)
            equal(self.process.wait(DEADLINE), 0, "exit status")
            equal(self.process.stderr.read(), "", "standard error")
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def failed(self):
        """It has not started: its line."""
        equal(self.line, "", "standard output")
        equal(self.process.wait(DEADLINE), 1, "exit status")
        error = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        expect(re.fullmatch(r"gyr-echo: [^\n]+\n", error), f"not one line: {error!r}")
        return error


def ask(address):
    with Http(address) as http:
        http.send(request("GET", "/plaintext"))
        equal(http.response().body, b"Hello, World!", f"answer of {address}")


@test
def passed_sockets_are_listened_on():
    with tempfile.TemporaryDirectory() as directory:
        sockets = [listening(), listening(("::1", 0)), listening(f"{directory}/gyr.sock")]
        addresses = [sock.getsockname() for sock in sockets]
        with Manager(sockets) as manager:
            for sock in sockets:
                sock.close()
            for address in addresses:
                ask(address[:2] if isinstance(address, tuple) else address)
                port = address[1] if isinstance(address, tuple) else address
                expect(str(port) in manager.line, f"{port} in {manager.line}")
            expect(":8080/" not in manager.line, f"nothing else: {manager.line}")
        expect(os.path.exists(f"{directory}/gyr.sock"), "the file is the manager's")


@test
def passed_sockets_live_on_in_the_manager():
    with listening() as sock:
        with Manager([sock]):
            ask(sock.getsockname())
        # As between two lives of the service: the connection waits, and the next life serves it.
        with Http(sock.getsockname()) as http:
            http.send(request("GET", "/plaintext"))
            with Manager([sock]):
                equal(http.response().body, b"Hello, World!", "answer")


@test
def named_addresses_come_first_and_both_are_served():
    with listening() as sock:
        with Manager([sock], "--listen", "127.0.0.1:0") as manager:
            ports = [int(port) for port in re.findall(r":(\d+)/", manager.line)]
            equal(len(ports), 2, manager.line)
            equal(ports[1], sock.getsockname()[1], "the passed one")
            for port in ports:
                ask(("127.0.0.1", port))


@test
def variables_of_another_process_are_not_ours():
    with listening() as sock:
        variables = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
        with Manager([sock], "--listen", "127.0.0.1:0", variables=variables) as manager:
            equal(len(re.findall(r":(\d+)/", manager.line)), 1, manager.line)
            expect(f":{sock.getsockname()[1]}/" not in manager.line, manager.line)


@test
def names_are_read_and_shown_in_errors():
    with listening() as first, socket.socket() as second:
        variables = {"LISTEN_PID": "$$", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"}
        error = Manager([first, second], variables=variables).failed()
        for word in '"admin"', "descriptor 4", "listen on it first":
            expect(word in error, f"no {word!r} in {error!r}")
    with listening() as sock:
        with Manager([sock], variables={"LISTEN_PID": "$$", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}):
            ask(sock.getsockname())


@test
def what_does_not_listen_is_refused():
    pair = socket.socketpair()
    with listening(kind=socket.SOCK_DGRAM) as datagrams, pair[0], pair[1]:
        for sock in datagrams, pair[0]:
            expect("descriptor 3" in Manager([sock]).failed(), "its number")
    with open(os.devnull, "rb") as file:
        expect("not a socket" in Manager([file]).failed(), "no socket")
    expect("descriptor 3" in Manager([], variables={"LISTEN_PID": "$$", "LISTEN_FDS": "1"}).failed(), "not open")


@test
def malformed_variables_are_refused():
    with listening() as sock:
        for variables, word in [
            ({"LISTEN_PID": "$$", "LISTEN_FDS": "x"}, "LISTEN_FDS = x"),
            ({"LISTEN_PID": "$$", "LISTEN_FDS": "0"}, "LISTEN_FDS = 0"),
            ({"LISTEN_PID": "$$ ", "LISTEN_FDS": "1"}, "LISTEN_PID = "),
            ({"LISTEN_PID": "", "LISTEN_FDS": "1"}, "LISTEN_PID = "),
            ({"LISTEN_PID": "$$", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"}, "LISTEN_FDNAMES = a:b"),
            ({"LISTEN_PID": "$$", "LISTEN_FDS": "1000"}, "at most 64 listeners"),
        ]:
            error = Manager([sock], variables=variables).failed()
            expect(word in error, f"{variables}: no {word!r} in {error!r}")


@test
def variables_are_gone_for_children():
    """The library takes them out of the environment; `environ` shows what a child would get."""
    source = r"""
#include <gyr/gyr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern char **environ;
int main(void)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_service service = {.size = sizeof(service)};
    struct gyr_server *server;
    struct gyr_error error = {""};
    if (gyr_server_create(&config, &service, &server, &error) != 0) {
        printf("%s\n", error.text);
        return 1;
    }
    printf("%d", gyr_server_adopt_activated(server, &error));
    printf(" %d", gyr_server_adopt_activated(server, &error));
    int left = 0;
    for (char **variable = environ; *variable != NULL; variable++) {
        left += strncmp(*variable, "LISTEN_", 7) == 0;
    }
    printf(" %d\n", left);
    gyr_server_destroy(server);
    return 0;
}
"""
    build = pathlib.Path(PROGRAM).parent.parent
    if shutil.which("cc") is None or build.name not in ("release", "debug"):
        raise Skip("a program of its own is made in MODE=release and MODE=debug")
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "program.c")
        path.write_text(source)
        program = f"{directory}/program"
        subprocess.run(["cc", "-D_GNU_SOURCE", f"-I{ROOT}/include", str(path), str(build / "libgyr.a"),
                        *LIBRARIES, "-o", program], check=True)
        for variables, expected in [
            ('LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=a', "1 0 0\n"),
            ('LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=a', "0 0 0\n"),
            ('LISTEN_PID=$$ LISTEN_FDS=zero', "-5005 0 0\n"),
        ]:
            with listening() as sock:
                result = subprocess.run(
                    ["bash", "-c", f"exec 3<&{sock.fileno()}; export {variables}; exec {program}"], pass_fds=[sock.fileno()],
                    capture_output=True, text=True, check=False)
            equal((result.returncode, result.stdout), (0, expected), variables + result.stderr)


@test
def systemd_passes_sockets():
    launcher = shutil.which("systemd-socket-activate")
    if launcher is None:
        raise Skip("there is no systemd-socket-activate")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    # It starts the program when the first connection comes.
    process = subprocess.Popen([launcher, f"--listen=127.0.0.1:{address[1]}", "--fdname=web", *command()],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        def listens():
            expect(process.poll() is None, "the launcher has ended")
            with socket.socket() as client:
                return client.connect_ex(address) == 0

        eventually(listens, "the launcher listens")
        ask(address)
        process.send_signal(signal.SIGTERM)
        equal(process.wait(DEADLINE), 0, "exit status")
    finally:
        process.kill()
        process.communicate()


@test
def ready_and_stopping_are_told():
    with tempfile.TemporaryDirectory() as directory:
        for name in f"{directory}/notify", f"\0gyr-test-{os.getpid()}":
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, listening() as sock:
                notify.bind(name)
                notify.settimeout(DEADLINE)
                variables = {"LISTEN_PID": "$$", "LISTEN_FDS": "1", "NOTIFY_SOCKET": name.replace("\0", "@")}
                with Manager([sock], variables=variables):
                    equal(notify.recv(100), b"READY=1", "the first message")
                    ask(sock.getsockname())
                equal(notify.recv(100), b"STOPPING=1", "the second")


if __name__ == "__main__":
    sys.exit(run())
