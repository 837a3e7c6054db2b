#!/usr/bin/python3
"""doVerify: an old copy and the mailbox in use are equal after a move; what users and mailboxd do since is told and
explained; each kind of thing that nothing explains is planted and is an alarm; modes, output, and what cannot be
compared."""

import csv
import json
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import network, schema  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.load import Lmtp  # noqa: E402
from zxlab.moves import Scene, exits, mailbox_id, says  # noqa: E402
from zxlab.snapshot import OWN_SCHEMA, read_copy  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

KEYS = ("equal", "only_old", "only_new", "different", "damaged")


def verify(status, *words):
    """One test: the status and the keys; the response."""
    result = lab.zxmove("--json", "doVerify", *words)
    answer = json.loads(result.stdout.splitlines()[-1])
    findings = schema.of_answer("doVerify", answer)
    if not ok(result.returncode == status and not findings, f"{status}: doVerify {' '.join(words)}"):
        diag("\n".join(findings) + result.stdout + result.stderr)
    return answer.get("response", {})


def copy_of(account, status=0, *words):
    """The only old copy of an account."""
    copies = verify(status, "accounts", scene.addresses[account], *words).get("copies", [{}])
    is_(len(copies), 1, "one old copy")
    return copies[0]


def listed(account, status, *words):
    """The lines of output, and the copy: {(mark, table, key): line}."""
    path = os.path.join(files.name, "out.csv")
    copy = copy_of(account, status, "output", path, *words)
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return {(line["mark"], line["table"], line["key"]): line for line in lines}, copy


def alarms(copy):
    """What nothing explains: {(mark, table, key)}."""
    return {(item["mark"], item["table"], item["key"]) for item in copy.get("items", [])}


def execute(store, account, statement):
    """{z} is the mailbox's id there, {g} its group; nobody's mailboxd knows of it."""
    copy = read_copy(lab, store, account)
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION foreign_key_checks = 0")
        cursor.execute(statement.format(z=copy.mailbox_id, g=f"mboxgroup{copy.group}"))
        assert cursor.rowcount, statement


def messages(store, account):
    """[(row, path of its file)], only with files of their own."""
    copy, found = read_copy(lab, store, account), []
    for row in copy.dicts("group.mail_item"):
        if row["type"] == b"5" and row["locator"] is not None:
            volume = copy.volumes[int(row["locator"])]
            path = os.path.join(volume.mailbox_dir(copy.mailbox_id), volume.blob(int(row["id"]), int(row["mod_content"])))
            if os.path.exists(path) and os.stat(path).st_nlink == 1:
                found.append((row, path))
    return found


def deliver(account, store, subject):
    """A message from outside."""
    text = f"From: <x@elsewhere.test>\r\nTo: <{scene.addresses[account]}>\r\nSubject: {subject}\r\n\r\nhello\r\n"
    return Lmtp().offer((store.address, network.LMTP_PORT), scene.addresses[account], text.encode())


lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
scene = Scene(lab, strangers=False)
files = tempfile.TemporaryDirectory(prefix="zxmove-verify-")

exits(lab.zxmove("doVerify"), 64, "it needs accounts or an operation")
exits(lab.zxmove("doVerify", "operation", "0000beef"), 1, "an operation that no store knows")
exits(lab.zxmove("doVerify", "accounts", "nobody@nowhere.test"), 1, "an address that nobody has")

names = {name: scene.mailbox(name, one, messages=24) for name in ("anna", "boris", "clara", "dora")}
names["never"] = scene.mailbox("never", one, messages=2, rich=False)
one.user(names["boris"], "sync")
damaged = messages(one, names["clara"])[0]  # before the move already: carried as it is
with open(damaged[1], "r+b") as file:
    file.write(b"#")
moved = lab.zxmove("--json", "doMailboxMove", two.name, "accounts",
                   ",".join(scene.address(name) for name in names if name != "never"))
exits(moved, 0, "four mailboxes move")
operation = json.loads(moved.stdout.splitlines()[-1])["response"]["operation"]

# As it was moved.
response = verify(0, "operation", operation[:13])
is_(sorted(copy["account"] for copy in response["copies"]), sorted(scene.address(n) for n in names if n != "never"),
    "every mailbox of the operation")
ok(all(copy["compared"] and copy["alarms"] == 0 and copy["marks"]["equal"] > 100 and
       not any(copy["marks"][key] for key in KEYS[1:]) for copy in response["copies"]), "all of it equal") \
    or diag(json.dumps(response, indent=1)[:6000])
copy = copy_of(names["anna"], 0, "mode", "counts")
ok("marks" not in copy and all(t["old_rows"] == t["new_rows"] and "marks" not in t for t in copy["tables"]),
   "counts: the rows of both sides, and no marks")
found, copy = listed(names["clara"], 0, "mode", "full")
name = f"{int(damaged[0]['id'])}-{int(damaged[0]['mod_content'])}"
is_(set(found), {("!", "blob", name)}, "full: what was damaged before is told")
says(lab.zxmove("doVerify", "accounts", scene.address("anna"), "mode", "full"), "hard on the disks", "and that it is hard")
ok("as in the old copy" in found["!", "blob", name]["reason"], "and explained")
table = next(t for t in copy["tables"] if t["table"] == "blob")
ok(table["old_rows"] == table["new_rows"] == table["marks"]["equal"] + 1 > 20, "blobs of both sides")

# A user at work, without tombstones (anna) and with them (boris).
for account in (names["anna"], names["boris"]):
    gone = two.user(account, "delete")["item"]
    flagged = two.user(account, "flag")["item"]
    two.user(account, "move", flagged)
    is_(deliver(account, two, "hello again")[0], 250, "mail arrives")
    found, copy = listed(account, 0)
    line = found.get(("-", "mail_item", str(gone)), {})
    ok(("deleted since" in line.get("reason", "")) and line["alarm"] == "no", "a deletion is explained") or diag(str(found))
    line = found.get(("*", "mail_item", str(flagged)), {})
    ok("flags" in line.get("columns", "") and "folder_id" in line["columns"], "what was flagged and filed has changed") \
        or diag(str(found))
    new = [line for (mark, table, _), line in found.items() if (mark, table) == ("+", "mail_item") and
           line["name"] == "hello again"]
    ok(len(new) == 1 and new[0]["folder"] == "Inbox" and int(new[0]["size"]) > 0 and new[0]["date"],
       "what arrived is new, with its folder, size and date") or diag(str(found))
    is_([copy["alarms"], alarms(copy)], [0, set()], "and nothing is unexplained")
    is_([sum(line["mark"] == mark for line in found.values()) <= copy["marks"][key]
         for mark, key in zip("-+*!", KEYS[1:])], [True] * 4, "the sums fit")
result = lab.zxmove("doVerify", "accounts", scene.address("anna"))
exits(result, 0, "for people")
says(result, "nothing is unexplained", "in words")
tracked = next(item for item, path in messages(two, names["boris"]))
execute(two, names["boris"], "DELETE FROM {g}.mail_item WHERE mailbox_id = {z} AND id = " + str(int(tracked["id"])))
ok(("-", "mail_item", str(int(tracked["id"]))) in alarms(copy_of(names["boris"], 1)),
   "a row that went without a tombstone is an alarm where deletions leave one")

# What nothing explains, each on another message of the mailbox in use.
clara, expected = names["clara"], set()
rows = iter(messages(two, clara)[1:])


def plant(statement, *marks):
    """Of the next message."""
    row, path = next(rows)
    item = int(row["id"])
    execute(two, clara, statement + f" WHERE mailbox_id = {{z}} AND id = {item}")
    expected.update((mark, "mail_item", str(item)) for mark in marks)
    return item, path


lost = plant("DELETE FROM {g}.mail_item", "-")[0]
folder = next(int(row["folder_id"]) for row in read_copy(lab, one, clara).dicts("group.mail_item") if int(row["id"]) == lost)
expected.add(("!", "mail_item", str(folder)))  # its count
plant("UPDATE {g}.mail_item SET subject = 'another'", "!")
plant("UPDATE {g}.mail_item SET blob_digest = REVERSE(blob_digest), mod_metadata = mod_metadata + 1000", "!")
plant("UPDATE {g}.mail_item SET mod_metadata = mod_metadata - 1", "!")
plant("UPDATE {g}.mail_item SET index_id = NULL")
found, copy = listed(clara, 1)
is_({alarm for alarm in alarms(copy) if alarm[1] == "mail_item" and alarm[2] != "references"}, expected,
    "every alarm of a row, and no other") or diag(str(copy["items"]))
is_({line["alarm"] for line in found.values() if line["columns"] == "index_id"}, {"no"}, "an index number changes quietly")
ok({table for _, table, _ in alarms(copy)} <= {"mail_item", "tagged_item"}, "and nothing of other tables")
tag = next(row for row in read_copy(lab, two, names["dora"]).dicts("group.tagged_item"))
execute(two, names["dora"], f"DELETE FROM {{g}}.tagged_item WHERE mailbox_id = {{z}} AND tag_id = {int(tag['tag_id'])}"
        f" AND item_id = {int(tag['item_id'])}")
is_(alarms(copy_of(names["dora"], 1)), {("-", "tagged_item", f"{int(tag['tag_id'])}, {int(tag['item_id'])}")},
    "a tag that an unchanged item has lost")
execute(two, names["dora"], f"INSERT INTO {{g}}.tagged_item (mailbox_id, tag_id, item_id) VALUES ({{z}},"
        f" {int(tag['tag_id'])}, {int(tag['item_id'])})")

# Files.
(row, missing), (other, altered) = messages(two, names["dora"])[:2]
os.remove(missing)
with open(altered, "r+b") as file:
    file.write(b"#")
is_(alarms(copy_of(names["dora"], 0)), set(), "checksum reads no files")
is_(alarms(copy_of(names["dora"], 1, "mode", "full")), {("!", "blob", os.path.basename(path).removesuffix(".msg"))
                                                        for path in (missing, altered)}, "full finds both")
with open(messages(one, names["dora"])[3][1], "r+b") as file:
    file.write(b"#")
found, _ = listed(names["dora"], 1, "mode", "full")
is_([line["alarm"] for line in found.values() if line["reason"].startswith("only in the old copy")], ["no"],
    "a file that only the old copy has damaged")
with open(missing, "wb") as file, open(messages(one, names["dora"])[0][1], "rb") as was:
    file.write(was.read())

# The old copy was written to after the move: a message that the user never got.
copy = read_copy(lab, one, names["dora"])
execute(one, names["dora"], "UPDATE {g}.mail_item SET size = size + 1 WHERE mailbox_id = {z} AND id = 2")
execute(one, names["dora"], "INSERT INTO {g}.mail_item (mailbox_id, id, type, folder_id, date, size, mod_metadata, mod_content,"
        " subject) VALUES ({z}, 99999, 5, 2, 1, 1, 999999, 999999, 'late')")
copy = copy_of(names["dora"], 1)
is_(alarms(copy), {("-", "mail_item", "99999")}, "a message that only the old copy got")
ok("user lacks it" in copy["items"][0]["reason"] and copy["items"][0]["name"] == "late", "and what it is")
execute(one, names["dora"], "DELETE FROM {g}.mail_item WHERE mailbox_id = {z} AND id = 99999")
execute(one, names["dora"], "UPDATE {g}.mail_item SET size = size - 1 WHERE mailbox_id = {z} AND id = 2")

# A stray copy, left behind on a store that was gone then: what a deletion would explain elsewhere, here only the
# other home may have had.
was = mailbox_id(one, names["anna"])
execute(one, names["anna"], f"DELETE FROM {OWN_SCHEMA}.moved WHERE mailbox_id = {{z}}")
execute(two, names["anna"], f"INSERT INTO {OWN_SCHEMA}.left_behind (account_id, store, mailbox_id, address, operation, since)"
        f" VALUES ('{names['anna']}', '{one.name}', {was}, '{scene.address('anna')}', '{operation}', UTC_TIMESTAMP(3))")
execute(one, names["anna"], "INSERT INTO {g}.mail_item (mailbox_id, id, type, folder_id, date, size, mod_metadata, mod_content,"
        " subject) VALUES ({z}, 99998, 5, 2, 1, 1, 1, 1, 'there')")
copy = copy_of(names["anna"], 1)
is_([copy["state"], alarms(copy)], ["stray", {("-", "mail_item", "99998")}], "of a stray copy it is an alarm")
execute(one, names["anna"], "DELETE FROM {g}.mail_item WHERE mailbox_id = {z} AND id = 99998")
copy = copy_of(names["anna"])
is_([copy["state"], copy["old_mailbox"], copy["alarms"]], ["stray", was, 0], "without it nothing is unexplained")

# Ctrl-C, before the first mailbox is compared.
gate = os.path.join(files.name, "gate")
process = lab.zxmove_start("--json", "doVerify", "accounts", f"{scene.address('anna')},{scene.address('clara')}",
                           fail="verify:copy=wait", env={"ZX_FAIL_FILE": gate})
wait_for(lambda: os.path.exists(f"{gate}.reached") or process.poll() is not None, 60, "it to have begun")
process.send_signal(signal.SIGINT)
with open(gate, "w", encoding="ascii"):
    pass
answer = json.loads(process.communicate(timeout=600)[0].splitlines()[-1])
is_([process.returncode, answer["error"]["code"]], [130, "INTERRUPTED"], "Ctrl-C ends it")
is_([copy["compared"] for copy in answer["response"]["copies"]], [False, False], "and the answer says what was not compared")

# What cannot be compared.
copy = verify(1, "accounts", scene.address("never"))["copies"][0]
is_([copy["compared"], copy["code"]], [False, "NOT_FOUND"], "an account that never moved")
exits(lab.zxmove("doPurgeMailboxes", scene.address("dora"), "ignore_retention", "true"), 0, "a purge")
copy = verify(1, "accounts", scene.address("dora"))["copies"][0]
ok("was purged" in copy["reason"] and "doCheckBlobs" in copy["reason"], "it says what is left to do") or diag(str(copy))
execute(one, names["anna"], f"UPDATE {OWN_SCHEMA}.moved SET state = 'kept' WHERE mailbox_id = {{z}}")
copies = verify(5, "accounts", f"{scene.address('anna')},{scene.address('never')}")["copies"]
is_([copy["compared"] for copy in copies], [True, False], "5: one could be, another not")
execute(two, names["anna"], "UPDATE zimbra.mailbox SET account_id = REVERSE(account_id) WHERE id = {z}")
copy = verify(1, "accounts", scene.address("anna"))["copies"][0]
ok("has no mailbox of it" in copy["reason"], "a home without the mailbox")
with two.db() as connection, connection.cursor() as cursor:  # others use this laboratory, too
    cursor.execute("UPDATE zimbra.mailbox SET account_id = REVERSE(account_id) WHERE account_id = REVERSE(%s)",
                   (names["anna"],))
done()
