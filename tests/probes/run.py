# SPDX-License-Identifier: MIT
"""Every case of the tables against gyr-echo, on each ring: tests/probes/run.py [--ring NAME]... [ID]...

A case holds if its first answer is the right one however the bytes are cut into packets, and if the
marked request that follows them is answered where the connection goes on, and nowhere else: not
pipelined behind the case, not sent after the answer, and not by the server's own count. Prints a line
for each miss and last `http-probes: N of M`, cases times rings; ends with 1 unless N is M.
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "socket")]

from case import CLOSE, CLOSED, KEEP, MARKER, MARKER_BODY, SILENT  # noqa: E402
from cases import CASES  # noqa: E402
from kit import Http, Server, expect  # noqa: E402

RINGS = ("uring", "epoll")
CUTS_MAX = 12  # packets of two; more places say nothing new for a case, and all bytes come singly too
SINGLE_BYTES_MAX = 1000

# Long enough for any machine, so that no case ends by them; and so short that silence is quick.
PATIENT = {"header_timeout_ms": 60000, "body_timeout_ms": 60000, "keep_alive_timeout_ms": 60000}
HASTY = {"header_timeout_ms": 1000, "body_timeout_ms": 1000, "keep_alive_timeout_ms": 1000}


def name(status):
    return "no answer" if status == CLOSED else str(status)


class Client(Http):
    """One connection for one case. A cut connection is an end like any other: what has been received
    before it counts."""

    def more(self):
        try:
            return super().more()
        except ConnectionResetError:
            return False

    def answers(self, case):
        """Final answers up to the end of the stream; 1xx are counted on the side."""
        found, interim = [], 0
        while self.buffer or self.more():
            response = self.response(head_only=case.no_body and not found)
            if response.status < 200:
                interim += 1
            else:
                found.append(response)
        expect(case.interim or interim == 0, f"{interim} answers of 1xx")
        expect(interim <= 1, f"{interim} answers of 1xx")
        return found


def judge(case, answers):
    """Compare the answers to a case, and to the marked request behind it."""
    statuses = [answer.status for answer in answers]
    wanted = [status for status in (case.right[0], *case.then) if status != CLOSED]
    if case.after == KEEP:
        wanted.append(200)
    told = " ".join(map(str, statuses)) or name(CLOSED)
    expect(statuses == wanted, f"{told} instead of {' '.join(map(str, wanted)) or name(CLOSED)}")
    marked = answers[len(wanted) - 1:] if case.after == KEEP else []
    for answer in answers:
        expect((answer.body == MARKER_BODY) == (answer in marked), f"marker among {told}")
    if case.check is not None:
        case.check(answers[0])
    if wanted and wanted[0] >= 400 and case.after == CLOSE:
        expect((answers[0].field("connection") or "").lower().startswith("close"), "no Connection: close")


def cuts(case):
    """Places to cut case and marker: around line ends, where parsers change their state, and at the
    seam. A place more than once is one."""
    size = len(case.send) + len(MARKER)
    seam = len(case.send)
    places = {1, seam - 1, seam, seam + 1, size // 2}
    at = case.send.find(b"\n", max(0, seam - 200))
    while at >= 0:
        places |= {at, at + 1}
        at = case.send.find(b"\n", at + 1)
    places = sorted(place for place in places if 0 < place < size)
    return [places[i * len(places) // CUTS_MAX] for i in range(CUTS_MAX)] if len(places) > CUTS_MAX else places


def ways(case):
    """Each way to send a case with the marked request behind it: lists of packets."""
    whole = case.send + MARKER
    yield "whole", [whole]
    for place in cuts(case):
        yield f"cut at {place}", [whole[:place], whole[place:]]
    if len(whole) <= SINGLE_BYTES_MAX:
        yield "byte by byte", [whole[i:i + 1] for i in range(len(whole))]


def run_pipelined(server, case):
    runs = 0
    for way, packets in ways(case):
        runs += 1
        with Client(server.address) as client:
            for packet in packets:
                client.send_anyway(packet)
            try:
                judge(case, client.answers(case))
            except AssertionError as error:
                raise AssertionError(f"{error} ({way})") from None
    return runs


def run_after_answer(server, case):
    """The marked request comes only when the first answer is there."""
    if case.right[0] == CLOSED:
        return 0
    with Client(server.address) as client:
        client.send_anyway(case.send)
        while b"\r\n\r\n" not in client.buffer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"", 1):
            expect(client.more(), "no answer before the marked request")
        client.send_anyway(MARKER)
        try:
            judge(case, client.answers(case))
        except AssertionError as error:
            raise AssertionError(f"{error} (marked request after the answer)") from None
    return 1


def run_case(server, case):
    """In every way; then by the server's own count of complete heads. Asking for it is a request too."""
    before = server.stats()["server"]["requests"]
    runs = run_pipelined(server, case) + run_after_answer(server, case)
    counted = server.stats()["server"]["requests"] - before - 1
    wanted = runs * (case.heads + (case.after == KEEP))
    expect(counted == wanted, f"{counted} requests counted in {runs} runs instead of {wanted}")


def run_silent(server, cases, miss):
    """Cases that wait: all at once, so that their time passes at once."""
    clients = []
    for case in cases:
        client = Client(server.address)
        client.send(case.send)
        clients.append((case, client))
    for case, client in clients:
        with client:
            try:
                judge(case, client.answers(case))
            except (AssertionError, OSError) as error:
                miss(case, error)


def run_ring(ring, cases, miss):
    waiting = [case for case in cases if case.after == SILENT]
    try:
        with Server("--cores", "0", ring=ring, **PATIENT) as server:
            for case in cases:
                if case.after == SILENT:
                    continue
                try:
                    run_case(server, case)
                except (AssertionError, OSError) as error:
                    miss(case, error)
        with Server("--cores", "0", ring=ring, **HASTY) as server:
            run_silent(server, waiting, miss)
    except (AssertionError, OSError) as error:
        print(f"miss {ring}: {error}", flush=True)
        for case in cases:
            miss(case, None)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--ring", action="append", help="uring or epoll; both by default")
    options.add_argument("ids", nargs="*", metavar="ID", help="cases whose id contains this; all by default")
    options = options.parse_args()
    rings = options.ring or RINGS
    cases = [case for case in CASES if not options.ids or any(word in case.id for word in options.ids)]
    missed = set()

    def miss(case, error):
        missed.add((ring, case.id))
        if error is not None:
            print(f"miss {ring} {case.id}: {' '.join(str(error).split())} [{case.level}, {case.rfc}]", flush=True)

    for ring in rings:
        run_ring(ring, cases, miss)
    total = len(cases) * len(rings)
    print(f"http-probes: {total - len(missed)} of {total}")
    return 1 if missed or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
