# SPDX-License-Identifier: MIT
"""A server as a guest: of a system with few descriptors, and of a program that must not notice it."""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from kit import BIN, DEADLINE, ROOT, Http, Skip, command, equal, eventually, expect, request, run, test
from readme import LIBRARIES

BUILD = BIN.parent
LIMIT = 64
CLIENTS = 200

# ---- few descriptors ------------------------------------------------------------------------------


class Limited:
    """gyr-echo on one core, with at most LIMIT descriptors. `troubles` are the lines it has said."""

    def __enter__(self):
        self.process = subprocess.Popen(
            command("--listen", "127.0.0.1:0", "--cores", str(min(os.sched_getaffinity(0))), "--set",
                    "keep_alive_timeout_ms=600000", "--set", "header_timeout_ms=600000"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)))
        self.address = ("127.0.0.1", int(re.search(r":(\d+)/", self.process.stdout.readline())[1]))
        self.troubles = []
        self.reader = threading.Thread(target=lambda: self.troubles.extend(iter(self.process.stderr.readline, "")))
        self.reader.start()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.process.send_signal(signal.SIGTERM)
            equal(self.process.wait(DEADLINE), 0, "exit status")
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def clients(self, count):
        """Connections that have asked; those that are refused count as none."""
        found = []
        for _ in range(count):
            http = Http(self.address)
            http.send(request("GET", "/plaintext"))
            found.append(http)
        return found


def stats(http):
    http.send(request("GET", "/stats"))
    return json.loads(http.response().body)["server"]


def answered(http):
    equal(http.response().body, b"Hello, World!", "answer")


@test
def clients_beyond_the_descriptors_wait_for_their_turn():
    with Limited() as server:
        clients = server.clients(CLIENTS)
        # Those that were accepted were so in the order in which they came.
        for http in clients[:LIMIT // 2]:
            answered(http)
        eventually(lambda: server.troubles, "trouble is reported")
        line = r'\S+ error trouble core=0 error="Too many open files" count=\d+\n'
        expect(re.fullmatch(line, server.troubles[0]), server.troubles[0])
        open_now = stats(clients[0])["connections"]
        expect(LIMIT // 2 <= open_now < LIMIT, f"{open_now} are open")
        clients[0].socket.close()
        # Each that leaves makes room for one that waits.
        for place, http in enumerate(clients[1:], 1):
            if place >= LIMIT // 2:
                answered(http)
            http.socket.close()


@test
def waiting_for_descriptors_is_no_busy_loop():
    with Limited() as server:
        clients = server.clients(CLIENTS)
        answered(clients[0])
        eventually(lambda: server.troubles, "trouble is reported")
        before = stats(clients[0])["turns"]
        # Trouble is reported once a second at most, with how often it came since: the turns between two
        # reports belong to that many attempts, however long it took.
        reported = len(server.troubles)
        eventually(lambda: len(server.troubles) >= reported + 2, "it goes on")
        turns = stats(clients[0])["turns"] - before
        attempts = sum(int(re.search(r"count=(\d+)", line)[1]) for line in server.troubles[reported - 1:])
        expect(attempts < 200, f"{attempts} attempts in two reports")
        expect(turns <= 20 * attempts + 200, f"{turns} turns for {attempts} attempts")
        for http in clients:
            http.socket.close()


# ---- a guest that is not noticed ------------------------------------------------------------------

GUEST = r"""
#include <gyr/gyr.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIGNALS 65

static struct sigaction before[SIGNALS];

/* Ends the program, without a word, with the line where something is not as it was. */
#define CHECK(condition) ((condition) ? (void)0 : _exit(__LINE__ & 127))

static void look(struct sigaction actions[SIGNALS])
{
    for (int number = 1; number < SIGNALS; number++) {
        memset(&actions[number], 0, sizeof(actions[number]));
        (void)sigaction(number, NULL, &actions[number]);
    }
}

static void compare(void)
{
    struct sigaction now[SIGNALS];
    look(now);
    for (int number = 1; number < SIGNALS; number++) {
        CHECK(now[number].sa_handler == before[number].sa_handler);
        CHECK(now[number].sa_flags == before[number].sa_flags);
    }
}

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    compare();
    if (gyr_request_is_upgrade(request)) {
        return gyr_upgrade(conn, NULL);
    }
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

static void talk(const char *address, const char *bytes, const char *expected)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(strrchr(address, ':') + 1))};
    char answer[4096] = "";
    size_t size = 0;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) > 0);
    while (strstr(answer, expected) == NULL) {
        ssize_t got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0);
        CHECK(got > 0);
        size += (size_t)got;
    }
    close(fd);
}

int main(void)
{
    struct gyr_service service = {.size = sizeof(service), .on_request = on_request};
    /* What the host has set stays: an own handler, ignoring, and the default. */
    signal(SIGUSR1, SIG_IGN);
    look(before);
    for (int life = 0; life < 3; life++) {
        struct gyr_config config = gyr_config_default();
        struct gyr_server *server;
        struct gyr_error error;
        char address[128];
        CHECK(gyr_config_set(&config, "no_such_thing", "1", &error) < 0);
        CHECK(gyr_server_create(&config, &service, &server, &error) == 0);
        CHECK(gyr_server_listen(server, "nonsense", &error) < 0);
        CHECK(gyr_server_listen(server, "127.0.0.1:0", &error) == 0);
        CHECK(gyr_server_start(server, &error) == 0);
        compare();
        CHECK(gyr_server_address(server, 0, address, sizeof(address)));
        talk(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\nok");
        talk(address, "this is no request\r\n\r\n", "HTTP/1.1 400 ");
        talk(address, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\xff\xff", "HTTP/1.1 101 ");
        gyr_server_stop(server);
        gyr_server_wait(server);
        gyr_server_destroy(server);
        compare();
    }
    return 0;
}
"""


def guest(directory):
    if BUILD.name not in ("release", "debug"):
        raise Skip(f"a library of MODE={BUILD.name} needs its sanitizer, which is noticed")
    if shutil.which("cc") is None:
        raise Skip("there is no cc")
    source = pathlib.Path(directory, "guest.c")
    source.write_text(GUEST)
    program = f"{directory}/guest"
    result = subprocess.run(
        ["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", str(source), str(BUILD / "libgyr.a"),
         *LIBRARIES, "-o", program], capture_output=True, text=True, check=False)
    equal(result.returncode, 0, result.stderr)
    return program


@test
def embedded_server_says_nothing_and_leaves_signals_alone():
    with tempfile.TemporaryDirectory() as directory:
        result = subprocess.run([guest(directory)], capture_output=True, text=True, check=False, timeout=DEADLINE)
        equal(result.returncode, 0, "line of the program at which something had changed")
        equal((result.stdout, result.stderr), ("", ""), "output")


@test
def embedded_server_makes_no_call_for_signals_or_output():
    """The same, seen from outside: no signal action that is not the C library's own, no write to the
    standard descriptors."""
    if shutil.which("strace") is None:
        raise Skip("there is no strace")
    with tempfile.TemporaryDirectory() as directory:
        program = guest(directory)
        trace = pathlib.Path(directory, "trace")
        result = subprocess.run(["strace", "-f", "-e", "trace=rt_sigaction,write,writev,sendto,openat", "-o", str(trace),
                                 program], capture_output=True, text=True, check=False, timeout=DEADLINE)
        if result.returncode != 0 and not trace.exists():
            raise Skip("strace may not trace here")
        equal(result.returncode, 0, result.stderr)
        lines = trace.read_text().splitlines()
        changed = {name for line in lines for name in re.findall(r"rt_sigaction\((SIG\w+), \{", line)}
        # SIGUSR1 is the program's own; pthread_create makes SIGRT_1 the C library's (setxid).
        equal(changed - {"SIGRT_1", "SIGRTMIN"}, {"SIGUSR1"}, "signals whose action was set")
        written = [line for line in lines if re.search(r"\bwritev?\([012],", line)]
        equal(written, [], "output")
        opened = {path for line in lines for path in re.findall(r'openat\([^"]*"([^"]+)".*O_(?:WRONLY|RDWR)', line)}
        names = {path for path in opened if re.fullmatch(r"/proc/self/task/\d+/comm", path)}  # of its threads
        equal(opened - names, set(), "files opened for writing")


# Which objects may import what a guest should keep its hands off.
IMPORTS = {
    "getenv": {"activation"}, "secure_getenv": set(), "setenv": set(), "putenv": set(), "unsetenv": {"activation"},
    "environ": {"settings"}, "__environ": {"settings"}, "sigaction": set(), "signal": set(), "sigwait": set(),
    "raise": set(), "kill": set(), "printf": set(), "__printf_chk": set(), "puts": set(), "putchar": set(),
    "perror": set(), "syslog": set(), "stdout": set(), "exit": set(), "atexit": set(), "setlocale": set(),
    "stderr": {"assert"}, "fprintf": {"assert"}, "__fprintf_chk": {"assert"}, "fputs": {"assert"}, "abort": {"assert"},
}


@test
def library_imports_no_environment_output_or_signals():
    """By object, so that what is asked for by name (gyr_server_adopt_activated) is all there is."""
    nm = shutil.which("gcc-nm") or shutil.which("nm")
    if nm is None or BUILD.name not in ("release", "debug"):
        raise Skip("objects of MODE=release and MODE=debug, and nm, are needed")
    objects = [path for layer in ("base", "proto", "engine", "hub", "router") for path in
               (BUILD / "obj" / layer).glob("*.o") if not path.stem.startswith("ring_sim")
               and any((ROOT / layer / f"{path.stem}{end}").exists() for end in (".c", ".cpp"))]
    expect(len(objects) > 20, f"{len(objects)} objects in {BUILD}/obj")
    found = 0
    for path in objects:
        result = subprocess.run([nm, "-u", str(path)], capture_output=True, text=True, check=True)
        names = {line.split()[-1].split("@")[0] for line in result.stdout.splitlines() if line.strip()}
        found += len(names)
        for name in names & IMPORTS.keys():
            expect(path.stem in IMPORTS[name], f"{path.stem} imports {name}")
    expect(found > 100, f"only {found} imports were seen: {nm} does not read these objects")


if __name__ == "__main__":
    sys.exit(run())
