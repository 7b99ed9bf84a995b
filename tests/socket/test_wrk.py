# SPDX-License-Identifier: MIT
"""wrk as an independent client: every answer is a 200 and no socket fails, with one request at a time
and with many. How fast that goes is for the benchmarks to say."""

import re
import subprocess
import sys

from kit import DEADLINE, ROOT, Skip, equal, expect, run_shared, shared, test


def wrk(*arguments):
    try:
        result = subprocess.run(["wrk", "-t", "1", "-d", "2s", *arguments], capture_output=True, text=True,
                                timeout=DEADLINE, check=False)
    except FileNotFoundError:
        raise Skip("wrk is not installed") from None
    output = result.stdout + result.stderr
    equal(result.returncode, 0, output)
    found = re.search(r"(\d+) requests in ", output)
    expect(found and int(found[1]) > 0, output)
    for complaint in "Socket errors", "Non-2xx", "unable to":
        expect(complaint not in output, output)


@test
def wrk_sees_no_error():
    wrk("-c", "64", shared().url("/plaintext"))


@test
def wrk_sees_no_error_on_one_connection():
    wrk("-c", "1", shared().url("/plaintext"))


@test
def wrk_sees_no_error_when_it_pipelines():
    wrk("-c", "16", "-s", str(ROOT / "bench/pipeline.lua"), shared().url("/plaintext"), "--", "16")


@test
def wrk_sees_no_error_on_a_larger_page():
    wrk("-c", "32", shared().url("/"))


if __name__ == "__main__":
    sys.exit(run_shared())
