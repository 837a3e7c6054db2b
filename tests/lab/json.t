#!/usr/bin/python3
"""What operations print: --json with every key in doc/json.md, events with --progress, lines every ten seconds where
nothing can be redrawn, --quiet; and the exit statuses that need servers."""

import json
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
files = tempfile.TemporaryDirectory(prefix="zxmove-json-")


def output(name):
    """A file for what a program prints."""
    return open(os.path.join(files.name, name), "w+", encoding="utf-8")


def text(file):
    """What is in it by now."""
    with open(file.name, encoding="utf-8") as again:
        return again.read()


def documented(findings, name):
    """One test: nothing found."""
    findings = sorted(set(findings))
    if not ok(not findings, name):
        diag("\n".join(findings))


def answer(status, verb, *words, **options):
    """Two tests: the status, and the keys of the answer."""
    result = lab.zxmove("--json", verb, *words, **options)
    exits(result, status, f"{status}: {verb} {words[0] if words else ''}")
    found = json.loads(result.stdout.splitlines()[-1])
    documented(schema.of_answer(verb, found), "doc/json.md has its keys")
    return found


# A move that stands still while the rest is tested: it prints lines all the same.
scene = Scene(lab, strangers=False)
names = {name: scene.mailbox(name, one, messages=3) for name in ("slow", "bug", "dead")}
slow_says = output("slow")
slow = Held(scene, names["slow"], two, "copy:applied", stderr=slow_says)
slow.wait()
found = answer(75, "doMailboxMove", two.name, "accounts", scene.addresses[names["slow"]])
is_([found["ok"], found["error"]["code"]], [False, "CONFLICT"], "the account is another operation's")
found = answer(70, "doMailboxMove", two.name, "accounts", scene.addresses[names["bug"]], fail="reserve:intent=bug")
is_(found["error"]["code"], "BUG", "a rule of its own was broken")

# A domain, one of it refused, with its events.
company = Scene(lab, strangers=False)
for name in ("anna", "ivan"):
    company.mailbox(name, one, messages=5)
bad = company.mailbox("bad", one, messages=2, rich=False)
dn = lab.directory.account(bad)[0]
lab.directory.set(dn, zimbraMailTransport="smtp:gateway.example:25")
events = output("events")
gate = os.path.join(files.name, "gate")
process = lab.zxmove_start("--json", "--progress", "doMailboxMove", two.name, "domains", company.domain, stdout=events,
                           fail="copy:applied=wait", env={"ZX_FAIL_FILE": gate})
wait_for(lambda: '"type":"progress"' in text(events), 60, "an event of progress")
with open(gate, "w", encoding="ascii"):
    pass
notices = process.communicate(timeout=600)[1]
is_(process.returncode, 5, "5: some of a domain failed")
is_(notices, "", "and stderr is empty")
lines = [json.loads(line) for line in text(events).splitlines()]
documented(sum(map(schema.of_event, lines[:-1]), []), "events have documented keys")
documented(schema.of_answer("doMailboxMove", lines[-1]), "the last line is the answer")
kinds = [event["type"] for event in lines[:-1]]
ok({"selected", "state", "progress", "mailbox"} <= set(kinds), "there are events of every type")
is_(kinds[0], "selected", "the first says what will be tried")
ok(lines[0]["mailboxes"] == 2 and lines[0]["bytes_expected"] > 0, "and how much it is")
is_(sorted(event["account"] for event in lines[:-1] if event["type"] == "mailbox"),
    sorted([company.address("anna"), company.address("ivan")]), "each mailbox has its end")
moved = {mailbox["account"]: mailbox for mailbox in lines[-1]["response"]["mailboxes"]}
is_([moved[company.address(name)]["outcome"] for name in ("anna", "ivan", "bad")], ["moved", "moved", "failed"],
    "the answer says how each ended")
ok(moved[company.address("bad")]["next"].startswith("doMailboxMove "), "and how to go on")
answer(5, "monitor", lines[-1]["response"]["operation"])
with open(lines[-1]["response"]["report"], encoding="utf-8") as kept:
    documented(schema.undocumented("doMailboxMove", json.load(kept)), "the report that is kept has documented keys")

result = lab.zxmove("--quiet", "doMailboxMove", two.name, "domains", company.domain)
exits(result, 1, "--quiet: the rest failed")
ok(result.stdout.startswith(f"{company.address('bad')}") and len(result.stdout.splitlines()) == 1 and not result.stderr,
   "--quiet says what failed, and nothing else") or diag(result.stdout + result.stderr)
lab.directory.set(dn, zimbraMailTransport=f"lmtp:{one.name}:7025")
result = lab.zxmove("--quiet", "doMailboxMove", two.name, "domains", company.domain)
exits(result, 0, "--quiet: all well")
is_(result.stdout + result.stderr, "", "--quiet has nothing to say then")

# The other verbs.
answer(0, "plan", two.name, "domains", company.domain)
found = answer(0, "getMovedMailboxes")
ok(company.address("anna") in [mailbox["account"] for mailbox in found["response"]["mailboxes"]], "the old copies")
answer(0, "doPurgeMailboxes", company.address("anna"), "ignore_retention", "true", "dry_run", "true")
answer(0, "doPurgeMailboxes", company.address("anna"), "ignore_retention", "true")
answer(1, "doPurgeMailboxes", "nobody@nowhere.test")
is_(scene.move(names["dead"], two, fail="fence:applied=kill").returncode, -9, "a mover dies")
found = answer(0, "doRecover", "accounts", scene.addresses[names["dead"]])
is_(found["response"]["mailboxes"][0]["outcome"], "explained", "doRecover explains")
wait_for(lambda: lab.zxmove("doRecover", "accounts", scene.addresses[names["dead"]], "dry_run", "false").returncode == 0,
         60, "the dead mover's claim to end", every=1)

# Ctrl-C in a domain: what was not reached did not fail.
many = Scene(lab, strangers=False)
accounts = [many.mailbox(f"user{number}", one, messages=2, rich=False) for number in range(3)]
held = Held(many, accounts, two, "copy:applied")
held.wait()
held.process.send_signal(signal.SIGINT)
wait_for(lambda: "stopping" in held.process.stderr.readline(), 20, "it to say that it stops")
result = held.go()
exits(result, 130, "130: interrupted")
ok("3 not reached" in result.stdout and "\nagain      doMailboxMove " in result.stdout,
   "the summary says what was not reached, and the command that takes it") or diag(result.stdout)
found = lab.zxmove("--json", *many.words(accounts, two))
exits(found, 0, "which does")

wait_for(lambda: scene.addresses[names["slow"]] in text(slow_says), 20, "a line within ten seconds")
ok(f"{scene.addresses[names['slow']]}  copy" in text(slow_says) and "\033" not in text(slow_says),
   "without a terminal: lines now and then, with the state and without colour") or diag(text(slow_says))
exits(slow.go(), 0, "and the move goes on")
files.cleanup()
done()
