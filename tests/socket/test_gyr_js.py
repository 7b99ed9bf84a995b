# SPDX-License-Identifier: MIT
"""examples/gyr.js against a server, in Node and in a browser; what it promises stands in gyr_js.mjs."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from browser import Browser
from kit import BIN, DEADLINE, MODE, ROOT, RING, Skip, equal, eventually, expect, run, test
from readme import LIBRARIES, free_port, wait

SOURCE = ROOT / "tests/socket/service/gyr_js.c"
SCENARIOS = ROOT / "tests/socket/gyr_js.mjs"
PACKAGES = "/usr/share/nodejs/ws", "/usr/lib/node_modules/ws"  # where Debian's node-ws is


class Service:
    """The program of SOURCE, compiled as a service would be."""

    def __enter__(self):
        if MODE not in ("release", "debug"):
            raise Skip(f"the library of MODE={MODE} is linked otherwise")
        compiler = shutil.which("cc")
        if compiler is None:
            raise Skip("there is no cc")
        self.directory = tempfile.TemporaryDirectory()
        program = f"{self.directory.name}/gyr_js"
        result = subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", str(SOURCE),
                                 str(BIN.parent / "libgyr.a"), *LIBRARIES, "-o", program],
                                capture_output=True, text=True, check=False)
        equal(result.returncode, 0, result.stderr)
        self.port = free_port()
        self.process = subprocess.Popen([program, f"127.0.0.1:{self.port}", RING, str(ROOT / "examples"),
                                         str(SCENARIOS.parent)])
        wait(self.process, ("127.0.0.1", self.port))
        return self

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        try:
            status = self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.directory.cleanup()
        if kind is None:
            equal(status, 0, "exit status")


def check(results):
    expect(len(results) > 10, "there are scenarios")
    equal([f"{name}: {wrong}" for name, wrong in results if wrong], [], "what is wrong")


def node_command():
    """Node with a WebSocket: its own, or that of the package ws."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        raise Skip("there is no node")
    own = subprocess.run([node, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"], check=False)
    if own.returncode == 0:
        return [node], []
    packages = [package for package in PACKAGES if os.path.isdir(package)]
    if not packages:
        raise Skip("this node has no WebSocket, and there is no package ws")
    return [node], packages[:1]


@test
def client_keeps_its_promises_in_node():
    node, package = node_command()
    with Service() as service:
        result = subprocess.run([*node, str(SCENARIOS), f"ws://127.0.0.1:{service.port}", str(ROOT / "examples/gyr.js"),
                                 *package], capture_output=True, text=True, check=False, timeout=10 * DEADLINE)
        equal(result.returncode, 0, result.stderr)
        check(json.loads(result.stdout))


@test
def client_keeps_its_promises_in_a_browser():
    with Service() as service, Browser() as browser:
        browser.open(f"http://127.0.0.1:{service.port}/examples/gyr.js")
        eventually(lambda: browser.evaluate("document.readyState === 'complete'"), "there is a page of this origin")
        browser.evaluate(
            "Promise.all([import('/examples/gyr.js'), import('/tests/gyr_js.mjs')]).then(([client, scenarios]) =>"
            f" scenarios.run(client, 'ws://127.0.0.1:{service.port}', WebSocket)).then("
            "(results) => { window.results = results; }, (error) => { window.results = [['import', String(error)]]; })"
            " && 0")
        eventually(lambda: browser.evaluate("window.results !== undefined"), "all scenarios have ended")
        check(browser.evaluate("window.results"))


@test
def client_is_short_and_a_module_by_itself():
    text = pathlib.Path(ROOT / "examples/gyr.js").read_text()
    expect(text.count("\n") < 200, f"{text.count(chr(10))} lines")
    expect("import " not in text.split("*/", 1)[1].split("/*", 1)[0], "it imports nothing")


if __name__ == "__main__":
    sys.exit(run())
