# SPDX-License-Identifier: MIT
"""A program that links libgyr, statically or dynamically, keeps the C library's malloc, before and
after cores have made their heaps; and it meets no name but gyr_*."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from kit import BIN, MODE, ROOT, Skip, equal, expect, run, test

BUILD = BIN.parent

PROGRAM = r"""
#define _GNU_SOURCE
#include <gyr/gyr.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* Names of a program's own that the library uses inside, too. */
int conn_close(int value);
int conn_close(int value) { return value; }
int heap_create(int value);
int heap_create(int value) { return value; }
int error_write(int value);
int error_write(int value) { return value; }

static void look(const char *when)
{
    static const char *const names[] = {"malloc", "calloc", "realloc", "free", "posix_memalign"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        Dl_info info = {0};
        void *address = dlsym(RTLD_DEFAULT, names[i]);
        printf("%s %s %s\n", when, names[i], address && dladdr(address, &info) ? info.dli_fname : "?");
    }
}

int main(void)
{
    look("before");
    struct gyr_config config = gyr_config_default();
    struct gyr_service service = {.size = sizeof(service)};
    struct gyr_server *server;
    struct gyr_error error;
    const char *ring = getenv("GYR_RING");
    if (ring != NULL && gyr_config_set(&config, "ring", *ring != 0 ? ring : "auto", &error) != 0) {
        printf("%s\n", error.text);
        return 1;
    }
    if (gyr_server_create(&config, &service, &server, &error) != 0 ||
        gyr_server_listen(server, "127.0.0.1:0", &error) != 0 || gyr_server_start(server, &error) != 0) {
        printf("%s\n", error.text);
        return 1;
    }
    free(malloc(100));
    look("running");
    gyr_server_stop(server);
    gyr_server_wait(server);
    gyr_server_destroy(server);
    look("after");
    return conn_close(0) + heap_create(0) + error_write(0);
}
"""

LIBRARIES = ["-luring", "-lsimdjson", "-linih", "-lstdc++", "-lpthread", "-ldl"]


def compile_and_look(*link):
    if MODE in ("asan", "tsan"):
        raise Skip("a sanitizer brings its own malloc")
    if shutil.which("cc") is None:
        raise Skip("there is no cc")
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "program.c")
        source.write_text(PROGRAM)
        program = f"{directory}/program"
        coverage = ["--coverage"] if MODE == "cov" else []
        result = subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", str(source), *link,
                                 *coverage, "-o", program], capture_output=True, text=True, check=False)
        equal(result.returncode, 0, result.stderr)
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        result = subprocess.run([program], capture_output=True, text=True, check=False, env=environment)
        equal(result.returncode, 0, result.stdout + result.stderr)
        lines = result.stdout.splitlines()
        equal(len(lines), 15, result.stdout)
        for line in lines:
            expect(re.search(r"/libc\.so\.6$", line), line)


@test
def program_with_the_archive_keeps_its_malloc():
    compile_and_look(str(BUILD / "libgyr.a"), *LIBRARIES)


@test
def program_with_the_shared_library_keeps_its_malloc():
    compile_and_look(str(BUILD / "libgyr.so"), f"-Wl,-rpath,{BUILD}", "-ldl")


@test
def library_exports_what_the_headers_declare():
    headers = "".join(header.read_text() for header in (ROOT / "include/gyr").glob("*.h"))
    plain = re.sub(r"/\*.*?\*/", "", headers, flags=re.S)
    # What is declared, and not what macros call.
    plain = re.sub(r"^#define .*?[^\\]$", "", plain, flags=re.S | re.M)
    declared = {name for name in re.findall(r"\b(gyr_\w+)\(", plain) if not name.endswith("_")}
    declared -= {"gyr_config_default", "gyr_publish_default"}  # inline functions
    result = subprocess.run(["nm", "-D", "--defined-only", str(BUILD / "libgyr.so")],
                            capture_output=True, text=True, check=True)
    exported = {line.split()[2].split("@")[0] for line in result.stdout.splitlines() if line.split()[1] in "TDBRVW"}
    equal(exported - declared, set(), "exported, but not declared")
    equal(declared - exported, set(), "declared, but not exported")


if __name__ == "__main__":
    sys.exit(run())
