# SPDX-License-Identifier: MIT
"""docs/operating.md is true: its files of settings can be used, what it names exists, its lines of the log are all
there are, and gyr-echo is behind nginx and HAProxy what the page says."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from kit import ROOT, Http, Logged, Skip, command, equal, eventually, expect, handshake, request, run, test

PAGE = (ROOT / "docs/operating.md").read_text()
HEADER = (ROOT / "include/gyr/gyr.h").read_text()
CORE = str(min(os.sched_getaffinity(0)))


def blocks(language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    expect(found, f"a block of {language}")
    return found


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]


def set_names():
    shown = subprocess.run(command("--help"), capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^(\w+) = ", shown, re.M))


# ---- what the page says -----------------------------------------------------------------------------


@test
def files_of_settings_are_usable():
    for text in blocks("ini"):
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(text)
            file.flush()
            result = subprocess.run(command("--config", file.name, "--check-config"), capture_output=True, text=True,
                                    check=False)
            equal((result.returncode, result.stderr), (0, ""), text)


@test
def settings_and_counters_of_the_table_exist():
    counters = set(re.findall(r"^    X\((\w+), ", HEADER, re.M))
    names = set_names()
    rows = [line.split(" | ") for line in section("Threats").splitlines() if line.startswith("| ")]
    expect(len(rows) > 20, "rows")
    for row in rows:
        if len(row) == 5 and row[1] != "option":
            found = re.findall(r"`(\w+)`", row[1])
            expect(found or row[1].startswith("always"), row)
            for name in found:
                expect(name in names, f"the setting {name}")
        for name in re.findall(r"`(\w+)`", row[-2]) if row[-2] != "counter" else []:
            expect(name in counters, f"the counter {name}")


@test
def every_policy_is_in_the_table():
    """What stands under these two headings of the structure."""
    body = re.search(r"/\* Limits of a public server.*?/\* What on_log gets", HEADER, re.S)[0]
    for name in re.findall(r"^    (?:uint32_t|uint64_t|char) (\w+)", body, re.M):
        expect(f"`{name}`" in section("Threats") or f"`{name} = " in section("Threats"), name)


@test
def events_are_all_there_are():
    told = set()
    for path in (ROOT / "engine").glob("*.c"):
        text = path.read_text()
        told |= set(re.findall(r"\breport_(?:server_begin|begin|core|of)\([^;)\"]*\"([a-z][\w.]*)\"", text))
        told |= set(re.findall(r"\blog_begin\([^;)\"]*\"([a-z][\w.]*)\"", text))
    described = set()
    for line in section("Logs").splitlines():
        if re.match(r"\| `[a-z.]+`.* \| (info|warning|debug)", line):
            described |= set(re.findall(r"`([a-z.]+)`", line.split(" | ")[0]))
    equal(described, told, "events")
    shown = set(re.findall(r"^    \S+Z (?:info|warning|error|debug) ([a-z.]+)", section("Logs"), re.M))
    equal(shown, told, "examples")


@test
def links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        expect((ROOT / "docs" / target).exists(), target)


# ---- proxies --------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def origin_handshake(origin):
    return handshake("/", f"Origin: {origin}").replace(b"Host: localhost", b"Host: www.example")


@contextlib.contextmanager
def behind(program, text, directory, ini):
    """gyr-echo with the settings of `ini`, and a proxy in front of it; the proxy's address."""
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if found is None:
        raise Skip(f"{program} is not installed")
    port = free_port()
    path = pathlib.Path(directory, "gyr.ini")
    path.write_text(ini)
    configuration = pathlib.Path(directory, "proxy.conf")
    with Logged("--cores", CORE, "--config", str(path), access_log=1) as server:
        configuration.write_text(text.replace("127.0.0.1:8080", "127.0.0.1:%d" % server.address[1])
                                 .replace("listen 80;", f"listen 127.0.0.1:{port};")
                                 .replace("bind :80", f"bind 127.0.0.1:{port}"))
        proxy = subprocess.Popen([found, "-c" if program == "nginx" else "-f", str(configuration)])
        try:
            def listening():
                expect(proxy.poll() is None, "the proxy has ended")
                with contextlib.suppress(ConnectionError):
                    Http(("127.0.0.1", port)).socket.close()
                    return True
                return False

            eventually(listening, "the proxy listens")
            yield "127.0.0.1", port
        finally:
            proxy.terminate()
            proxy.wait()
        lines = [line for line in server.ended() if " client=" in line]
        expect(lines and all(" client=127.0.0.9" in line for line in lines), f"all are the client's: {lines}")


def passes_clients_on(address):
    for content, status in [(request("GET", "/plaintext"), 200), (origin_handshake("https://www.example"), 101),
                            (origin_handshake("https://evil.example"), 403)]:
        with Http(address, source="127.0.0.9") as http:
            http.send(content)
            found = re.match(rb"HTTP/1.1 (\d+)", http.take(12))
            equal(int(found[1]), status, content[:100])


@test
def nginx_as_on_the_page_passes_clients_on():
    with tempfile.TemporaryDirectory() as directory:
        folders = "".join(f"{name}_temp_path {directory}/{name};" for name in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = (f"daemon off; pid {directory}/pid; error_log {directory}/log; events {{}}\n"
                f"http {{ access_log off; {folders}\n{blocks('nginx')[0]}}}\n")
        (ini,) = [block for block in blocks("ini") if "forwarded = " in block]
        with behind("nginx", text, directory, ini) as address:
            passes_clients_on(address)


@test
def haproxy_as_on_the_page_passes_clients_on():
    with tempfile.TemporaryDirectory() as directory:
        (ini,) = [block for block in blocks("ini") if "proxy_protocol = " in block]
        with behind("haproxy", blocks("haproxy")[0], directory, ini) as address:
            passes_clients_on(address)


if __name__ == "__main__":
    sys.exit(run())
