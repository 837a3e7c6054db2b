#!/usr/bin/python3
"""--json of what needs no server: verbs, errors, batches, notices; and doc/json.md has every key and every verb. The
verbs that need servers: tests/lab/json.t."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Place, Terminal  # noqa: E402
from zxlab import schema  # noqa: E402
from zxlab.tap import diag, done, is_, ok  # noqa: E402

place = Place()


def documented(findings, name):
    """One test: nothing found."""
    if not ok(not findings, name):
        diag("\n".join(findings))


def answers(*words, stdin=b"", status=0, lines=1, name=None):
    """One test: the command ends so, with so many objects on stdout."""
    result = place.run("--json", *words, stdin=stdin)
    said = result.stdout.splitlines()
    name = name or " ".join(map(repr, words))[:80]
    if not ok(result.returncode == status and len(said) == lines, f"--json {name}"):
        diag(f"status {result.returncode}\n{result.stdout}\n{result.stderr}")
    return [json.loads(line) for line in said], result.stderr


# The comparison finds what it should.
is_(schema.undocumented("version", {"version": 1}), ["version: version is integer, doc/json.md says string"],
    "a wrong type is found")
is_(schema.undocumented("doMailboxMove", {"mailboxes": [{"notes": ["x"], "bogus": 1}]}),
    ["doMailboxMove: mailboxes[].bogus (integer) is not in doc/json.md"], "an unknown key is found")
is_(len(schema.of_answer("version", {"ok": True, "response": {"x": {}}, "y": 1})), 2, "in the envelope, too")
is_(schema.of_event({"type": "progress", "time": "x", "schema": 1, "items": 1.5}),
    ["progress: items is number, doc/json.md says integer"], "and in an event")

# Every verb has its part in the document. COVERED are those that this test runs, LAB those of tests/lab/json.t
# and rollback.t, LOOK those of tests/lab/look.t
# trust.t and check.t.
verbs = re.findall(r"^  (\w+)  ", place.run("help", "all").stdout, re.M)
LAB = {"doMailboxMove", "plan", "doRollback", "doPurgeMailboxes", "doRecover", "getMovedMailboxes", "report"}
OPERATIONS = {"getAllOperations", "monitor", "doStopOperation", "doStopAllOperations", "doSuspend", "doResume", "setOperation",
              "doCompleteMove", "getOperationLog", "getUnfinishedOperationLog", "getNotification"}  # operations.t
LOOK = {"trust", "status", "getServers", "getAllVolumes", "getVolumeStats", "getServices", "getNonLocalMailboxes"}
CHECKED = {"doCheckBlobs", "doVerify", "doCheck"}  # by tests of their own
ok(LAB | LOOK <= set(verbs) and {"help", "version", "quit"} <= set(verbs), "help lists the verbs")
is_([verb for verb in verbs if verb not in schema.SECTIONS], [], "doc/json.md has a part for every verb")
for verb in verbs:
    if verb in LAB | LOOK | OPERATIONS | CHECKED | {"history"}:
        continue
    words = {"source": ["source", place.file("batch", "")], "config": ["config", "list"],
             "importConf": ["importConf", place.file("mailboxmove.conf", "[zimbra-config]\nldap_server=a\n[store-config]\n[[b]]\nuser=zimbra\n")]}.get(verb, [verb])
    for answer in answers(*words, lines=0 if verb == "source" else 1)[0]:
        documented(schema.of_answer(verb, answer), f"{verb}: the document has its keys")

shell = Terminal(place)
shell.expect("zxmove> ")
shell.type("version\r")
shell.expect("zxmove> ")
shell.type("--json history\r")
said = shell.expect('"schema":1}') or "{"
answer = json.loads(said[said.index("{"):] + '"schema":1}')
is_([line["line"] for line in answer["response"]["history"]][:1], ["version"], "--json history")
documented(schema.of_answer("history", answer), "history: the document has its keys")
shell.type("quit\r")
is_(shell.wait(), 0, "quit leaves the shell")

# What a line means.
for line in ("doMailboxMove mail2 accounts a@x,b@x stages data threads 1", "plan mail2 accounts a@x save b.txt",
             "doPurgeMailboxes all retention_days 3",
             "doRecover accounts a@x", "getMovedMailboxes", "help doMailboxMove", "version"):
    documented(schema.of_answer("--parse", answers("--parse", *line.split())[0][0]), "  and the document has its keys")

# Errors, wherever they are found.
for words, status, code in (
        (["bogus"], 64, "USAGE"), (["--bogus", "help"], 64, "USAGE"), (["doMailboxMove", "mail2"], 64, "USAGE"),
        (["doPurgeMailboxes"], 64, "USAGE"), (["doMoveBlobs"], 64, "USAGE"), (["--host"], 64, "USAGE"),
        (["-f", "/nonexistent"], 66, "INPUT"), (["-f", "x", "help"], 64, "USAGE"),
        (["--config", "/nonexistent", "getMovedMailboxes"], 66, "INPUT")):
    answer = answers(*words, status=status)[0][0]
    is_([answer["ok"], answer["error"]["code"]], [False, code], "  its error has a code")
    documented(schema.of_answer("help", answer), "  and the document has its keys")
is_(json.loads(place.run("--bogus", "--json").stdout)["ok"], False, "--json after what is not understood")

# Batches: one object for each command, errors with their place.
said, _ = answers(stdin=b"version\n'open\nbogus\n--bogus version\nhelp\n", lines=1 + 1, status=64, name="of a batch")
is_([answer.get("where") for answer in said], [None, "stdin:2"], "an error has its place")
said, _ = answers("--keep-going", stdin=b"version\n'open\nbogus\n--bogus version\nhelp\n", lines=5, status=64,
                  name="--keep-going")
is_([answer.get("where") for answer in said], [None, "stdin:2", "stdin:3", "stdin:4", None], "every error has its place")
for answer in said:
    documented(schema.of_answer("version" if "version" in answer.get("response", {}) else "help", answer),
               "  and the document has its keys")

# What is no UTF-8 is shown damaged and loses nothing.
answer = answers(b"do\xff", status=64, name="of a name that is no UTF-8")[0][0]
ok("\N{REPLACEMENT CHARACTER}" in answer["error"]["message"], "the name is in the message")
path = place.file("batch", "bogus\n")
os.rename(path, os.path.join(os.fsencode(place.dir), b"b\xff"))
answer = answers("-f", os.path.join(os.fsencode(place.dir), b"b\xff"), status=64, name="of a file named so")[0][0]
ok(answer["where"].endswith("b\N{REPLACEMENT CHARACTER}:1"), "and in the place")

# Notices are on stderr, an object a line.
said, notices = answers("--config", "/nonexistent", "doPurgeMailboxes", "ignore_retention", "true", status=66)
notice = json.loads(notices)
is_(notice["type"], "note", "a notice is an event")
documented(schema.of_event(notice), "and the document has its keys")
is_(place.run("--json", "--quiet", "--config", "/nonexistent", "doPurgeMailboxes", "ignore_retention", "true").stderr,
    "", "--quiet has none")
done()
