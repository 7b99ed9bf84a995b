# SPDX-License-Identifier: MIT
"""The settings of gyr-echo: a file, the environment and the command line, printed, checked, reloaded."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

from kit import DEADLINE, Server, command, equal, eventually, expect, request, run, test

CORE = str(min(os.sched_getaffinity(0)))
LONG = request("GET", "/" + "a" * 200)


def environment(**variables):
    """This process's own, with no GYR_ variable but these: the scripts are given some."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GYR_")}
    return {**own, **variables}


def start(*arguments, **variables):
    result = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=DEADLINE, check=False,
                            env=environment(**variables))
    return result.returncode, result.stdout, result.stderr


def fails(words, *arguments, **variables):
    status, output, error = start(*arguments, **variables)
    equal((status, output), (1, ""), f"{arguments}: status and output")
    expect(re.fullmatch(r"gyr-echo: [^\n]+\n", error), f"{arguments}: not one line: {error!r}")
    for word in words:
        expect(word in error, f"{arguments}: no {word!r} in {error!r}")


def printed(*arguments, **variables):
    """name: (value, origin), or "core 1.name" of a section."""
    status, output, error = start(*arguments, "--print-config", **variables)
    equal((status, error), (0, ""), f"{arguments}")
    settings = {}
    section = ""
    for line in output.splitlines():
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif line:
            name, value, origin = re.fullmatch(r"(\w+) = (.*?)  # .*; ([^;]*)", line).groups()
            settings[section + name] = (value, origin)
    return settings


@contextlib.contextmanager
def ini(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "gyr.ini")
        path.write_text(text)
        yield path


def status_of(server, bytes_):
    with server.connect() as http:
        http.send(bytes_)
        return http.response().status


@test
def layers_win_in_their_order():
    with ini("spin_us = 1\nheader_timeout_ms = 2\npin = 0\n[core 0]\nspin_us = 3\n") as path:
        settings = printed("--set", "pin=1", "--environment", "--set", "core 0.pin=0", "--config", str(path),
                           "--cores", CORE, GYR_HEADER_TIMEOUT_MS="4", GYR_PIN="0", GYR_CORE_0_READ_ROUNDS_MAX="5")
        equal(settings["spin_us"], ("1", f"{path}:1"), "of the file")
        equal(settings["header_timeout_ms"], ("4", "GYR_HEADER_TIMEOUT_MS"), "of the environment")
        equal(settings["pin"], ("1", "--set"), "of the command line")
        equal(settings["cores"], (CORE, "--cores"), "an option of its own")
        equal(settings["idle_timeout_ms"], ("0", "default"), "of nobody")
        own = {name: value for name, value in settings.items() if "." in name}
        equal(own, {"core 0.spin_us": ("3", f"{path}:5"), "core 0.pin": ("0", "--set"),
                    "core 0.read_rounds_max": ("5", "GYR_CORE_0_READ_ROUNDS_MAX")}, "of core 0")


@test
def environment_counts_only_when_asked_for():
    equal(printed(GYR_SPIN_US="7", GYR_NONSENSE="1")["spin_us"], ("0", "default"), "not asked for")
    equal(printed("--environment", GYR_SPIN_US="7")["spin_us"], ("7", "GYR_SPIN_US"), "asked for")
    fails(["GYR_NONSENSE", "no setting"], "--environment", GYR_NONSENSE="1")
    fails(["GYR_SPIN_US: spin_us = x", "not a number"], "--environment", GYR_SPIN_US="x")


@test
def printed_configuration_is_a_file():
    _, output, _ = start("--set", "cores=" + CORE, "--set", "core 0.spin_us=9", "--set", "hosts=a b", "--print-config")
    with ini(output) as path:
        settings = printed("--config", str(path))
        equal(settings["core 0.spin_us"][0], "9", "of core 0")
        equal(settings["hosts"][0], "a b", "a list")
        equal(settings["cores"][0], CORE, "a line before the sections")
        again = start("--config", str(path), "--print-config")[1]
        values = [re.sub(r"; [^;]*$", "", text, flags=re.M) for text in (output, again)]
        equal(values[1], values[0], "all but the origins")


@test
def mistakes_are_named_by_their_line():
    fails(["no-such-file.ini", "No such file"], "--config", "no-such-file.ini")
    with ini("pin = 0\n\nspn_us = 5\n") as path:
        fails([f"{path}:3: spn_us = 5", "did you mean spin_us?"], "--config", str(path))
        fails([f"{path}:3: spn_us = 5"], "--config", str(path), "--check-config")
    with ini("[core 0]\nlisten_backlog = 5\n") as path:
        fails([f"{path}:2: core 0: listen_backlog = 5", "all cores"], "--config", str(path))
    with ini(f"cores = {CORE}\n[core 9]\nspin_us = 5\n") as path:
        fails([f"{path}:3: core 9: spin_us = 5", "cores 0 to 0"], "--config", str(path))
        fails([f"{path}:3: core 9: spin_us = 5", "cores 0 to 0"], "--config", str(path), "--check-config")
    fails(["--set", "core 1 = 5", "core 1.spin_us"], "--set", "core 1=5")


@test
def check_says_whether_a_start_could_use_it():
    with ini("send_queue_low = 2m\n") as path:
        fails([f"send_queue_low = 2m ({path}:1)", "send_queue_high = 1m (default)"], "--config", str(path),
              "--check-config")
        equal(start("--config", str(path), "--set", "send_queue_high=3m", "--check-config"),
              (0, "gyr-echo: configuration is usable\n", ""), "mended by the command line")
    fails(["cores", "CPU 4096"], "--cores", "4096", "--check-config")


@test
def file_and_environment_reach_the_server():
    with ini(f"cores = {CORE}\n") as path:
        with Server("--config", str(path), "--environment", environment=environment(GYR_TARGET_SIZE_MAX="100")) as server:
            expect(" with 1 core" in server.line, server.line)
            equal(status_of(server, LONG), 414, "a target of 201 bytes")
            equal(status_of(server, request("GET", "/plaintext")), 200, "a short one")


@test
def sighup_reloads_the_file():
    with ini("target_size_max = 100\n") as path:
        with Server("--cores", CORE, "--config", str(path)) as server:
            equal(status_of(server, LONG), 414, "by the file")
            path.write_text("target_size_max = 1000\n")
            server.process.send_signal(signal.SIGHUP)
            equal(server.process.stdout.readline(), f"gyr-echo: {path}: settings are reloaded\n", "the line")
            eventually(lambda: status_of(server, LONG) == 404, "the new limit holds")


@test
def sighup_with_a_mistake_changes_nothing():
    with ini("target_size_max = 100\n") as path:
        server = Server("--cores", CORE, "--config", str(path)).start()
        for text, words in [
                ("target_size_max = 1000\nspn_us = 1\n", [f"{path}:2: spn_us = 1", "spin_us"]),
                ("target_size_max = 1000\nrecv_buffer_count=64\n", [f"{path}:2: recv_buffer_count = 64", "cannot change", "256"]),
                ("target_size_max = 1000\nsend_queue_low=2m\n", [f"send_queue_low = 2m ({path}:2)"]),
                (None, [str(path), "No such file"])]:
            before = len(server.error_text())
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: server.error_text()[before:].strip(), "it says what is wrong")
            line = server.error_text()[before:].strip()
            expect(line.startswith("gyr-echo: nothing is reloaded: "), line)
            for word in words:
                expect(word in line, f"no {word!r} in {line!r}")
            equal(status_of(server, LONG), 414, "as before")
        path.write_text("target_size_max = 1000\n")
        server.process.send_signal(signal.SIGHUP)
        expect("reloaded" in server.process.stdout.readline(), "and it can still be mended")
        equal(server.stop(), 0, "exit status")


@test
def sighup_without_a_file_ends_it():
    server = Server("--cores", CORE).start()
    server.process.send_signal(signal.SIGHUP)
    equal(server.wait(), -signal.SIGHUP, "exit status")


@test
def help_names_the_layers():
    _, output, _ = start("--help")
    for word in "--config FILE", "--environment", "--print-config", "--check-config", "SIGHUP", "GYR_<NAME>":
        expect(word in output, f"no {word} in the help")
    for line in output.splitlines():
        expect(len(line) <= 132, f"a line of {len(line)} columns: {line}")


if __name__ == "__main__":
    sys.exit(run())
