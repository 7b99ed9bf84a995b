# SPDX-License-Identifier: MIT
"""What bench/run measures and prints with: processes that take turns, servers, generators with their
counts, ratios."""

import contextlib
import mmap
import os
import pathlib
import re
import shlex
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 15
CONNECT_TIMEOUT_S = 60


class BenchError(Exception):
    pass


class Job:
    """A process group of ours: pinned to a core, or to a set of them, stopped, continued, ended."""

    def __init__(self, options, argv, core, log_path=None):
        self.argv = argv

        def prepare():
            os.setsid()
            os.sched_setaffinity(0, core if isinstance(core, set) else {core})
            if options.realtime:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

        output = open(log_path, "wb") if log_path else subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output,
                                        stderr=subprocess.STDOUT, preexec_fn=prepare, cwd=ROOT)
        if log_path:
            output.close()
        self.pids = [self.process.pid]
        if options.nice is not None:
            self.set_priority(options.nice)

    def set_priority(self, nice):
        """With autogroups, nice(2) would count only among the processes of one session."""
        pid = self.process.pid
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        with contextlib.suppress(OSError):
            pathlib.Path(f"/proc/{pid}/autogroup").write_text(str(nice))

    def adopt_children(self):
        """Note the processes that the command has started; called once it is ready."""
        group = self.process.pid
        self.pids = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                fields = proc_stat(int(entry))
                if int(fields[2]) == group and fields[0] != "Z":
                    self.pids.append(int(entry))

    def cpu_ns(self):
        """The CPU clock of all threads, dead ones included. It is the run time that
        /proc/PID/task/*/schedstat shows, brought up to now instead of to the last tick."""
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def stop(self):
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + 2
        while any(proc_stat(pid)[0] not in "TZ" for pid in self.pids):
            if time.monotonic() > deadline:
                raise BenchError(f"{self.argv[0]} does not stop")
            time.sleep(0.0005)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def check(self):
        if self.process.poll() is not None:
            text = self.process.stdout.read().decode(errors="replace") if self.process.stdout else ""
            raise BenchError(f"{shlex.join(self.argv)} ended with {self.process.returncode} {text}")

    def end(self):
        for number in (signal.SIGTERM, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                self.signal(number)
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Spinner(Job):
    """Keeps a core from halting and yields to everyone. Two cores that wait for each other otherwise
    measure how long a core takes to wake."""

    def __init__(self, options, core):
        super().__init__(options, [sys.executable, "-c", "while True: pass"], core)
        os.sched_setscheduler(self.process.pid, os.SCHED_IDLE, os.sched_param(0))
        self.set_priority(19)


class Server:
    """One column of the comparison; `start` makes a fresh process."""

    def __init__(self, role, text):
        name, separator, command = text.partition("=")
        if not separator or "{port}" not in command:
            raise BenchError(f"{text}: not NAME=COMMAND with {{port}}")
        self.role, self.name, self.command = role, name, command
        self.job = None
        self.port = 0

    def copy(self, role, name):
        return Server(role, f"{name}={self.command}")

    def start(self, options, core):
        """On this core, or on a set of them; a command may name them: {cores}."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        cores = ",".join(str(c) for c in sorted(core if isinstance(core, set) else {core}))
        command = self.command.replace("{port}", str(self.port)).replace("{cores}", cores)
        argv = shlex.split(command)
        log_name = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")
        self.job = Job(options, argv, core, options.output / f"server-{log_name}.log")
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            self.job.check()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} does not listen on port {self.port}")
            time.sleep(0.02)
        self.job.adopt_children()

    def end(self):
        if self.job:
            self.job.end()
            self.job = None

    def resident_bytes(self):
        # smaps_rollup walks the page tables; VmRSS may lag by some hundred kilobytes.
        total = 0
        for pid in self.job.pids:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Rss:\s+(\d+) kB", text, re.M).group(1)) * 1024
        return total


class Generator:
    """A bench-wsgen or bench-fangen and its page of counts (struct counter in bench/client.h)."""

    def __init__(self, options, server, argv, connections, core):
        self.connections = connections
        with tempfile.NamedTemporaryFile(prefix="bench-counter-") as file:
            argv = argv + ["--connect", f"127.0.0.1:{server.port}", "--counter", file.name]
            os.ftruncate(file.fileno(), 4096)
            self.page = mmap.mmap(file.fileno(), 4096)
            self.job = Job(options, argv, core)
            try:
                self.wait_connected(server)
            except BenchError:
                self.end()
                raise

    def wait_connected(self, server):
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while self.counts()[0] < self.connections:
            self.job.check()
            if time.monotonic() > deadline:
                raise BenchError(f"{server.name}: {self.counts()[0]} of {self.connections} connected")
            time.sleep(0.005)

    def counts(self):
        return struct.unpack_from("=QQQ", self.page, 0)

    def messages(self):
        _, reply_size, reply_bytes = self.counts()
        return reply_bytes / reply_size

    def end(self):
        self.job.end()
        self.page.close()


def generator_output(options, argv, core, seconds):
    """Run a generator to its end: whether that was a good one, and what it has printed."""
    job = Job(options, argv, core)
    try:
        text = job.process.communicate(timeout=seconds + CONNECT_TIMEOUT_S)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        text = "no answer: the generator does not end"
    finally:
        job.end()
    return job.process.returncode == 0, text.strip()


def proc_stat(pid):
    """The fields of /proc/PID/stat from the state on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def turn_order(servers, round_index):
    """Everyone is first, last and after everyone else about equally often."""
    shift = (round_index // 2) % len(servers)
    order = servers[shift:] + servers[:shift]
    return order[::-1] if round_index % 2 else order


def sample(messages, seconds, server_ns, generator_ns):
    if messages <= 0:
        raise BenchError("a server did not answer in its turn")
    return {"rate": messages / seconds, "cpu": server_ns / messages,
            "server_busy": server_ns / seconds / 1e9, "generator_busy": generator_ns / seconds / 1e9}


def turn(options, server, generator, seconds):
    server.job.go_on()
    generator.job.go_on()
    time.sleep(options.warmup)

    def snapshot():
        return (time.monotonic_ns(), generator.messages(), server.job.cpu_ns(),
                generator.job.cpu_ns())

    before = snapshot()
    time.sleep(seconds)
    after = snapshot()
    generator.job.check()
    server.job.check()
    generator.job.stop()
    server.job.stop()
    ns, messages, server_ns, generator_ns = (b - a for a, b in zip(before, after))
    return sample(messages, ns / 1e9, server_ns, generator_ns)


def turns_run(options, servers, start, turn_s=0):
    """`start` starts a server and returns its generator; turns are at least so long. Returns for each
    round the sample of each server, by name."""
    rounds = []
    with contextlib.ExitStack() as stack:
        generators = {}
        for server in servers:
            stack.callback(server.end)
            generator = start(server)
            stack.callback(generator.end)
            generators[server] = generator
            generator.job.stop()
            server.job.stop()
        for round_index in range(options.rounds):
            order = turn_order(servers, round_index)
            rounds.append({s.name: turn(options, s, generators[s], max(turn_s, options.turn)) for s in order})
    return rounds


def spread(values):
    """Median and quartiles."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def ratio_text(values):
    middle, low, high = spread(values)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def rate_text(rate):
    return f"{rate / 1e6:.2f}M" if rate >= 1e6 else f"{rate / 1e3:.1f}k"
