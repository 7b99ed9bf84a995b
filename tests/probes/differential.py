# SPDX-License-Identifier: MIT
"""The cases of the tables against gyr-echo, nginx and h2o, as Debian ships these two, each with a static
answer: tests/probes/differential.py. Writes docs/http-differences.md, where those stand on which the
three do not agree, with the reasons of reasons.py; ends with 1 if a case has none or no longer needs it.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "socket")]

from case import CLOSED, KEEP, MARKER, SILENT  # noqa: E402
from cases import CASES  # noqa: E402
from kit import DEADLINE, ROOT, Server, eventually  # noqa: E402
from reasons import REASONS  # noqa: E402
from run import HASTY, Client  # noqa: E402

DOCUMENT = ROOT / "docs/http-differences.md"
AT_ONCE = 16
HTTP_0_9, HTTP_2 = "as HTTP/0.9", "as HTTP/2"  # in the place of a status

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_header_timeout 1s;
    client_body_timeout 1s;
    keepalive_timeout 1s;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "OK"; }} }}
}}
"""

H2O = """
listen: {{host: 127.0.0.1, port: {port}}}
num-threads: 1
http1-request-timeout: 1
hosts:
  default:
    paths:
      /:
        mruby.handler: |
          Proc.new {{|env| [200, {{"content-type" => "text/plain"}}, ["OK"]] }}
"""

HEAD = """# Where servers differ

`make http-differential` sends the {count} cases of [tests/probes](../tests/probes/cases.py) to gyr-echo,
nginx {nginx} and h2o {h2o}, the last two as Debian ships them with one static answer for all. On {agreed}
of them the three agree: all take the request, or all refuse it. The others are below; this page is
written by that command, and its reasons by hand.

An entry is the first answer. `+` says that a second, pipelined request behind was answered too, on the
same connection; `cut` that the connection ended without an answer; `silent` that nothing came and it stayed
open. **Bold** is against a requirement of the section, or takes what its grammar does not have, from which a
recipient may try to recover at its own risk (RFC 9110 section 2.4). The strength is that of RFC 2119; `-` where
no section decides. The path of most requests is `/`; a 204, 404 or 405 that goes on is the service of gyr-echo and
counts as taken.
"""


@contextlib.contextmanager
def peer(template, *command):
    """A server on a free port, with a configuration of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "wb") as log:
        config = pathlib.Path(folder, "config")
        config.write_text(template.format(folder=folder, port=address[1]))
        process = subprocess.Popen([*command, str(config)], stdout=log, stderr=log)

        def answers():
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended: {pathlib.Path(folder, 'log').read_text()}")
            with contextlib.suppress(ConnectionRefusedError), Client(address):
                return True

        try:
            eventually(answers, f"{command[0]} listens")
            yield address
        finally:
            process.terminate()
            process.wait(DEADLINE)


def statuses(content, no_body):
    """The final statuses in a stream of answers; last what is no answer of HTTP/1.1."""
    found = []
    while content:
        head, separator, rest = content.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] ([1-5][0-9][0-9])", head)
        if not status or not separator:
            return [*found, HTTP_2 if content.startswith(b"\0\0") else HTTP_0_9]
        status = int(status[1])
        size = re.search(rb"\r\ncontent-length: *([0-9]+)", head.lower())
        bodyless = status < 200 or status in (204, 304) or (no_body and not found)
        content = rest if bodyless else rest[int(size[1]):] if size else b""
        if status >= 200:
            found.append(status)
    return found


def observe(address, case):
    """The first status, and whether the request behind was answered as well."""
    with Client(address) as client:
        client.socket.settimeout(15)
        client.send_anyway(case.send + (b"" if case.after == SILENT else MARKER))
        try:
            while client.more():
                pass
        except TimeoutError:
            if not client.buffer:
                return "silent", False
        found = statuses(client.buffer, case.no_body)
    extra = found[1:]
    return (found[0] if found else CLOSED), bool(extra) and extra[-1] in (200, 204)


def observe_all(address):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip((case.id for case in CASES), pool.map(lambda case: observe(address, case), CASES)))


def taken(outcome):
    status, goes_on = outcome
    return status in (200, 204, 206, HTTP_0_9, HTTP_2) or (status in (404, 405) and goes_on)


def right(case, outcome):
    status, goes_on = outcome
    if case.ends and goes_on:
        return False
    if status == 200 and case.after == KEEP and taken((case.right[0], True)):
        return True  # a static answer for what the service of gyr-echo has a code for
    if status == HTTP_2:
        return case.send.startswith(b"PRI * HTTP/2.0")
    return status in case.right


def shown(case, outcome):
    status, goes_on = outcome
    text = ("cut" if status == CLOSED else str(status)) + (" +" if goes_on else "")
    return text if right(case, outcome) else f"**{text}**"


def version(*command):
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.search(r"[0-9]+\.[0-9]+\.[0-9]+", output.stdout + output.stderr)[0]


def document(seen):
    """The page, and the complaints about reasons that do not fit."""
    differing = {case.id: case for case in CASES if len({taken(each[case.id]) for each in seen}) > 1}
    head = HEAD.format(count=len(CASES), agreed=len(CASES) - len(differing),
                       nginx=version("nginx", "-v"), h2o=version("h2o", "--version"))
    parts, complaints = [head], []
    for title, text, ids in REASONS:
        parts.append(f"\n## {title}\n\n{text.strip()}\n\n| case | sends | gyr | nginx | h2o | section |\n"
                     "|---|---|---|---|---|---|\n")
        for name in ids:
            case = differing.pop(name, None)
            if case is None:
                complaints.append(f"{name}: the servers agree, or it stands twice in reasons.py")
                continue
            cells = " | ".join(shown(case, each[name]) for each in seen)
            parts.append(f"| {name} | {case.what} | {cells} | {case.rfc}, {case.level} |\n")
    for case in differing.values():
        told = ", ".join(shown(case, each[case.id]) for each in seen)
        complaints.append(f"{case.id}: no reason in reasons.py ({case.what}: gyr, nginx, h2o: {told})")
    return "".join(parts), complaints


def main():
    with (Server("--cores", "0", **HASTY) as gyr, peer(NGINX, "nginx", "-c") as nginx, peer(H2O, "h2o", "-c") as h2o):
        seen = [observe_all(address) for address in (gyr.address, nginx, h2o)]
    text, complaints = document(seen)
    DOCUMENT.write_text(text)
    for complaint in complaints:
        print(complaint)
    print(f"http-differential: {DOCUMENT.relative_to(ROOT)} is written, {len(complaints)} reasons do not fit")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
