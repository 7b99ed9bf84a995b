# SPDX-License-Identifier: MIT
"""A chromium that tests drive by the Chrome DevTools protocol, over the debugging port that it opens for that."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.request

from websockets.sync.client import connect

from kit import DEADLINE, Skip, eventually, expect

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--disable-default-apps", "--no-proxy-server", "--remote-debugging-port=0", "--window-size=1100,900"]


class Browser:
    """A chromium with one page and an empty profile of its own."""

    def __init__(self):
        self.program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if self.program is None:
            raise Skip("chromium is not installed")
        self.directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.number = 0
        self.events = []

    def __enter__(self):
        log = open(f"{self.directory.name}/log", "wb")
        self.process = subprocess.Popen(
            [self.program, *FLAGS, f"--user-data-dir={self.directory.name}/profile", "about:blank"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "HOME": self.directory.name})
        log.close()
        port_file = pathlib.Path(f"{self.directory.name}/profile/DevToolsActivePort")
        try:
            eventually(lambda: self.process.poll() is not None or self.port(port_file), "chromium opens its port")
            if self.process.poll() is not None:
                raise AssertionError("chromium ended: " +
                                     pathlib.Path(f"{self.directory.name}/log").read_text(errors="replace")[-300:])
            targets = []
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

            def page_is_there():
                with opener.open(f"http://127.0.0.1:{self.port(port_file)}/json/list", timeout=DEADLINE) as answer:
                    targets[:] = [target for target in json.load(answer) if target["type"] == "page"]
                return bool(targets)

            eventually(page_is_there, "chromium has a page")
            self.stack = contextlib.ExitStack()
            self.socket = self.stack.enter_context(
                connect(targets[0]["webSocketDebuggerUrl"], max_size=None, compression=None, proxy=None,
                        ping_interval=None, open_timeout=DEADLINE))
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.directory.cleanup()

    @staticmethod
    def port(path):
        with contextlib.suppress(OSError):
            return path.read_text().split("\n")[0]
        return ""

    def command(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv(timeout=DEADLINE))
            if answer.get("id") == self.number:
                expect("error" not in answer, f"{method}: {answer.get('error')}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression):
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        expect("exceptionDetails" not in result, f"{expression}: {result.get('exceptionDetails')}")
        return result["result"].get("value")

    def open(self, url):
        self.command("Page.enable")
        self.command("Runtime.enable")
        self.command("Log.enable")
        self.command("Page.navigate", url=url)

    def complaints(self):
        """Exceptions and errors that the page has caused so far."""
        self.evaluate("0")
        found = [event["params"]["exceptionDetails"] for event in self.events
                 if event.get("method") == "Runtime.exceptionThrown"]
        found += [event["params"]["entry"]["text"] for event in self.events
                  if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"]
        return found

    def type(self, text):
        self.command("Input.insertText", text=text)

    def press_enter(self):
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self.command("Input.dispatchKeyEvent", type="keyDown", **key)
        self.command("Input.dispatchKeyEvent", type="keyUp", **key)

    def click(self, element):
        box = self.evaluate(f"(() => {{ const b = document.querySelector('{element}').getBoundingClientRect();"
                            " return [b.x + b.width / 2, b.y + b.height / 2]; })()")
        for kind in "mousePressed", "mouseReleased":
            self.command("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
