#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/json_table.h against Python's module json: its verdicts are those of the table, and each way
in which readers differ is explained in docs/json.md."""

import ast
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LITERAL = r'"(?:\\.|[^"\\])*"'
ROW = re.compile(rf'^X\(("[^"]*"),\s*({LITERAL}(?:\s+{LITERAL})*), ([01]), ([01]), ([01])\)$', re.M)


def rows():
    text = (ROOT / "tests/json_table.h").read_text(encoding="ascii")
    found = ROW.findall(text)
    assert len(found) == len(re.findall(r"^X\(", text, re.M)), "a row that this does not read"
    for why, literals, *verdicts in found:
        pieces = re.findall(LITERAL, literals)
        document = b"".join(ast.literal_eval("b" + piece) for piece in pieces)
        yield ast.literal_eval(why), document, [verdict == "1" for verdict in verdicts]


def python_takes(document):
    try:
        json.loads(document.decode("utf-8"))
        return True
    except ValueError:
        return False


def report(is_ok, name, why=""):
    print(f"{'ok' if is_ok else 'not ok'} {name}{why and ': ' + why}")
    return is_ok


def main():
    table = list(rows())
    wrong = [document for _, document, verdicts in table if python_takes(document) != verdicts[2]]
    passed = report(not wrong and len(table) >= 200, "json_table_has_the_verdicts_of_python", repr(wrong) if wrong else "")
    listed = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/json.md").read_text(encoding="utf-8"), re.M))
    differ = {why for why, _, verdicts in table if len(set(verdicts)) > 1}
    passed &= report(listed == differ, "json_table_differences_are_those_of_the_document",
                     "" if listed == differ else f"only in one of both: {sorted(listed ^ differ)}")
    same = {why for why, _, verdicts in table if len(set(verdicts)) == 1}
    passed &= report(not same & differ, "json_table_difference_is_one_of_all_its_rows",
                     "" if not same & differ else str(same & differ))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
