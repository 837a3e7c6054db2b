#!/usr/bin/python3
"""doc/parameters.md against the program: every switch, verb and parameter has its row and its state, the test that it
names exists and speaks of it; and whatever is refused, or has no effect, is tried."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import ROOT, Place  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

THIS = "tests/shell/parameters.t"
TRIED = ("refused", "not yet", "default only", "no effect")  # tried here, by what the table says
# What a verb needs beside a parameter.
LINES = {"doStopOperation": "doStopOperation 6f0c2c1e", "monitor": "monitor 6f0c2c1e", "doMailboxMove": "doMailboxMove mail2 accounts a@x.test", "doPurgeMailboxes": "doPurgeMailboxes all"}
# A value that is not the default.
VALUES = {"bandwidth": "20M", "max_replica_lag": "5s", "priority": "high", "hooks_dir": "/etc",
          "hsm": "true", "drop_network_backup": "true", "all_servers": "false", "drive_destination_volume": "7", "operation_host": "mail2", "when": "now"}

place = Place()


def found_in(test, word):
    """Whether the test has it as a word of its own."""
    with open(os.path.join(ROOT, test), encoding="utf-8") as file:
        return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", file.read()) is not None


def read_page():
    """{(verb, parameter): (state, test)}; the parameter of a verb itself is -, of one with another's table *."""
    rows, verb = {}, None
    with open(os.path.join(ROOT, "doc/parameters.md"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("## "):
                verb = {"Switches": "zxmove"}.get(line[3:].strip(), line[3:].strip())
            elif line.startswith("As ") and verb:
                rows[verb, "*"] = (f"as {line.split()[1].rstrip(':')}", "-")
            elif (cells := [cell.strip() for cell in line.strip().strip("|").split(" | ")]) and len(cells) == 3 and verb:
                name, state, test = cells
                if name not in ("Parameter", "Verb") and not name.startswith("---"):
                    rows[(name, "-") if verb == "Verbs" else (verb, name)] = (state, test)
    return rows


page = read_page()
table = {}
for line in place.run("__docs", "parameters").stdout.splitlines():
    verb, name, state = line.split(" | ")
    table[verb, name] = state
ok(len(table) > 150 and ("doMailboxMove", "stages") in table, "the program has a table")
missing = [f"| {name if name != '-' else verb} | {state} | ... |   ({verb})" for (verb, name), state in table.items()
           if page.get((verb, name), ("", ""))[0] != state]
is_(missing, [], "doc/parameters.md has a row for each, with its state")
is_([row for row in page if row not in table], [], "and no others")

# The tests.
lost = []
for (verb, name), (state, test) in page.items():
    if state.startswith("as "):
        continue
    if not os.path.exists(os.path.join(ROOT, test)):
        lost.append(f"{verb} {name}: {test} is not there")
    elif state in TRIED and test != THIS:
        lost.append(f"{verb} {name}: {state} is tried by {THIS}")
    elif state == "works" and not found_in(test, verb if name == "-" else name):
        positional = name != "-" and re.search(rf"^{re.escape(name)}\(M\)|\{{{re.escape(name)}\}}",
                                               place.run("help", verb).stdout, re.M)
        if not (positional or name in ("verb", "parameter", "count", "store", "name", "value")) or not found_in(test, verb):
            lost.append(f"{verb} {name}: {test} does not speak of it")
is_(lost, [], "every row names a test that is there and speaks of it")


def says(line, status, text):
    """One test: it ends so and says so."""
    result = place.run(*line.split())
    if not ok(result.returncode == status and text in result.stderr, f"{line}: {text.splitlines()[0]}"):
        diag(f"status {result.returncode}\n{result.stdout}\n{result.stderr}")


# What is refused, and what does nothing.
for (verb, name), state in table.items():
    value = VALUES.get(name)
    line = f"{LINES.get(verb, verb)} {name} {value}"
    if name == "-" and state == "refused":
        says(f"powerstore {verb} start", 64, "belongs to volume management, not part of zxmove\nthe Zimbra tool for it: zm")
    elif name == "-" and state == "not yet":
        says(f"powerstore {verb}", 64, f"{verb} is not in this version of zxmove")
    elif state in TRIED and value is None:
        ok(False, f"{verb} {name}: {THIS} has no value for it")
    elif state == "not yet":
        says(line, 64, f"{name} is not in this version of zxmove")
    elif state == "default only":
        says(line, 64, f"{name}: '{value}' is not in this version of zxmove, only ")
        default = place.run("help", verb, name).stdout.split("default  ")[1].split("\n")[0]
        is_(place.run("--parse", *LINES.get(verb, verb).split(), name, default).returncode, 0, f"  {default} is accepted")
    elif state == "no effect":
        says(f"--parse {line}", 0, f"{name} {value}: ")
says("doMailboxMove mail2 accounts a@x.test colour red", 64, "unknown parameter colour")
done()
