# SPDX-License-Identifier: MIT
"""gyr-tasks over plain sockets: its page, requests and WebSockets, what it refuses, and its table of routes."""

import json
import subprocess
import sys

from kit import BIN, TEXT, Server, equal, eventually, expect, frame, request, run, test


class Tasks(Server):
    program = str(BIN / "gyr-tasks")

    def ask(self, method, target, *fields, body=b""):
        with self.connect() as http:
            http.send(request(method, target, *fields, body=body))
            return http.response()

    def post(self, project, content, user="ada"):
        return self.ask("POST", f"/projects/{project}?user={user}", "Content-Type: application/json",
                        body=json.dumps(content).encode())


def told(ws):
    """The next message but those of the worker."""
    while True:
        message = json.loads(ws.message().payload)
        if message["type"] != "progress":
            return message


def say(ws, **message):
    ws.send(frame(TEXT, json.dumps(message).encode()))


@test
def page_and_script_are_served():
    with Tasks() as server:
        page, script = server.ask("GET", "/"), server.ask("GET", "/gyr.js")
        equal((page.status, script.status), (200, 200), "status")
        expect(b"<title>gyr-tasks</title>" in page.body and b"export class Gyr" in script.body, "content")
        equal(server.ask("GET", "/nowhere").status, 404, "another path")
        equal(server.ask("DELETE", "/gyr.js").status, 405, "another method")


@test
def requests_and_websockets_see_the_same_tasks():
    with Tasks() as server, server.websocket("/projects/garden?user=bob") as ws:
        equal(told(ws), {"type": "tasks", "tasks": []}, "nothing yet")
        tea = {"id": 1, "title": "Tea", "by": "ada", "done": False}
        answer = server.post("garden", {"title": "Tea"})
        equal((answer.status, json.loads(answer.body)), (201, tea), "the answer")
        equal(told(ws), {"type": "task", **tea}, "and the room")
        say(ws, type="done", task=1)
        equal(told(ws), {"type": "task", **tea, "done": True}, "no request: the room hears it")
        say(ws, type="done", task=1, id="a")
        equal(told(ws), {"type": "task", **tea, "done": True}, "the room, and")
        equal(told(ws), {"type": "task", "re": "a", **tea, "done": True}, "the answer")
        say(ws, type="done", task=2, id=7)
        equal(told(ws), {"type": "error", "re": 7, "code": "unknown", "reason": "there is no such task",
                         "path": "task"}, "an error")
        say(ws, type="done", task=2)
        say(ws, type="done", task=1, id=8)
        equal(told(ws), {"type": "task", **tea, "done": True}, "no request: nobody is told, and it goes on")
        equal(told(ws), {"type": "task", "re": 8, **tea, "done": True}, "the next answer")
        equal(json.loads(server.ask("GET", "/projects/other?user=ada").body), {"tasks": []}, "another project")


@test
def who_does_not_say_who_it_is_is_refused():
    with Tasks() as server:
        for query in "", "?user=", "?other=ada", "?user=" + "x" * 40:
            equal(server.ask("GET", f"/projects/garden{query}").status, 401, query)
        equal(server.ask("GET", "/projects/" + "x" * 33 + "?user=ada").status, 404, "too long a name")


@test
def content_that_does_not_fit_is_refused_with_its_place():
    with Tasks() as server:
        for content, code, path in (({}, "missing", "title"), ({"title": ""}, "size", "title"),
                                    ({"title": 1}, "type", "title"), ({"title": "x", "by": "y"}, "unknown_member", "by")):
            answer = server.post("garden", content)
            found = json.loads(answer.body)
            equal((answer.status, found["code"], found["path"]), (400, code, path), str(content))
        equal(json.loads(server.ask("GET", "/projects/garden?user=ada").body), {"tasks": []}, "nothing was added")


@test
def worker_tells_how_far_a_project_is():
    with Tasks() as server, server.websocket("/projects/garden?user=bob") as ws:
        server.post("garden", {"title": "Tea"})
        seen = []

        def progress():
            seen.append(json.loads(ws.message().payload))
            return seen[-1] == {"type": "progress", "open": 1, "done": 0}

        eventually(progress, "the worker tells")


@test
def project_that_is_full_says_so():
    with Tasks() as server:
        for number in range(100):
            equal(server.post("garden", {"title": f"{number}"}).status, 201, "room for 100")
        answer = server.post("garden", {"title": "one more"})
        equal((answer.status, json.loads(answer.body)["code"]), (507, "full"), "no more")


@test
def routes_are_shown():
    result = subprocess.run([str(BIN / "gyr-tasks"), "--routes"], capture_output=True, text=True, check=True)
    for word in "/projects/{project}", "WebSocket", "GET", "POST", "/gyr.js":
        expect(word in result.stdout, f"{word} in {result.stdout}")


if __name__ == "__main__":
    sys.exit(run())
