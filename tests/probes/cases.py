# SPDX-License-Identifier: MIT
"""All tables together, and what of the public suite is left out by name.

The ids are those of Http11Probe (MDA2AV, MIT); its requests, and what they are to show, are restated
here in our own words. It sends POSTs to /, which is a page of gyr-echo; ours go to /upload.
"""

import compliance
import garden
import malformed
import smuggling

# What a service does with a request, not what a server owes to one. Gyr answers conditions for files alone
# (gyr_respond_file), of which gyr-echo has none where the suite asks; tests/socket/test_files.py asks there.
EXCLUDED = {
    "CAP-ETAG-304": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-LAST-MODIFIED-304": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-ETAG-IN-304": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-INM-PRECEDENCE": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-INM-WILDCARD": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-IMS-FUTURE": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-IMS-INVALID": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-INM-UNQUOTED": "a page of gyr-echo has no validator; files have, see test_files.py",
    "CAP-ETAG-WEAK": "a page of gyr-echo has no validator; files have, see test_files.py",
    "COOK-ECHO": "gyr-echo has no page that repeats the fields of a request",
    "COOK-PARSED-BASIC": "cookies are the service's to parse",
    "COOK-PARSED-MULTI": "cookies are the service's to parse",
    "COOK-PARSED-EMPTY-VAL": "cookies are the service's to parse",
    "COOK-PARSED-SPECIAL": "cookies are the service's to parse",
}

SUITE = compliance.CASES + smuggling.CASES + malformed.CASES
CASES = SUITE + garden.CASES

assert len({case.id for case in CASES}) == len(CASES), "an id stands twice"
assert not EXCLUDED.keys() & {case.id for case in CASES}, "an id is both a case and excluded"
assert len(SUITE) >= 200, "too few cases of the suite"
