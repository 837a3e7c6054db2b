#!/usr/bin/python3
"""The manual pages: without a fault, with everything the tables have, and installed."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import ROOT, Place  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

place = Place()
pages = {}
for what, name in (("man", "zxmove.1"), ("conf-man", "zxmove.conf.5")):
    path = place.file(name, place.run("__docs", what).stdout)
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True, check=False)
    if not ok(lint.returncode == 0 and not lint.stdout, f"mandoc finds nothing wrong in {name}"):
        diag(lint.stdout)
    shown = subprocess.run(["mandoc", "-T", "ascii", path], capture_output=True, text=True, check=True).stdout
    pages[name] = re.sub(".\b", "", shown)

page = pages["zxmove.1"]
sections = re.findall(r"^[A-Z][A-Z ]+[A-Z]$", page, re.M)
for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES",
                "SEE ALSO"):
    ok(section in sections, f"zxmove(1) has {section}")
verbs = re.findall(r"^  ([a-z]\w+)  ", place.run("help", "all").stdout, re.M)
ok(len(verbs) > 5, "help names the verbs")
for verb in verbs:
    ok(f"\n   {verb}\n" in page, f"zxmove(1) has {verb}")
    names = re.findall(r"^(\w+)\([MO]\)", place.run("help", verb).stdout, re.M)
    is_([name for name in names if not re.search(rf"^     {name} \(", page, re.M)], [], "and all its parameters")
absent = re.search(r"Not in this version.*?: (.*?)\n\n", place.run("help", "doMailboxMove").stdout, re.S)[1]
ok(" ".join(absent.split()) in " ".join(page.split()), "what is not in this version is named")
switches = re.search(r"Switches, before the verb: (.*?)\n\n", place.run("help").stdout, re.S)[1].split()
ok(len(switches) > 10, "help names the switches")
is_([word for word in switches if word.startswith("-") and not re.search(rf"^     (.*, )?{word}\b", page, re.M)], [],
    "zxmove(1) has every switch")
with open(f"{ROOT}/core/base/error.h", encoding="ascii") as file:
    rows = re.findall(r"X\(\w+, *(\d+), *\"(.*?)\"\)", file.read())
status = " ".join(page[page.index("EXIT STATUS"):page.index("EXAMPLES")].split())
ok(len(rows) > 10, "there are errors")
is_([row for row in rows if f" {row[0]} " not in status or row[1] not in status], [], "every exit status is explained")

page = pages["zxmove.conf.5"]
with open(f"{ROOT}/conf/items.c", encoding="ascii") as file:
    keys = re.findall(r'^    \{ "([a-z_.*]+)",', file.read(), re.M)
ok(len(keys) > 30, "there are settings")
is_([key for key in keys if not re.search(rf"^     {re.escape(key.replace('*', 'NAME'))} \(", page, re.M)], [],
    "zxmove.conf(5) has every setting")

with tempfile.TemporaryDirectory(prefix="zxmove-install-") as root:
    made = subprocess.run(["make", "-s", "-C", ROOT, f"MODE={os.environ.get('MODE', 'asan')}", f"DESTDIR={root}",
                           "install"], capture_output=True, text=True, check=False)
    ok(made.returncode == 0, "make install") or diag(made.stderr)
    files = {os.path.relpath(os.path.join(base, name), root) for base, _, names in os.walk(root) for name in names}
    is_(files, {"usr/local/bin/zxmove", "usr/local/bin/zxmove-agent", "usr/local/share/man/man1/zxmove.1",
                "usr/local/share/man/man5/zxmove.conf.5", "usr/local/share/bash-completion/completions/zxmove"},
        "installs programs, manual and completion")
done()
