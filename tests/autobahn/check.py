# SPDX-License-Identifier: MIT
"""Judge the reports of the Autobahn test suite, which itself ends with 0 whatever happened.

check.py EXPECTED INDEX.json...  print a line per failure and `autobahn: N of EXPECTED`
check.py --wait HOST PORT        wait until a server listens there
"""

import json
import pathlib
import socket
import sys
import time

# These have no right answer. Everywhere else both fields must be OK: NON-STRICT is a failure.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
WAIT_SECONDS = 20


def check(expected, paths):
    cases = {}
    for path in map(pathlib.Path, paths):
        if not path.exists():
            print(f"{path}: no report was written")
            continue
        for results in json.loads(path.read_text()).values():
            for case, result in results.items():
                cases[case] = (result, path.parent)
    failed = 0
    for case in sorted(cases, key=lambda name: [int(part) for part in name.split(".")]):
        result, folder = cases[case]
        allowed = {"OK", "INFORMATIONAL"} if case in INFORMATIONAL else {"OK"}
        if not {result["behavior"], result["behaviorClose"]} <= allowed:
            failed += 1
            print(f"case {case}: {result['behavior']}, close {result['behaviorClose']}, "
                  f"see {folder}/{result['reportfile']}")
    if len(cases) != expected:
        print(f"{len(cases)} cases were run instead of {expected}")
    print(f"autobahn: {len(cases) - failed} of {expected}")
    return 0 if failed == 0 and len(cases) == expected else 1


def wait(host, port):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return 0
        except OSError:
            time.sleep(0.05)
    print(f"nothing listens on {host}:{port}", file=sys.stderr)
    return 1


if sys.argv[1] == "--wait":
    sys.exit(wait(sys.argv[2], int(sys.argv[3])))
sys.exit(check(int(sys.argv[1]), sys.argv[2:]))
