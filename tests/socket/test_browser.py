# SPDX-License-Identifier: MIT
"""A real browser: chromium opens the page, types into it and reads the echo."""

import json
import os
import re
import sys

from browser import Browser
from kit import BIN, TEXT, Server, Skip, equal, eventually, expect, frame, run, test

LINES = "[...document.querySelectorAll('#log li')].map((li) => [li.className, li.querySelector('.text').textContent])"


def connected(browser):
    return browser.evaluate("document.querySelector('#state')?.dataset.state === 'open'")


@test
def page_echoes_what_is_typed():
    with Server() as server, Browser() as browser:
        browser.open(server.url())
        eventually(lambda: connected(browser), "the page is connected")
        state = browser.evaluate("document.querySelector('#state').textContent")
        expect(server.url("/", "ws") in state, state)

        browser.evaluate("document.querySelector('#message').focus()")
        browser.type("Hello from a browser, Grüße, 世界 🙂")
        browser.press_enter()
        wanted = [["sent", "Hello from a browser, Grüße, 世界 🙂"], ["received", "Hello from a browser, Grüße, 世界 🙂"]]
        eventually(lambda: len(browser.evaluate(LINES)) >= 2, "the echo is in the log")
        equal(browser.evaluate(LINES), wanted, "log")
        equal(browser.evaluate("document.querySelector('#message').value"), "", "the field is empty again")

        browser.type("<b>not markup</b>")
        browser.click("#send")
        eventually(lambda: len(browser.evaluate(LINES)) >= 4, "the second echo is in the log")
        equal(browser.evaluate(LINES)[2:], [["sent", "<b>not markup</b>"], ["received", "<b>not markup</b>"]], "log")
        equal(browser.complaints(), [], "errors of the page")


@test
def page_plots_round_trips_and_shows_counters():
    with Server() as server, Browser() as browser:
        browser.open(server.url())
        eventually(lambda: connected(browser), "the page is connected")
        eventually(lambda: int(browser.evaluate("document.querySelector('#count').textContent")) >= 5,
                   "round trips are counted")
        expect("µs" in browser.evaluate("document.querySelector('#median').textContent"), "a median is shown")
        eventually(lambda: browser.evaluate(
            "(() => { const c = document.querySelector('#plot');"
            " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((byte) => byte > 0); })()"),
            "something is drawn")
        cores = len(server.stats()["cores"])
        eventually(lambda: browser.evaluate("document.querySelectorAll('#stats tbody tr').length") == cores + 1,
                   "a row per core and one for the server")
        server_row = "document.querySelector('#stats tbody tr:last-child').textContent"
        before = browser.evaluate(server_row)
        eventually(lambda: browser.evaluate(server_row) != before, "events keep the counters up to date")
        equal(browser.complaints(), [], "errors of the page")


@test
def page_of_another_origin_is_refused_unless_it_is_listed():
    with Server() as home, Server() as strict, Server(origins=home.url("")) as friendly, Browser() as browser:
        browser.open(home.url())
        eventually(lambda: connected(browser), "the page is connected to its own host")
        for server, state in (strict, "close"), (friendly, "open"):
            browser.evaluate(f"(() => {{ window.other = ''; const socket = new WebSocket('{server.url('/', 'ws')}');"
                             " socket.onopen = () => { window.other = 'open'; };"
                             " socket.onclose = () => { window.other ||= 'close'; }; })()")
            eventually(lambda: browser.evaluate("window.other"), "it is decided")
            equal(browser.evaluate("window.other"), state, "what the page sees")
        equal(strict.stats()["server"]["forbidden"], 1, "counted")
        equal(friendly.stats()["server"]["upgrades"], 1, "upgraded")


@test
def page_says_when_the_server_has_gone():
    server = Server(shutdown_window_ms=0).start()
    with Browser() as browser:
        browser.open(server.url())
        eventually(lambda: connected(browser), "the page is connected")
        equal(server.stop(), 0, "exit status")
        eventually(lambda: browser.evaluate("document.querySelector('#state').dataset.state") == "closed",
                   "the page has noticed")
        equal(browser.evaluate("document.querySelector('#send').disabled"), True, "nothing can be sent")


# ---- the chat -------------------------------------------------------------------------------------


class Chat(Server):
    program = str(BIN / "gyr-chat")


def text_of(browser, selector):
    return browser.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''")


def core_of(browser):
    """The core that a page says it is on; -1 before it knows."""
    found = re.search(r"on core (\d+) of \d+$", text_of(browser, "#state"))
    return int(found[1]) if found else -1


def open_on_other_core(browser, url, other):
    """Load the page until the kernel, or the server's balance, has put it on another core."""
    for _ in range(64):
        browser.evaluate("window.isOld = true")
        browser.open(url)
        eventually(lambda: browser.evaluate("window.isOld !== true") and core_of(browser) >= 0, "the chat is connected")
        if core_of(browser) != other:
            return core_of(browser)
    raise AssertionError(f"64 connections are all on core {other}")


def said(browser):
    """What the room that is shown has, without notes."""
    return browser.evaluate("[...document.querySelectorAll('#log li.say')].map((li) =>"
                            " [li.querySelector('.from').firstChild.data, li.querySelector('.text').textContent])")


def write(browser, selector, text):
    browser.evaluate(f"document.querySelector('{selector}').focus()")
    browser.type(text)
    browser.press_enter()


@test
def chat_in_two_windows_on_two_cores_shows_the_same_in_the_same_order():
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("there is one core only")
    with Chat() as server, Browser() as first, Browser() as second:
        core = open_on_other_core(first, server.url(), -1)
        expect(open_on_other_core(second, server.url(), core) != core, "two cores")
        for browser, name in (first, "ada"), (second, "bob"):
            write(browser, "#name", name)
            eventually(lambda: text_of(browser, "#state").startswith(f"{name}, on core"), f"{name} has entered")
        eventually(lambda: "bob is here" in text_of(first, "#log"), "the other window is seen")

        count = 20
        for number in range(count):  # neither waits for the other
            write(first, "#message", f"{number} from the first")
            write(second, "#message", f"{number} <b>from</b> the second")
        for browser in first, second:
            eventually(lambda: len(said(browser)) == 2 * count, "everything is shown")
        equal(said(second), said(first), "the same in the same order")
        for name, words in ("ada", "from the first"), ("bob", "<b>from</b> the second"):
            equal([text for author, text in said(first) if author == name], [f"{i} {words}" for i in range(count)],
                  f"what {name} said, as text")

        write(first, "#message", "/msg bob between us")
        for browser, author in (first, "to bob (private)"), (second, "ada (private)"):
            eventually(lambda: text_of(browser, "#log li.private .from") == author, "the private message is shown")
            equal(text_of(browser, "#log li.private .text"), "between us", "private message")

        second.click("#tabs button[data-room=games]")
        write(second, "#message", "only in games")
        eventually(lambda: text_of(first, "#tabs button[data-room=games] .unread") == " 1", "the other tab counts it")
        equal(len(said(first)), 2 * count, "and the lobby does not show it")
        first.click("#tabs button[data-room=games]")
        equal(said(first), [["bob", "only in games"]], "the other room")
        for browser in first, second:
            equal(browser.complaints(), [], "errors of the page")


@test
def chat_shows_counters_of_each_core_that_move():
    with Chat() as server, Browser() as browser:
        browser.open(server.url())
        eventually(lambda: core_of(browser) >= 0, "the chat is connected")
        cores = int(text_of(browser, "#state").split()[-1])
        eventually(lambda: browser.evaluate("document.querySelectorAll('#counters tbody tr').length") == cores + 1,
                   "a row per core and one for all")
        equal(browser.evaluate("document.querySelectorAll('#counters tr.mine').length"), 1, "its own core is marked")
        row = "document.querySelector('#counters tbody tr:last-child').textContent"
        for _ in range(2):
            before = browser.evaluate(row)
            eventually(lambda: browser.evaluate(row) != before, "they move")
        equal(browser.complaints(), [], "errors of the page")


@test
def chat_asks_for_another_name_if_this_one_is_taken():
    with Chat() as server, server.websocket("/chat") as other, Browser() as browser:
        other.send(frame(TEXT, b"name ada"))
        browser.open(server.url())
        eventually(lambda: core_of(browser) >= 0, "the chat is connected")
        write(browser, "#name", "ada")
        eventually(lambda: "somebody has this name" in text_of(browser, "#trouble"), "the page says so")
        equal(browser.evaluate("document.querySelector('#chat').hidden"), True, "it is not in the rooms")
        browser.type("bob")  # the name that is refused is selected
        browser.press_enter()
        eventually(lambda: text_of(browser, "#state").startswith("bob, on core"), "it has entered")
        equal(text_of(browser, "#trouble"), "", "and the trouble is over")


@test
def chat_connects_again_and_keeps_its_name():
    server = Chat(shutdown_window_ms=0).start()
    with Browser() as browser:
        browser.open(server.url())
        eventually(lambda: core_of(browser) >= 0, "the chat is connected")
        write(browser, "#name", "ada")
        eventually(lambda: text_of(browser, "#state").startswith("ada"), "it has entered")
        equal(server.stop(), 0, "exit status")
        eventually(lambda: text_of(browser, "#state").startswith("closed"), "it has noticed")
        write(browser, "#message", "into the void")
        equal(browser.evaluate("document.querySelector('#message').value"), "into the void", "the text is kept")
        with Chat(listen=(f"127.0.0.1:{server.address[1]}",)):
            eventually(lambda: text_of(browser, "#state").startswith("ada, on core"), "it has entered again")
            browser.press_enter()
            eventually(lambda: said(browser) == [["ada", "into the void"]], "it is said now")


# ---- the tasks ------------------------------------------------------------------------------------


class Tasks(Server):
    program = str(BIN / "gyr-tasks")


def tasks_shown(browser):
    return browser.evaluate("[...document.querySelectorAll('#list li')].map((li) =>"
                            " [li.querySelector('label').textContent, li.querySelector('small').textContent,"
                            " li.querySelector('input').checked])")


def enter_project(browser, server, user, project="garden"):
    browser.open(server.url())
    eventually(lambda: browser.evaluate("document.querySelector('#open')?.disabled === false"), "the page is ready")
    browser.evaluate(f"document.querySelector('#project').value = {json.dumps(project)}")
    write(browser, "#user", user)
    eventually(lambda: text_of(browser, "#state") == "connected", f"{user} has entered")


@test
def tasks_in_two_windows_are_the_same_and_can_be_done_in_both():
    with Tasks() as server, Browser() as first, Browser() as second:
        enter_project(first, server, "ada")
        enter_project(second, server, "bob")
        write(first, "#title", "Water the <b>roses</b>")
        write(second, "#title", "T\u00fcr")
        wanted = [["Water the <b>roses</b>", "ada", False], ["T\u00fcr", "bob", False]]
        for browser in first, second:
            eventually(lambda: sorted(tasks_shown(browser)) == sorted(wanted), "both are shown, as text")
        second.click("#list li input")
        for browser in first, second:
            eventually(lambda: sum(done for _, _, done in tasks_shown(browser)) == 1, "one is done")
            eventually(lambda: text_of(browser, "#progress") == "1 open, 1 done", "the worker has told")
        enter_project(first, server, "ada")
        eventually(lambda: len(tasks_shown(first)) == 2, "who comes back sees all of it")
        enter_project(second, server, "bob", "another")
        equal(tasks_shown(second), [], "and nothing of another project")
        for browser in first, second:
            equal(browser.complaints(), [], "errors of the page")


@test
def tasks_page_says_what_is_wrong_with_a_task():
    with Tasks() as server, Browser() as browser:
        enter_project(browser, server, "ada")
        browser.evaluate("document.querySelector('#title').maxLength = 1000")
        write(browser, "#title", "x" * 201)
        eventually(lambda: text_of(browser, "#trouble") == "title: it is too short or too long", "the page says it")
        equal(tasks_shown(browser), [], "and nothing was added")


if __name__ == "__main__":
    sys.exit(run())
