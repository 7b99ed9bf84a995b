# SPDX-License-Identifier: MIT
"""gyr-chat, line by line: who hears what, in which order, on which core; names; and what is refused."""

import contextlib
import json
import os
import sys

from kit import (BIN, BINARY, CLOSE, TEXT, Server, Skip, equal, eventually, expect, fails, frame, handshake, request,
                 run, test)

ROOMS = ["lobby", "games", "music"]
COUNTERS = ["websockets", "memberships", "published", "queued", "dropped", "refused"]


class Chat(Server):
    program = str(BIN / "gyr-chat")

    def enter(self, name=None, **options):
        return Guest(self, name, **options)

    def enter_on_each_core(self):
        """Two or three guests, the first and the last on different cores; all of them are quiet."""
        if len(os.sched_getaffinity(0)) < 2:
            raise Skip("there is one core only")
        guests = [self.enter("guest0")]
        # With `balance = least` the third at the latest is on another core than the first.
        while guests[-1].core == guests[0].core:
            expect(len(guests) < 3, "connections are spread")
            guests.append(self.enter(f"guest{len(guests)}"))
        for guest in guests[:-1]:
            guest.until({"came": guests[-1].name})
        return guests


class Guest:
    """One page: a WebSocket that sorts what it gets. With a name it has entered."""

    def __init__(self, server, name=None, **options):
        self.ws = server.websocket("/chat", **options)
        self.counters = {}  # of each core, the newest
        self.counters_seen = 0
        hello = self.next()
        equal(hello["hello"], ROOMS, "rooms")
        self.core, self.cores = hello["core"], hello["cores"]
        self.name = name
        if name is not None:
            self.send(f"name {name}")
            equal(self.next(), {"name": name}, "the answer to the name")
            self.until({"came": name})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.http.socket.close()

    def send(self, *lines):
        self.ws.send(*[frame(TEXT, line if isinstance(line, bytes) else line.encode()) for line in lines])

    def next(self):
        """The next object that is no counters; those are kept, each core's newest."""
        while True:
            found = json.loads(self.ws.message().payload)
            if "counters" not in found:
                return found
            self.take(found)

    def count(self):
        """Wait for one core's counters; how many cores have sent some."""
        found = json.loads(self.ws.message().payload)
        expect("counters" in found, f"counters: {found}")
        self.take(found)
        return len(self.counters)

    def take(self, found):
        self.counters[found["core"]] = found["counters"]
        self.counters_seen += 1

    def sum(self, name):
        return sum(values[COUNTERS.index(name)] for values in self.counters.values())

    def until(self, wanted):
        """What comes before this object, which must come."""
        before = []
        while True:
            found = self.next()
            if found == wanted:
                return before
            before.append(found)

    def refused(self, line):
        """Why this line is not taken."""
        self.send(line)
        answer = self.next()
        expect("refused" in answer, f"{line!r}: {answer}")
        return answer["refused"]

    def said(self, count):
        """The next messages of rooms, without what else there is."""
        found = []
        while len(found) < count:
            message = self.next()
            if "say" in message:
                found.append(message)
        return found


# ---- who hears what -------------------------------------------------------------------------------


@test
def everyone_sees_everything_in_the_same_order_on_every_core():
    with Chat() as server, contextlib.ExitStack() as stack:
        guests = server.enter_on_each_core()
        for guest in guests:
            stack.enter_context(guest)
        count = 200
        for round_ in range(count):  # all of them at once, in small pieces
            for guest in guests:
                guest.send(f"say {ROOMS[round_ % 2]} {guest.name} {round_}")
        seen = [guest.said(count * len(guests)) for guest in guests]
        for room in ROOMS[:2]:
            orders = [[message for message in all_ if message["room"] == room] for all_ in seen]
            equal(len(orders[0]), count * len(guests) // 2, f"messages in {room}")
            for order in orders[1:]:
                equal(order, orders[0], f"order in {room}")
            for guest in guests:
                own = [message for message in orders[0] if message["from"] == guest.name]
                equal([int(message["say"].split()[1]) for message in own],
                      list(range(ROOMS.index(room), count, 2)), f"{guest.name} in {room}, in the order of saying")
                equal({message["core"] for message in own}, {guest.core}, "where it was said")


@test
def who_comes_later_hears_what_is_said_from_then_on():
    with Chat() as server, server.enter("ada") as ada:
        ada.send("say lobby before")
        equal(ada.said(1)[0]["say"], "before", "it is said")
        with server.enter("bob") as bob:
            ada.until({"came": "bob"})
            ada.send("say lobby after")
            equal([message["say"] for message in bob.said(1)], ["after"], "what bob hears first")


@test
def arrivals_and_departures_are_told_once():
    with Chat() as server, server.enter("ada") as ada:
        for leave in "close", "reset":
            bob = server.enter("bob")
            equal(ada.until({"came": "bob"}), [], "nothing before")
            if leave == "close":
                bob.ws.send(frame(CLOSE, b"\x03\xe8"))
            else:
                bob.ws.http.reset()
            equal(ada.until({"went": "bob"}), [], f"{leave}: once for three rooms")
        ada.send("say music .")
        equal(ada.next()["say"], ".", "nothing between")


@test
def who_has_no_name_is_in_no_room():
    with Chat() as server, server.enter("ada") as ada, server.enter() as nobody:
        ada.send("say lobby hello")
        ada.said(1)
        for line in "say lobby hello", "tell ada hello":
            expect("who you are" in nobody.refused(line), "it is asked for its name")  # and hears nothing before that
        ada.send("say lobby again")
        equal(ada.next()["say"], "again", "nothing was said")


@test
def text_of_any_kind_arrives_as_it_was_written():
    texts = ['"quoted" \\ and \\u0041', "<script>alert(1)</script>", "tab\there, line\nbreak, bell\x07, nul\x00",
             "del\x7f", "Grüße, 世界 🙂 \u2028\u202e", "  blanks  around  ", "name eve", "x" * 2000, "\x01" * 2000]
    with Chat() as server, server.enter('a"\\<b>ü') as ada:
        for text in texts:
            ada.send(f"say lobby {text}")
            message = ada.said(1)[0]
            equal(message, {"say": text, "room": "lobby", "from": 'a"\\<b>ü', "core": ada.core}, "message")
            ada.send(f'tell a"\\<b>ü {text}')
            equal(ada.next(), {"tell": text, "from": 'a"\\<b>ü', "to": 'a"\\<b>ü'}, "message to oneself")
            equal(ada.next(), {"tell": text, "from": 'a"\\<b>ü', "to": 'a"\\<b>ü'}, "and the sender's copy")


# ---- names ----------------------------------------------------------------------------------------


@test
def name_belongs_to_one_on_whichever_core():
    with Chat() as server, contextlib.ExitStack() as stack:
        guests = server.enter_on_each_core()
        for guest in guests:
            stack.enter_context(guest)
        with server.enter() as late:
            for guest in guests:
                expect("somebody has this name" in late.refused(f"name {guest.name}"), "it is told")
            late.send("name late")
            equal(late.next(), {"name": "late"}, "another name is free")
            late.until({"came": "late"})
        for guest in guests:
            guest.until({"went": "late"})
            guest.send("say lobby I am still here")  # and the first keeps its name
            guest.until({"say": "I am still here", "room": "lobby", "from": guest.name, "core": guest.core})


@test
def name_is_free_again_when_its_owner_has_gone():
    with Chat() as server, server.enter("ada") as ada:
        for _ in range(3):
            with server.enter("bob"):
                ada.until({"came": "bob"})
            ada.until({"went": "bob"})
            with server.enter() as bob:
                # It is given up when on_close has returned, which is a moment after the farewell.
                eventually(lambda: bob.ws.send(frame(TEXT, b"name bob")) or "name" in bob.next(), "bob is free again")
            ada.until({"went": "bob"})


@test
def bad_names_are_refused():
    with Chat() as server, server.enter() as guest:
        for name in "", "two words", "tab\there", "line\nbreak", "nul\x00", "del\x7f", "x" * 33, "ü" * 17:
            expect("1 to 32 bytes" in guest.refused(f"name {name}"), repr(name))
        guest.send("name " + "ü" * 16)
        equal(guest.next(), {"name": "ü" * 16}, "32 bytes")
        guest.until({"came": "ü" * 16})
        for name in "other", "ü" * 16:
            expect("already" in guest.refused(f"name {name}"), f"{name}, too")


@test
def message_to_one_reaches_nobody_else():
    with Chat() as server, contextlib.ExitStack() as stack:
        guests = server.enter_on_each_core()
        for guest in guests:
            stack.enter_context(guest)
        first, last = guests[0], guests[-1]
        third = stack.enter_context(server.enter("third"))
        for guest in guests:
            guest.until({"came": "third"})
        wanted = {"tell": "between us", "from": first.name, "to": last.name}
        first.send(f"tell {last.name} between us")
        equal(first.next(), wanted, "the sender's copy")
        equal(last.next(), wanted, "the message")
        first.send("say lobby to all")
        for guest in [*guests, third]:
            equal(guest.next()["say"], "to all", "nothing else has come")


@test
def message_to_nobody_is_refused():
    with Chat() as server, server.enter("ada") as ada:
        for name in "bob", "x" * 33, "y" * 1900, "":
            expect("nobody here" in ada.refused(f"tell {name} hello"), name)
        with server.enter("bob"):
            ada.until({"came": "bob"})
        ada.until({"went": "bob"})
        eventually(lambda: ada.send("tell bob hello") or "refused" in ada.next(), "bob has gone")


# ---- what is refused ------------------------------------------------------------------------------


@test
def lines_that_say_nothing_are_refused():
    with Chat() as server, server.enter("ada") as ada:
        for line in ("", "say", "say lobby", "say lobby ", "tell", "tell ada", "tell ada ", "say lobby " + "x" * 2001,
                     "tell ada " + "ü" * 1001):
            expect("1 to 2000 bytes" in ada.refused(line), line[:20])
        for line in "say kitchen hello", "say counters hello", "say  hello", "say LOBBY hello", "say lobby\0 hello":
            expect("no such room" in ada.refused(line), line)
        for line in "shout lobby hello", "SAY lobby hello", " say lobby hello", "/msg ada hello":
            expect("begins with" in ada.refused(line), line)
        ada.send("say lobby hello")
        equal(ada.next()["say"], "hello", "nothing of it was said")


@test
def binary_messages_end_the_connection():
    with Chat() as server, server.enter("ada") as ada:
        ada.ws.send(frame(BINARY, b"say lobby hello"))
        equal(ada.ws.closed(), 1003, "close code")


@test
def only_the_page_and_the_chat_are_there():
    with Chat() as server:
        for method, target, status in (("GET", "/", 200), ("GET", "/index.html", 404), ("GET", "/chat", 404),
                                       ("POST", "/", 405), ("DELETE", "/chat", 404), ("GET", "/stats", 404)):
            with server.connect() as http:
                http.send(request(method, target))
                equal(http.response().status, status, f"{method} {target}")
        for path in "/", "/chats", "/chat/":
            with server.connect() as http:
                http.send(handshake(path))
                expect(http.response().status != 101, f"{path} is no chat")
        with server.connect() as http:
            http.send(request("HEAD", "/"))
            response = http.response(head_only=True)
            equal((response.status, response.field("connection")), (200, "close"), "the page's connection is closed")
            expect(int(response.field("content-length")) > 1000, "size of the page")
            equal(http.rest(), b"", "nothing behind the head")


@test
def page_of_another_origin_may_not_chat():
    with Chat() as server:
        with server.connect() as http:
            http.send(handshake("/chat", "Origin: http://elsewhere.example"))
            equal(http.response().status, 403, "status")


@test
def program_says_who_it_is():
    with Chat() as server:
        expect(server.line.startswith("gyr-chat: listening on http://127.0.0.1:"), server.line)
    fails(2, ["--files", "gyr-chat --help"], "--files", ".", program=Chat.program)
    fails(1, ["gyr-chat: ", "nonsense"], "--set", "nonsense=1", program=Chat.program)


# ---- counters and slow readers --------------------------------------------------------------------


@test
def counters_of_every_core_come_to_everyone_and_move():
    with Chat() as server, server.enter("ada") as ada, server.enter() as guest:
        for reader in ada, guest:  # also to those without a name
            eventually(lambda: reader.count() == reader.cores and reader.sum("websockets") == 2, "each core's counters")
        eventually(lambda: ada.count() and ada.sum("memberships") == 4 + 1, "ada's rooms, and the counters of both")
        published, said = ada.sum("published"), 50
        for _ in range(said):
            ada.send("say lobby .")
        ada.said(said)
        eventually(lambda: ada.count() and ada.sum("published") >= published + said, "what was said is counted")


@test
def slow_reader_misses_the_oldest_and_is_told_how_many():
    with Chat() as server, server.enter("ada") as ada, server.enter("bob", receive_buffer=4096) as bob:
        ada.until({"came": "bob"})
        text = "x" * 1900
        sent = 0
        # Counters that are replaced count, too, but there are few of them.
        while ada.sum("dropped") < 1000:
            for _ in range(200):
                ada.send(f"say lobby {sent} {text}")
                sent += 1
            ada.said(200)
            expect(sent < 100000, "something is dropped at last")
        ada.send("say lobby the last")
        equal(ada.said(1)[0]["say"], "the last", "ada has it all")
        numbers, dropped = [], 0
        while True:  # bob reads again
            message = bob.next()
            dropped += message.get("dropped", 0)
            if message.get("say") == "the last":
                break
            if "say" in message:
                numbers.append(int(message["say"].split()[0]))
        equal(numbers, sorted(set(numbers)), "in order, and none twice")
        equal(numbers[-1], sent - 1, "the newest are there")
        expect(len(numbers) < sent, "and others are missing")
        missing = sent - len(numbers)
        while dropped < missing:
            dropped += bob.next().get("dropped", 0)
        # Counters that were replaced by newer ones before bob read them count, too.
        expect(dropped - missing <= ada.counters_seen + 2 * ada.cores, f"bob is told: {dropped} for {missing}")


if __name__ == "__main__":
    sys.exit(run())
