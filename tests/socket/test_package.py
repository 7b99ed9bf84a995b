# SPDX-License-Identifier: MIT
"""The Debian packages that `make deb` has left in build/deb, unpacked, not installed. Run by
`make test-packages`."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from kit import DEADLINE, ROOT, Http, Skip, equal, expect, request, run, test
from readme import Tree, verify_units

PACKAGES = ("libgyr0", "libgyr-dev", "gyr-tools")


def package(name):
    if shutil.which("dpkg-deb") is None:
        raise Skip("there is no dpkg-deb")
    found = list((ROOT / "build/deb").glob(f"{name}_*.deb"))
    equal(len(found), 1, f"packages of {name} in build/deb; `make deb` makes one")
    return str(found[0])


class Unpacked(Tree):
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        for name in PACKAGES:
            subprocess.run(["dpkg-deb", "-x", package(name), self.directory.name], check=True)
        libraries = list(pathlib.Path(self.directory.name).glob("usr/lib/*/libgyr.a"))
        equal(len(libraries), 1, "archives")
        super().__init__(self.directory.name, "/usr", str(libraries[0].parent.relative_to(self.directory.name)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.directory.cleanup()


def names(name):
    output = subprocess.run(["dpkg-deb", "--fsys-tarfile", package(name)], stdout=subprocess.PIPE, check=True).stdout
    listed = subprocess.run(["tar", "-t"], input=output, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    return {re.sub(r"/lib/[\w-]+-linux-[\w]+/", "/lib/TRIPLET/", path) for path in listed if not path.endswith("/")}


@test
def each_package_holds_its_part():
    library, development, tools = names("libgyr0"), names("libgyr-dev"), names("gyr-tools")
    version = re.search(r'GYR_VERSION +"(.*)"', (ROOT / "include/gyr/gyr.h").read_text())[1]
    for path in f"./usr/lib/TRIPLET/libgyr.so.{version}", "./usr/lib/TRIPLET/libgyr.so.0":
        expect(path in library, f"{path} in {sorted(library)}")
    for path in ("./usr/include/gyr/gyr.h", "./usr/include/gyr/gyr_err.h", "./usr/include/gyr/gyr_backend.h",
                 "./usr/lib/TRIPLET/libgyr.a",
                 "./usr/lib/TRIPLET/libgyr.so", "./usr/lib/TRIPLET/pkgconfig/gyr.pc", "./usr/share/man/man3/gyr.3.gz"):
        expect(path in development, f"{path} in {sorted(development)}")
    for path in ("./usr/bin/gyr-echo", "./usr/share/man/man1/gyr-echo.1.gz", "./usr/bin/gyr-chat",
                 "./usr/bin/gyr-tasks", "./usr/share/man/man1/gyr-tasks.1.gz",
                 "./usr/share/man/man1/gyr-chat.1.gz", "./etc/default/gyr-echo", "./lib/systemd/system/gyr-echo.service",
                 "./lib/systemd/system/gyr-echo.socket"):
        expect(path in tools, f"{path} in {sorted(tools)}")
    equal(library & development | library & tools | development & tools, {""} & library, "what two of them hold")


@test
def service_works_with_the_packaged_shared_library():
    with Unpacked() as tree:
        tree.try_service_with_shared_library()


@test
def service_works_with_the_packaged_archive():
    with Unpacked() as tree:
        tree.try_service_with_archive()


@test
def symbols_file_is_complete():
    """A program that uses a function depends on the version that has it."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["dpkg-deb", "-e", package("libgyr0"), directory], check=True)
        symbols = pathlib.Path(directory, "symbols").read_text()
    with Unpacked() as tree:
        exported = subprocess.run(["nm", "-D", "--defined-only", str(tree.libdir / "libgyr.so")], capture_output=True,
                                  text=True, check=True).stdout
    equal(set(re.findall(r"^ (\w+)@Base ", symbols, re.M)), set(re.findall(r" T (\w+)", exported)), "symbols")


@test
def programs_are_hardened():
    with Unpacked() as tree:
        for binary in tree.prefix / "bin/gyr-echo", tree.libdir / "libgyr.so":
            shown = subprocess.run(["readelf", "-W", "-h", "-d", "-l", "-s", str(binary)], capture_output=True, text=True,
                                   check=True).stdout
            for word in "DYN ", "GNU_RELRO", "NOW", "_chk":
                expect(word in shown, f"{word} in {binary.name}")
            stack = re.search(r"GNU_STACK.* (\w+) +0x", shown)
            equal(stack and stack[1], "RW", "its stack cannot be executed")


@test
def packaged_program_answers():
    with Unpacked() as tree:
        process = subprocess.Popen([str(tree.prefix / "bin/gyr-echo"), "--listen", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, text=True)
        try:
            port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
            with Http(("127.0.0.1", port)) as http:
                http.send(request("GET", "/plaintext"))
                equal(http.response().body, b"Hello, World!", "body")
            process.send_signal(signal.SIGTERM)
            equal(process.wait(DEADLINE), 0, "exit status")
        finally:
            process.kill()
            process.stdout.close()


@test
def packaged_units_are_in_order():
    with Unpacked() as tree:
        service = tree.root / "lib/systemd/system/gyr-echo.service"
        text = service.read_text()
        expect("\nEnvironmentFile=-/etc/default/gyr-echo\n" in text, "its options")
        expect("\nExecStart=/usr/bin/gyr-echo " in text, "its program")
        service.write_text(text.replace("/usr/bin/", f"{tree.prefix}/bin/"))
        verify_units(tree.units())


@test
def installation_starts_and_enables_nothing():
    for name in PACKAGES:
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(["dpkg-deb", "-e", package(name), directory], check=True)
            for script in "preinst", "postinst", "prerm", "postrm":
                path = pathlib.Path(directory, script)
                lines = path.read_text().splitlines() if path.exists() else []
                for place, line in enumerate(lines):
                    expect(not re.search(r"(?<!try-)\b(re)?start\b", line), f"{name}: {line}")
                    if re.search(r"deb-systemd-helper enable", line):  # what the administrator had enabled stays so
                        before = " ".join(lines[max(0, place - 2):place])
                        expect("was-enabled" in before, f"{name}: {line}")
        if name == "gyr-tools":
            linked = {path for path in names(name) if ".wants/" in path}
            equal(linked, set(), "links that enable a unit")


@test
def maintainer_scripts_leave_nothing_enabled():
    """The same, run: a unit that was never enabled is not enabled afterwards."""
    if os.geteuid() != 0 or shutil.which("deb-systemd-helper") is None:
        raise Skip("only root may ask deb-systemd-helper")
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "DPKG_ROOT": directory, "DPKG_MAINTSCRIPT_PACKAGE": "gyr-tools"}
        subprocess.run(["dpkg-deb", "-x", package("gyr-tools"), directory], check=True)
        subprocess.run(["dpkg-deb", "-e", package("gyr-tools"), f"{directory}/control"], check=True)
        result = subprocess.run([f"{directory}/control/postinst", "configure", ""], env=environment,
                                capture_output=True, text=True, check=False)
        equal(result.returncode, 0, result.stderr)
        links = [str(path) for path in pathlib.Path(directory).rglob("*.wants/*")]
        equal([link for link in links if "/etc/systemd/" in link], [], "enabled")


if __name__ == "__main__":
    sys.exit(run())
