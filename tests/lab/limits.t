#!/usr/bin/python3
"""Parameters that one move may have otherwise than the configuration: max_syncs, sync_finish_threshold, cutover_timeout,
cutover_retries; sourceHost and --host; a volume, an input file; getMovedMailboxes in part; and verbs that old scripts call."""

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, led_back, says  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
scene = Scene(lab, strangers=False)


def moved(result, name):
    """One test: it moved; its mailbox in the report."""
    exits(result, 0, name)
    operation = next(line.split()[1] for line in result.stdout.splitlines() if line.startswith("operation"))
    with open(os.path.join(lab.dir, "state", "reports", f"{operation}.json"), encoding="utf-8") as file:
        return json.load(file)["mailboxes"][0]


def held_for(held, seconds):
    """Lets it go when it has stood still for so long; CompletedProcess."""
    held.wait()
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > seconds, seconds + 10, "the time to pass")
    return held.go()


# Rounds: as many as it takes, or no more than is said.
many = [scene.mailbox(f"many{number}", one, messages=150, rich=False) for number in range(2)]
is_(moved(scene.move(many[0], two), "a move of many messages")["rounds"], 2, "takes a second round after a large one")
is_(moved(scene.move(many[1], two, "max_syncs", "1"), "with max_syncs 1")["rounds"], 1, "takes no second one")
few = [scene.mailbox(f"few{number}", one, messages=1, rich=False) for number in range(2)]
is_(moved(held_for(Held(scene, few[0], two, "rows:table"), 1.2), "a round that takes its time")["rounds"], 1,
    "is short enough")
is_(moved(held_for(Held(scene, few[1], two, "rows:table", words=("sync_finish_threshold", "1s", "max_syncs", "2")),
                   1.2), "with sync_finish_threshold 1s")["rounds"], 2, "is not")

# The window.
late = account = scene.mailbox("late", one, messages=2, rich=False)
before = scene.snapshot(account)
result = held_for(Held(scene, account, two, "prove:lock", words=("cutover_timeout", "15s", "cutover_retries", "0")), 15.2)
led_back(result, before, account, "cutover_timeout 15s", status=1)
says(result, "cutover_timeout", "it says so")

account = scene.mailbox("again", one, messages=2, rich=False)
before = scene.snapshot(account)
one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=2700, count=4)  # two in a window
result = scene.move(account, two, "cutover_timeout", "5s", "cutover_retries", "1")
led_back(result, before, account, "cutover_retries 1, and the first two windows take too long", status=1)
is_(sum(request["request"] == "LockoutMailboxRequest" and request["op"] == "end" and request["account"] == account
        for request in one.log()), 2, "it was tried twice")

# Where from, and whither.
there = scene.mailbox("there", two, messages=1, rich=False)
result = lab.zxmove("--json", "doMailboxMove", one.name, "domains", scene.domain, "sourceHost", one.name, "stages",
                    "data")
exits(result, 0, "sourceHost")
ok({box["reason"] for box in json.loads(result.stdout)["response"]["mailboxes"] if box["source"] == two.name} ==
   {f"home is {two.name}"}, "who lives elsewhere is skipped")
result = lab.zxmove("--host", one.name, "doMailboxMove", two.name, "accounts", scene.addresses[there])
says(result, "already there", "--host")
for words in (["sourceHost", "store1"], ["sourceHost", "elsewhere.test"]):
    result = lab.zxmove("plan", two.name, "accounts", scene.addresses[there], *words)
    exits(result, 1, f"{' '.join(words)}: no such server")
    says(result, "no server " + words[1], "it says so, and moves nobody")
result = lab.zxmove("plan", "store2", "accounts", scene.addresses[there])
says(result, f"no server store2 in the directory, did you mean {two.name}?", "it knows what was meant")
result = lab.zxmove("--host", one.name, "doMailboxMove", two.name, "accounts", "a@x", "sourceHost", two.name)
exits(result, 64, "two stores to come from")
with two.db() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT id, name FROM zimbra.volume WHERE type = 2")
    volume, name = cursor.fetchone()
name = name.decode() if isinstance(name, bytes) else name
box = moved(scene.move(late, two, "blob_destination_volume", name), "blob_destination_volume after the first copy")
ok(any(f"blob_destination_volume {name} is not followed" in note for note in box["notes"]), "comes too late, and it says so")
account = scene.mailbox("volume", one, messages=2, rich=False)
alias = f"alias@{scene.domain}"
lab.directory.set(lab.directory.account(account)[0], zimbraMailAlias=alias)
with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8-sig") as file:
    file.write(f"# tonight\r\nname;account\r\n\r\nAnn;{scene.addresses[account].upper()}\r\n\"Ann, again\";"
               f"\"{scene.addresses[account]}\"\r\nAnn;{alias} # the same\r\nAnn;{account}\r\n")
    file.flush()
    result = lab.zxmove("doMailboxMove", two.name, "input_file", file.name, "blob_destination_volume", name)
    says(result, "1 moved, 0 failed, 0 skipped", "in a file four times, by three names: moved once")
    box = moved(result, "input_file as a spreadsheet of Windows writes it; blob_destination_volume by name")
with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
    file.write("".join(f"{who}@{scene.domain}\n" for who in ("none1", "many0", "none2")))
    file.flush()
    result = lab.zxmove("plan", two.name, "input_file", file.name)
    exits(result, 1, "addresses that the directory does not know")
    says(result, f"{file.name}: no account in the directory for 2 of 3 addresses\nline 1: none1@{scene.domain}\n"
         f"line 3: none2@{scene.domain}\n", "it names them all, with their lines")
result = lab.zxmove("plan", two.name, "input_file", "/nonexistent")
exits(result, 66, "no such file")
says(result, "input_file: /nonexistent: No such file or directory\n", "it says so")
with two.db() as connection, connection.cursor() as cursor:
    cursor.execute(f"SELECT DISTINCT locator FROM mboxgroup{(box['destination_mailbox'] - 1) % two.groups + 1}.mail_item"
                   " WHERE mailbox_id = %s AND blob_digest IS NOT NULL", (box["destination_mailbox"],))
    is_([str(int(row[0])) for row in cursor.fetchall()], [str(volume)], "its blobs are on that volume")

# Old copies, in part and as a table.
def copies(*words):
    """The accounts of this test whose copies getMovedMailboxes lists as a table."""
    result = lab.zxmove("getMovedMailboxes", "format", "csv", *words)
    return {row["account"].partition("@")[0]: row for row in csv.DictReader(io.StringIO(result.stdout))
            if row["account"].endswith(scene.domain)}


listed = copies()
ok({"many0", "many1"} <= set(listed) and listed["many0"]["store"] == one.name and int(listed["many0"]["bytes"]) > 0,
   "getMovedMailboxes format csv")
is_(copies("due", "true"), {}, "none is due")
with one.db() as connection, connection.cursor() as cursor:
    cursor.execute("UPDATE zxmove.moved SET committed = committed - INTERVAL 31 DAY WHERE address = %s",
                   (scene.addresses[many[0]],))
is_(set(copies("due", "true")), {"many0"}, "due true: one is")
ok(scene.addresses[many[0]] in [row["account"] for row in json.loads(lab.zxmove("getMovedMailboxes", "format", "json").stdout)],
   "format json")

# One store is gone: the others' are listed all the same.
with tempfile.TemporaryDirectory(prefix="zxmove-limits-") as directory:
    path = os.path.join(directory, "zxmove.yaml")
    with open(lab.conf_path, encoding="utf-8") as file:
        text = file.read().replace(f"address: {two.address}", "address: 127.0.0.99", 1)
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    result = subprocess.run([lab.program, "--config", path, "--json", "getMovedMailboxes"], capture_output=True,
                            text=True, check=False, timeout=600)
exits(result, 5, "getMovedMailboxes while a store is gone")
answer = json.loads(result.stdout)["response"]
ok({copy["store"] for copy in answer["mailboxes"]} >= {one.name}, "lists those of the others") or diag(result.stdout)
is_({missed["server"] for missed in answer["unreached"]}, {two.name}, "and says which was not asked")
for words in (["getMovedMailboxes"], ["doPurgeMailboxes", "all", "dry_run", "true"]):
    result = lab.zxmove("--host", "nosuch.test", *words)
    exits(result, 1, f"{words[0]} of a store that is none")
    says(result, "store nosuch.test is not in the configuration", "it says so")

# What old scripts call.
result = lab.zxmove("runBulkDelete", "volumes", "1,2")
exits(result, 0, "runBulkDelete")
says(result, "purge", "says what has deleted already")
exits(lab.zxmove("getAllVolumes", "all_servers", "true"), 0, "getAllVolumes all_servers")
done()
