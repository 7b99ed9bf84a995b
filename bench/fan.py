# SPDX-License-Identifier: MIT
"""The fan-out workloads of bench/run. Their servers make whoever opens a WebSocket on /sub/ROOM
a member of the room and publish to it what comes on /pub/ROOM; bench/fangen.c has the clients.

B1  one message at a time: the next is sent when all members have the last; CPU is per delivery
B2  the same with bursts of 32
B3  one server across two cores, each with a generator thread beside it on the same core, in three
    arrangements. `ring`: the publisher on the first core, the members on both. `apart`: on each core
    a publisher with half of the members, in a room of its own, so that no message crosses; both
    publish at the same time, and again when all members of both have everything. `one`: all on one
    core. CPU per delivery of `ring` is held to that of `apart`, the time of a whole fan-out to `one`.
    The command of the subject needs {cores}, and has to leave connections where the kernel's hash
    puts them.
B4  10,000 members of which 1 % never read, and none for comparison: the times from publish to each
    of the others in an open loop; the server's memory before and after. Servers run one after the
    other, each time afresh.
"""

import contextlib
import re
import statistics
import time
import urllib.request

from kit import (CONNECT_TIMEOUT_S, BenchError, Generator, Server, generator_output, ratio_text, spread,
                 turns_run)

STALLED_PERMILLE = 10

# name: (what, members, burst, payload size)
FAN = {
    f"{letter}-{count_text}-{size_text}":
        (f"fan-out to {count}, {size} B, {burst} at a time", count, burst, size)
    for letter, burst in (("B1", 1), ("B2", 32))
    for count_text, count in (("1k", 1000), ("10k", 10000))
    for size_text, size in (("64", 64), ("1k", 1024))
}
CROSS = {
    "B3-1k": ("fan-out across cores to 1000, 64 B", 1000, 1, 64),
    "B3-10k": ("fan-out across cores to 10000, 64 B", 10000, 1, 64),
    "B3-1k-32": ("fan-out across cores to 1000, 64 B, 32 at a time", 1000, 32, 64),
}
STALLED = {"B4": ("fan-out to 10000, 1 % never read, 4 KB", 10000, 1, 4096)}
STALLED_RATE = 5  # bursts a second

SUBJECT = ("gyr=build/release/bin/bench-fan_server --listen 127.0.0.1:{port} --cores {cores} "
           "--set heartbeat_interval_ms=0 --set balance=hash --set pin=1")
STALLED_QUEUE_SIZE = 65536
SUBJECTS_STALLED = [
    f"{policy}={SUBJECT.partition('=')[2]} --policy {policy} --queue-size {STALLED_QUEUE_SIZE}"
    for policy in ("drop-oldest", "close")]

BAR_CROSS_CPU = 1.10
BAR_CROSS_TIME = 1.03  # no longer than on one core; 3 % is a tie


def arguments(options, workload, seconds=None):
    _, members, burst, size = {**FAN, **CROSS, **STALLED}[workload]
    argv = [options.fangen, "--subscribers", str(members), "--burst", str(burst), "--size", str(size)]
    return argv + (["--seconds", str(seconds)] if seconds else [])


def turn_length(row):
    """Several fan-outs have to fit in."""
    return 0.4 if row[1] >= 10000 else 0


def fan_run(options, workload, servers, cores):
    def start(server):
        server.start(options, cores[0])
        # and a publisher
        return Generator(options, server, arguments(options, workload), FAN[workload][1] + 1, cores[1])

    return turns_run(options, servers, start, turn_length(FAN[workload]))


class Arrangement(Server):
    """The subject of B3 and how its members lie."""

    def __init__(self, subject, name, cores, rooms):
        super().__init__("arrangement", f"{name}={subject.command}")
        self.cores, self.rooms = cores, rooms

    def cpu_arguments(self):
        return ["--cpus", ",".join(str(c) for c in self.cores), "--rooms", str(self.rooms)]


def arrangements_of(subject, available):
    """The first is the reference."""
    if "{cores}" not in subject.command:
        raise BenchError(f"{subject.name}: its command has no {{cores}}")
    if len(available) < 2:
        raise BenchError("B3 needs two cores")
    both = available[:2]
    return [Arrangement(subject, "apart", both, 2), Arrangement(subject, "ring", both, 1),
            Arrangement(subject, "one", both[:1], 1)]


def cross_run(options, workload, arrangements):
    def start(server):
        server.start(options, set(server.cores))
        return Generator(options, server, arguments(options, workload) + server.cpu_arguments(),
                         CROSS[workload][1] + server.rooms, set(server.cores))

    return turns_run(options, arrangements, start, turn_length(CROSS[workload]))


def cross_lines(rounds):
    """What B3 is held to, below the table of the three arrangements."""
    cpu = [r["ring"]["cpu"] / r["apart"]["cpu"] for r in rounds]
    fan_out = [r["one"]["rate"] / r["ring"]["rate"] for r in rounds]
    lines = []
    for what, ratios, bar in (("CPU per delivery, ring / apart", cpu, BAR_CROSS_CPU),
                              ("time of a fan-out, ring / one", fan_out, BAR_CROSS_TIME)):
        met = statistics.median(ratios) <= bar
        lines.append(f"{what:32} {ratio_text(ratios)}  {'met' if met else 'MISSED'}: <= {bar:.2f}")
    return lines


def verify(options, workload, server, cores):
    """B3: the arrangement `ring`, with several publishers, so that there is an order to keep."""
    server.start(options, set(server.cores) if workload in CROSS else cores[0])
    argv = arguments(options, workload, options.verify_seconds) + ["--verify"]
    argv += ["--connect", f"127.0.0.1:{server.port}"]
    if workload in CROSS:
        argv += server.cpu_arguments() + ["--publishers", "3"]
        return generator_output(options, argv, set(server.cores), options.verify_seconds)
    return generator_output(options, argv, cores[1], options.verify_seconds)


def quantiles(text, name):
    match = re.search(rf"^{name} count=(\d+) p50=(\S+) p99=(\S+) p99.9=(\S+) max=(\S+)$", text, re.M)
    if not match:
        raise BenchError(f"no times in {text!r}")
    return [float(match.group(i)) for i in range(2, 6)]


def server_stats(server):
    with contextlib.suppress(OSError, ValueError):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/stats", timeout=5) as answer:
            return {name: int(value) for name, value in
                    (line.split() for line in answer.read().decode().splitlines())}
    return {}


def stalled_once(options, workload, server, cores, permille):
    """Times in microseconds, the growth of the resident set, and the counters before the end."""
    _, members, _, _ = STALLED[workload]
    with contextlib.ExitStack() as stack:
        stack.callback(server.end)
        server.start(options, cores[0])
        argv = arguments(options, workload, options.latency_seconds)
        argv += ["--rate", str(STALLED_RATE), "--stalled", str(permille)]
        generator = Generator(options, server, argv, members + 1, cores[1])
        stack.callback(generator.job.end)
        before = server.resident_bytes()
        # Shortly before the end everyone is still connected.
        time.sleep(options.latency_seconds + 0.5)  # it warms up for a second
        after, stats = server.resident_bytes(), server_stats(server)
        text = generator.job.process.communicate(timeout=CONNECT_TIMEOUT_S)[0].decode(errors="replace")
        if generator.job.process.returncode != 0:
            raise BenchError(f"{server.name}: {text}")
        server.job.check()
        generator.page.close()
        ended = re.search(r"the server has ended (\d+)", text)
        return {"each": quantiles(text, "each"), "whole": quantiles(text, "whole"),
                "growth": after - before, "stats": stats, "ended": int(ended.group(1)) if ended else 0}


def stalled_run(options, workload, servers, cores):
    """For each round and server: (nobody stalled, some stalled)."""
    rounds = []
    for round_index in range(options.latency_rounds):
        order = (0, STALLED_PERMILLE) if round_index % 2 == 0 else (STALLED_PERMILLE, 0)
        rounds.append({server.name: {permille: stalled_once(options, workload, server, cores, permille)
                                     for permille in order} for server in servers})
    return rounds


def stalled_lines(workload, servers, rounds):
    lines, short = [], {}
    lines.append(f"{'server':20} {'stalled':>7} {'each p50':>9} {'p99':>9} {'p99.9':>9} {'max':>9} ms "
                 f"{'whole p99':>10} ms {'resident':>10} {'heap':>10} {'dropped':>8} {'closed':>6}")
    for server in servers:
        for permille in (0, STALLED_PERMILLE):
            own = [r[server.name][permille] for r in rounds]
            each = [statistics.median(s["each"][i] for s in own) / 1e3 for i in range(4)]
            whole = statistics.median(s["whole"][1] for s in own) / 1e3
            last = own[-1]["stats"]
            lines.append(f"{server.name:20} {permille / 10:5.1f} % " +
                         " ".join(f"{value:9.2f}" for value in each) + f"    {whole:10.2f}    "
                         f"{statistics.median(s['growth'] for s in own) / 1e6:7.2f} MB " +
                         (f"{last['heap_bytes'] / 1e6:7.2f} MB {last['room_dropped']:8} "
                          f"{last['room_closed']:6}" if last else ""))
        ratios = [r[server.name][STALLED_PERMILLE]["each"][1] / r[server.name][0]["each"][1]
                  for r in rounds]
        lines.append(f"{server.name}: p99 of each, some stalled / calm {ratio_text(ratios)}")
        if rounds[-1][server.name][0]["stats"]:
            heap = [r[server.name][STALLED_PERMILLE]["stats"]["heap_bytes"] -
                    r[server.name][0]["stats"]["heap_bytes"] for r in rounds]
            count = STALLED[workload][1] * STALLED_PERMILLE / 1000
            lines.append(f"{server.name}: heap for each that never reads "
                         f"{statistics.median(heap) / count:.0f} B; --queue-size {STALLED_QUEUE_SIZE}")
        short[server.name] = f"{spread(ratios)[0]:.3f}"
    return lines, short
