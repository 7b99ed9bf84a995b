# SPDX-License-Identifier: MIT
"""What `make install` puts into place: the service of README.md is compiled against it, in C and in C++,
with the shared library and with the archive, and answers; manual pages and units are in order."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from kit import BIN, DEADLINE, RING, ROOT, Http, Skip, command, equal, eventually, expect, request, run, test
from readme import LANGUAGES, LIBRARIES, Tree, verify_units

PREFIX = "/opt/gyr"
BUILT = BIN.parent.name  # which MODE these programs are of


def make(target, destination, **variables):
    if BUILT not in ("release", "debug"):
        raise Skip(f"a library of MODE={BUILT} is for tests only")
    result = subprocess.run(
        ["make", "-C", str(ROOT), target, f"MODE={BUILT}", f"DESTDIR={destination}",
         *[f"{name}={value}" for name, value in variables.items()]], capture_output=True, text=True, check=False)
    equal(result.returncode, 0, f"make {target}: {result.stderr}")


def files(root):
    return {path.relative_to(root).as_posix() for path in pathlib.Path(root).rglob("*")
            if path.is_symlink() or not path.is_dir()}


class Installed(Tree):
    def __init__(self, **variables):
        self.directory = tempfile.TemporaryDirectory()
        super().__init__(self.directory.name, PREFIX, f"{PREFIX}/lib")
        make("install", self.directory.name, PREFIX=PREFIX, **variables)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.directory.cleanup()


@test
def install_puts_everything_into_place_and_uninstall_takes_it_away():
    with Installed() as tree:
        found = files(tree.prefix)
        for name in ("include/gyr/gyr.h", "include/gyr/gyr_err.h", "include/gyr/gyr_backend.h", "lib/libgyr.a",
                     "lib/libgyr.so",
                     "lib/pkgconfig/gyr.pc", "bin/gyr-echo", "bin/gyr-chat", "bin/gyr-tasks",
                     "include/gyr/gyr_app.h", "include/gyr/gyr_message.h", "include/gyr/gyr_worker.h",
                     "share/man/man1/gyr-echo.1", "share/man/man1/gyr-chat.1", "share/man/man1/gyr-tasks.1",
                     "share/man/man3/gyr.3",
                     "lib/systemd/system/gyr-echo.service", "lib/systemd/system/gyr-echo.socket",
                     "share/doc/gyr/examples/echo.c"):
            expect(name in found, f"{name} in {sorted(found)}")
        library = tree.libdir / "libgyr.so"
        soname = re.search(r"SONAME +(\S+)", subprocess.run(
            ["objdump", "-p", str(library)], capture_output=True, text=True, check=True).stdout)[1]
        equal(os.readlink(library), soname, "libgyr.so")
        version = subprocess.run(command("--version"), capture_output=True, text=True, check=True).stdout.split()[1]
        equal(os.readlink(tree.libdir / soname), f"libgyr.so.{version}", soname)
        equal(tree.flags("--modversion"), [version], "gyr.pc")
        missing = set(LIBRARIES) - set(tree.flags("--libs", "--static"))
        equal(missing, set(), "libraries that gyr.pc does not name for the archive")
        equal(tree.flags("--libs"), [f"-L{tree.libdir}", "-lgyr"], "and none of them for the shared library")
        equal(files(tree.root), {f"{PREFIX[1:]}/{name}" for name in found}, "nothing is elsewhere")
        (tree.prefix / "include/gyr/other.h").write_text("somebody else's")
        make("uninstall", tree.root, PREFIX=PREFIX)
        equal(files(tree.root), {f"{PREFIX[1:]}/include/gyr/other.h"}, "what is left")


@test
def folders_can_be_chosen():
    folders = {"LIBDIR": "/opt/gyr/lib64/deep", "INCLUDEDIR": "/srv/include", "MANDIR": "/srv/man",
               "BINDIR": "/srv/bin", "UNITDIR": "/srv/units"}
    with Installed(**folders) as tree:
        for name in ("opt/gyr/lib64/deep/libgyr.a", "opt/gyr/lib64/deep/pkgconfig/gyr.pc", "srv/include/gyr/gyr.h",
                     "srv/man/man3/gyr.3", "srv/bin/gyr-echo", "srv/units/gyr-echo.service"):
            expect((tree.root / name).exists(), f"{name} of {sorted(files(tree.root))}")
        expect("/srv/bin/gyr-echo" in (tree.root / "srv/units/gyr-echo.service").read_text(), "the unit's program")
        tree.libdir = tree.root / "opt/gyr/lib64/deep"
        flags = tree.flags("--cflags", "--libs", prefix="/elsewhere")
        for flag in "-I/srv/include", "-L/elsewhere/lib64/deep", "-lgyr":
            expect(flag in flags, f"{flag} in {flags}: what is below the prefix moves with it")
        make("uninstall", tree.root, PREFIX=PREFIX, **folders)
        equal(files(tree.root), set(), "what is left")


@test
def service_works_with_the_installed_shared_library():
    with Installed() as tree:
        tree.try_service_with_shared_library()


@test
def service_works_with_the_installed_archive():
    with Installed() as tree:
        tree.try_service_with_archive()


@test
def headers_stand_alone_in_c_and_in_cxx():
    compilers = [name for name in ("gcc", "clang", "g++", "clang++") if shutil.which(name)]
    if not compilers:
        raise Skip("there is no compiler")
    for compiler in compilers:
        cxx = compiler.endswith("++")
        for standard in ("c++17", "c++20") if cxx else ("c11", "c17"):
            for header in "gyr.h", "gyr_err.h", "gyr_backend.h", "gyr_worker.h":
                text = f"#include <gyr/{header}>\n#include <gyr/{header}>\n"
                if header == "gyr.h":
                    text += 'struct gyr_span span = GYR_LITERAL("a");\nstruct gyr_span use(void);\n' \
                            'struct gyr_span use(void) { return GYR_SPAN("b"); }\n'
                result = subprocess.run(
                    [compiler, "-x", "c++" if cxx else "c", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic",
                     "-Werror", f"-I{ROOT}/include", "-fsyntax-only", "-"], input=text, capture_output=True, text=True,
                    check=False)
                equal((result.returncode, result.stderr), (0, ""), f"{compiler} -std={standard} {header}")


TABLE_OF_WORKERS = """
#include <gyr/gyr_worker.h>
static int pump(struct gyr_worker_run *run, void *context)
{
    return context != NULL && gyr_worker_sleep(run, 1) ? 0 : -1;
}
static int tick(struct gyr_worker_run *run, struct gyr_core *core, void *context)
{
    return gyr_worker_is_stopping(run) && core != NULL && context != NULL;
}
static const struct gyr_worker table[] = {
    GYR_WORKER("pump", pump),
    GYR_WORKER("more", pump, .on_failure = GYR_WORKER_RESTART, .restart_ms_min = 5),
    GYR_WORKER_TIMER("tick", tick, 10),
    GYR_WORKER_TIMER("tock", tick, 10, .core_index = 1, .on_failure = GYR_WORKER_STOP),
    {0},
};
int use(struct gyr_server *server);
int use(struct gyr_server *server) { return gyr_server_workers(server, table, NULL, NULL); }
"""


@test
def tables_of_workers_compile_in_c_and_in_cxx_without_a_warning():
    if shutil.which("cc") is None or shutil.which("c++") is None:
        raise Skip("there is no compiler")
    for language, command in LANGUAGES.items():
        result = subprocess.run([*command, "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", "-fsyntax-only", "-"],
                                input=TABLE_OF_WORKERS, capture_output=True, text=True, check=False)
        equal((result.returncode, result.stderr), (0, ""), language)


# ---- manual pages ---------------------------------------------------------------------------------


def pages(tree):
    names = "man1/gyr-echo.1", "man3/gyr.3", "man1/gyr-chat.1", "man1/gyr-tasks.1"
    return [str(tree.prefix / "share/man" / name) for name in names]


@test
def manual_pages_are_well_formed():
    if shutil.which("mandoc") is None and shutil.which("groff") is None:
        raise Skip("there is neither mandoc nor groff")
    with Installed() as tree:
        for page in pages(tree):
            if shutil.which("mandoc"):
                result = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True, check=False)
                # Whether a page that is referred to is installed is this machine's matter.
                lines = [line for line in (result.stdout + result.stderr).splitlines()
                         if "referenced manual not found" not in line and "mandoc.db" not in line]
                equal(lines, [], page)
            if shutil.which("groff"):
                result = subprocess.run(["groff", "-ww", "-mandoc", "-Tutf8", "-z", page], capture_output=True, text=True,
                                        check=False)
                equal((result.returncode, result.stderr), (0, ""), page)


@test
def manual_pages_of_programs_name_their_options():
    for name, own in ("gyr-echo", {"files"}), ("gyr-chat", set()), ("gyr-tasks", {"routes"}):
        shown = subprocess.run(command("--help", program=str(BIN / name)), capture_output=True, text=True,
                               check=True).stdout
        options = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", shown.split("\n\n")[0]))
        expect({"listen", "cores", "set", "help", "version"} <= options, f"found: {options}")
        equal(options & {"files", "routes"}, own, f"what {name} alone has")
        page = (ROOT / f"packaging/man/{name}.1").read_text()
        described = set(re.findall(r"^\.It Fl \\-([a-z-]+)", page, re.M))
        equal(described, options, f"options of {name}")


@test
def manual_page_of_the_library_is_true():
    """Every function, type and constant that it names is in the header; its example is README's."""
    with Installed() as tree:
        page = pathlib.Path(pages(tree)[1]).read_text()
        header = (tree.prefix / "include/gyr/gyr.h").read_text()
        names = set(re.findall(r"\b(?:gyr|on)_[a-z_]+\b|\bGYR_[A-Z_]+\b", page)) - {"gyr_err", "gyr_app", "gyr_message", "gyr_worker"}
        expect(len(names) > 20, f"found: {names}")
        for name in names:
            expect(re.search(rf"\b{name}\b", header), f"{name} is in the header")
        expect("@" not in page and "gyr_server_wait(server);" in page, "the example is there")


# ---- units ----------------------------------------------------------------------------------------


@test
def units_are_in_order():
    with tempfile.TemporaryDirectory() as directory:
        make("install", "", PREFIX=directory)
        verify_units(Tree(directory, "", "lib").units())


def calls_made():
    """The system calls of gyr-echo from start to end, with a request in between."""
    with tempfile.TemporaryDirectory() as directory:
        trace = pathlib.Path(directory, "trace")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(f"{directory}/notify")
            process = subprocess.Popen(
                ["strace", "-D", "-f", "-o", str(trace), *command("--listen", "127.0.0.1:0", "--set", "pin=1")],
                stdout=subprocess.PIPE, text=True, env={**os.environ, "NOTIFY_SOCKET": f"{directory}/notify"})
            line = process.stdout.readline()
            if not line:
                process.wait()
                raise Skip("strace may not trace here")
            port = int(re.search(r":(\d+)/", line)[1])
            with Http(("127.0.0.1", port)) as http:
                http.send(request("GET", "/stats"))
                equal(http.response().status, 200, "status")
            process.send_signal(signal.SIGTERM)
            equal(process.wait(DEADLINE), 0, "exit status")
            process.stdout.close()
        eventually(lambda: re.search(rf"^{process.pid} +\+\+\+ exited", trace.read_text(), re.M), "strace has written it")
        return set(re.findall(r"^\d+ +([a-z]\w*)\(", trace.read_text(), re.M))


def calls_allowed(unit):
    """What the SystemCallFilter lines of a unit allow."""
    allowed = set()

    def members(name):
        if not name.startswith("@"):
            return {name}
        output = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True,
                                check=True).stdout
        words = [line.strip() for line in output.splitlines()[1:]]
        return set().union(*[members(word) for word in words if word and not word.startswith("#")])

    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.M):
        names = set().union(*[members(word) for word in line.lstrip("~").split()])
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


@test
def unit_allows_every_system_call_of_gyr_echo():
    for tool in "strace", "systemd-analyze":
        if shutil.which(tool) is None:
            raise Skip(f"there is no {tool}")
    if BUILT not in ("release", "debug"):
        raise Skip(f"MODE={BUILT} makes calls of its own")
    allowed = calls_allowed((ROOT / "packaging/systemd/gyr-echo.service").read_text())
    expect({"io_uring_setup", "io_uring_enter", "io_uring_register", "epoll_wait", "eventfd2"} <= allowed, "io")
    expect("mount" not in allowed and "reboot" not in allowed and "setuid" not in allowed, "it is a filter")
    made = calls_made()
    waits = "epoll_pwait2" if RING == "epoll" else "io_uring_enter"
    expect({waits, "sendto", "sched_setaffinity"} <= made, f"they were seen: {sorted(made)}")
    equal(made - allowed, set(), "forbidden")


if __name__ == "__main__":
    sys.exit(run())
