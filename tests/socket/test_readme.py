# SPDX-License-Identifier: MIT
"""The service of README.md compiles as it is printed, with the command that is printed, and works; and
what README.md links to is there."""

import errno
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from deny import IO_URING_CALLS, denied
from kit import BIN, MODE, ROOT, Skip, equal, expect, run, test
from readme import README, block, serve


@test
def service_compiles_and_works_as_printed():
    if MODE not in ("release", "debug"):
        raise Skip(f"the printed command is not for MODE={MODE}")
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skip("there is no cc")
    command = shlex.split(block("sh"))
    equal(command[0], "cc", "command")
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "service.c")
        source.write_text(block("c"))
        program = f"{directory}/service"
        places = {"service.c": str(source), "service": program, "-Iinclude": f"-I{ROOT}/include",
                  "build/release/libgyr.a": str(BIN.parent / "libgyr.a")}
        result = subprocess.run([places.get(word, word) for word in command] + ["-Wall", "-Wextra", "-Werror"],
                                capture_output=True, text=True, check=False)
        equal(result.returncode, 0, result.stderr)
        serve(program)
        if platform.machine() == "x86_64":  # whose system calls deny.py knows
            serve(program, before=denied(errno.EPERM, *IO_URING_CALLS.values()))  # and so on epoll


@test
def links_lead_somewhere():
    missing = [target for target in re.findall(r"\]\(([^)#:]+)\)", README) if not os.path.exists(ROOT / target)]
    equal(missing, [], "links")


@test
def printed_commands_are_targets_of_make():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([\w-]+)", README):
        expect(re.search(rf"^{target}:", makefile, re.M), f"make {target}")


if __name__ == "__main__":
    sys.exit(run())
