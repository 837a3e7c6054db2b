#!/usr/bin/python3
"""Items that cannot be copied: the gate of each mailbox, the limits of the operation, what is listed and what a purge
then waits for; and the parameters that say how blobs are brought and proved."""

import csv
import email
import email.policy
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.blobs import digest, read_volumes  # noqa: E402
from zxlab.check import Expect, check_move, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, home, led_back, mailbox_id, moved_clean, says  # noqa: E402
from zxlab.seed import seed_mailbox  # noqa: E402
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402


def execute(store, statement, *values):
    """One statement in a store's database; what it answers."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def blobs(store, account, mailbox=None):
    """[(item id, mod_content, path)] of the plain messages of an account on a store, by its rows at `one`; each has
    a file of its own."""
    mailbox = mailbox or mailbox_id(store, account)
    rows_of = mailbox_id(one, account)
    with store.db() as connection, connection.cursor() as cursor:
        volumes, message = read_volumes(cursor)[:2]
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT group_id FROM zimbra.mailbox WHERE id = %s", (rows_of,))
        cursor.execute(f"SELECT id, mod_content FROM mboxgroup{cursor.fetchone()[0]}.mail_item WHERE mailbox_id = %s"
                       " AND type = 5 AND blob_digest IS NOT NULL ORDER BY id", (rows_of,))
        found = [(item, mod, volumes[message].blob(mailbox, item, mod)) for item, mod in cursor.fetchall()]
    return [(item, mod, path) for item, mod, path in found
            if os.path.isfile(path) and os.stat(path).st_nlink == 1]


def staged_blobs(account):
    """The same of the copy that was staged at the destination."""
    mailbox = execute(two, "SELECT mailbox_id FROM zxmove.reservation WHERE account_id = %s", account)[0][0]
    return blobs(two, account, mailbox)


def unreadable(account, count=1):
    """A directory lies where a blob should: it is there, and cannot be read. The items' ids."""
    found = blobs(one, account)[:count]
    assert len(found) == count, "too few messages have a file of their own"
    for _, _, path in found:
        os.unlink(path)
        os.mkdir(path)
    return [item for item, _, _ in found]


def other_bytes(path):
    """The same length and other bytes, in a new file, as a disk that lies would have it."""
    with open(path, "rb") as file:
        data = file.read()
    owner = os.stat(path)
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(bytes(byte ^ 1 for byte in data))
    os.chown(path, owner.st_uid, owner.st_gid)
    os.chmod(path, owner.st_mode & 0o777)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def folder_names(account):
    """{item id: name of its folder} at `one`."""
    mailbox, group = execute(one, "SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", account)[0]
    return {item: name.decode() for item, name in execute(
        one, f"SELECT i.id, f.name FROM mboxgroup{group}.mail_item i JOIN mboxgroup{group}.mail_item f"
        " ON f.mailbox_id = i.mailbox_id AND f.id = i.folder_id WHERE i.mailbox_id = %s", mailbox)}


def asked(account, request):
    """How often mailboxd of `one` was asked for something of the account."""
    return sum(r["request"] == request and r["account"] == account for r in one.log())


def plain(name, messages=30):
    return scene.mailbox(name, one, messages=messages, rich=False)


def report(result):
    """The report that a run has kept."""
    path = next(line.split()[-1] for line in result.stdout.splitlines() if line.startswith("report "))
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def gate():
    """More than bad_item_limit: nobody is locked out, everything stays. With the limit: moved, listed, recorded."""
    account = plain("gate", messages=60)
    bad = unreadable(account, 2)
    folders = folder_names(account)
    before = scene.snapshot(account)
    result = scene.move(account, two, "bad_item_limit", "1", "notifications", "admin@reports.test")
    led_back(result, before, account, "two bad items, one allowed", 1)
    says(result, "2 items could not be copied, more than bad_item_limit 1", "it says why")
    for item in bad:
        says(result, f"not copied: item {item} ({folders[item]}, ", "each is listed with its folder and subject")
    is_((asked(account, "LockoutMailboxRequest"), asked(account, "ModifyAccountRequest")), (0, 0),
        "no window was opened for it")
    exits(scene.move(account, two, "bad_item_limit", "51"), 64, "more than 50 have to be confirmed")
    result = scene.move(account, two, stages="data")
    exits(result, 1, "a data stage that could not bring all fails")
    result = scene.move(account, two, "bad_item_limit", "51", "accept_data_loss", "true")
    moved_clean(result, before, account, one, two, "with a limit that allows them")
    says(result, "bad items  2 could not be copied", "the summary says it")
    mine = report(result)["mailboxes"][0]["bad_items"]
    is_([(i["item"], i["damaged_before"], i["folder"]) for i in mine], [(i, False, folders[i]) for i in bad],
        "the report lists both")
    is_(execute(one, "SELECT bad_items FROM zxmove.moved WHERE account_id = %s", account), ((2,),),
        "the old copy's record counts them")
    is_(execute(two, "SELECT COUNT(*) FROM zxmove.bad_item"), ((0,),), "and their list went with the staging")
    purge = lab.zxmove("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true")
    exits(purge, 5, "a purge keeps the old copy")
    says(purge, "accept_data_loss true", "and says how it is given up")
    exits(lab.zxmove("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true", "accept_data_loss",
                     "true"), 0, "with accept_data_loss it goes")


def told():
    """The mail and its table list the items of both kinds."""
    account = scene.account("told", one)
    seed_mailbox(lab, account, one, messages=30, rich=False, damage={"missing": 1})
    bad = unreadable(account)[0]
    exits(scene.move(account, two, "bad_item_limit", "1", "notifications", "admin@reports.test"), 0, "one of each kind")
    wait_for(lambda: any("told@" in mail for mail in lab.mails()), 10, "the mail")
    message = email.message_from_string(next(mail for mail in lab.mails() if "told@" in mail),
                                        policy=email.policy.default)
    text = message.get_body().get_content()
    table = list(csv.DictReader(next(message.iter_attachments()).get_content().splitlines()))
    for where, words in (("the mail", text), ("its table", table[0]["bad_items"])):
        ok(f"not copied: item {bad}" in words and f"already damaged on {one.name}: item" in words,
           f"{where} lists both") or diag(words)
    is_(execute(one, "SELECT bad_items FROM zxmove.moved WHERE account_id = %s", account), ((1,),),
        "what was damaged before is not counted")


def killed():
    """Died between the commit and the record: the recovery still knows of the items."""
    account = plain("killed")
    bad = unreadable(account)
    before = scene.snapshot(account)
    exits(scene.move(account, two, "bad_item_limit", "1", fail="commit:done=kill"), -9, "killed after the commit")
    result = lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
    exits(result, 0, "doRecover")
    findings_none(check_move(lab, before, account, one, two), "it is moved")
    says(result, f"not copied: item {bad[0]}", "the recovery lists the item")
    is_(execute(one, "SELECT bad_items FROM zxmove.moved WHERE account_id = %s", account), ((1,),), "and records it")


def five_percent():
    """Errors divided by items of the whole operation, from the 20th item on."""
    names = ("percent1", "percent2", "percent3")
    accounts = [plain(name) for name in names]
    unreadable(accounts[0], 1)
    unreadable(accounts[1], 5)
    result = scene.move(accounts, two, "bad_item_limit", "10")
    exits(result, 1, "six of sixty")
    is_([home(lab, account).name for account in accounts], [two.name, one.name, one.name],
        "the first is moved, the second and the third stay")
    says(result, "items could not be copied, more than 5 %", "the reason is told")
    outcomes = [m["outcome"] for m in report(result)["mailboxes"]]
    is_(outcomes, ["moved", "failed", "not reached"], "the third was not begun")
    ok(report(result)["halted"], "the report says that the operation ended itself")
    is_(execute(two, "SELECT state FROM zxmove.operation ORDER BY started DESC LIMIT 1"), ((b"failed",),),
        "the operation's state")
    kept = report(result)
    watched = json.loads(lab.zxmove("--json", "monitor", kept["operation"]).stdout.splitlines()[-1])["response"]
    is_([watched.get("halted"), watched.get("notes")], [kept["halted"], kept["notes"]], "monitor tells the same")
    early = [plain("early1", messages=15), plain("early2")]
    unreadable(early[0])
    result = scene.move(early, two)
    exits(result, 5, "one early error does not stop everything")
    is_([home(lab, account).name for account in early], [one.name, two.name], "the mailbox after it is moved")


def in_flight():
    """The limit is exceeded while several are in flight: each ends moved, or as it was."""
    accounts = [plain(f"flight{number}", messages=40) for number in range(8)]
    for account in accounts[2:5]:
        unreadable(account, 6)
    before = scene.snapshot(*accounts)
    result = scene.move(accounts, two, "bad_item_limit", "10", "threads", "3")
    exits(result, 1, "too many errors among three at a time")
    ok(report(result)["halted"], "the report says that the operation ended itself")
    outcomes = [m["outcome"] for m in report(result)["mailboxes"]]
    ok(set(outcomes) <= {"moved", "failed", "not reached"} and "not reached" in outcomes, "nothing more was begun") or \
        diag(str(outcomes))
    surroundings = Expect(surroundings=False)
    for account, outcome in zip(accounts, outcomes):
        is_(home(lab, account).name, two.name if outcome == "moved" else one.name, f"{outcome}: where it is")
        findings = (check_move(lab, before, account, one, two, surroundings) if outcome == "moved" else
                    check_unmoved(lab, before, account, expect=surroundings))
        findings_none(findings, f"{outcome}: the checker finds nothing")


def resumed():
    """The limits are of the whole operation, also when another process goes on with it: two of ninety, not two of
    thirty."""
    accounts = [plain("whole1", messages=60), plain("whole2", messages=30)]
    unreadable(accounts[1], 2)
    held = Held(scene, accounts, two, "copy:intent", words=("bad_item_limit", "2"), nth=2)
    held.wait()
    held.process.kill()
    held.process.communicate()
    uuid = execute(two, "SELECT uuid FROM zxmove.operation ORDER BY started DESC LIMIT 1")[0][0].decode()
    wait_for(lambda: uuid in lab.zxmove("getUnfinishedOperationLog").stdout, 30, "it to be lost", every=0.5)
    result = lab.zxmove("doResume", uuid, timeout=200)
    exits(result, 0, "an operation that is resumed remembers what it had attempted")
    says(result, "2 moved, 0 failed", "and moves the rest")


def not_equal():
    """What differs after the last differences were brought: the proof says so, and nobody is switched."""
    account = plain("notequal")
    before = scene.snapshot(account)
    held = Held(scene, account, two, "delta:applied")
    held.wait()
    execute(two, "UPDATE zimbra.mailbox SET item_id_checkpoint = item_id_checkpoint - 1 WHERE account_id = %s", account)
    result = held.go()
    led_back(result, before, account, "a row that differs", 1)
    says(result, "is not proven equal", "the reason is told")
    moved_clean(scene.move(account, two), before, account, one, two, "the next run mends it")


def threshold():
    """So many unreadable blobs, whatever they are a part of."""
    accounts = [plain("threshold1", messages=60), plain("threshold2")]
    unreadable(accounts[0], 2)
    result = scene.move(accounts, two, "read_error_threshold", "2", "bad_item_limit", "10")
    exits(result, 1, "two unreadable blobs")
    says(result, "2 blobs could not be read (read_error_threshold 2)", "the reason is told")
    is_([home(lab, account).name for account in accounts], [one.name, one.name], "nobody was moved")
    result = scene.move(accounts, two, "read_error_threshold", "3", "bad_item_limit", "10")
    exits(result, 0, "with a threshold of three")


def overwrite():
    """A different file at the destination that nobody knows of."""
    account = plain("overwrite")
    exits(scene.move(account, two, stages="data"), 0, "(staged)")
    item, _, path = staged_blobs(account)[3]
    execute(two, "DELETE FROM zxmove.staged WHERE account_id = %s AND item_id = %s", account, item)
    other_bytes(path)
    wrong = content(path)
    before = scene.snapshot(account)
    result = scene.move(account, two, "overwrite", "false", "bad_item_limit", "5")
    led_back(result, before, account, "overwrite false", 1)
    says(result, f"item {item}: another file has its place on {two.name}, and overwrite is false", "it says which")
    is_(content(path), wrong, "the file is left alone")
    moved_clean(scene.move(account, two), before, account, one, two, "overwrite true")


def older_state():
    """Numbers are used again: the row means other content than what was staged under its name, and that cannot be
    had."""
    account = plain("older")
    exits(scene.move(account, two, stages="data"), 0, "(staged)")
    staged = {item: path for item, _, path in staged_blobs(account)}
    unread, gone = blobs(one, account)[:2]
    mailbox, group = execute(one, "SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", account)[0]
    for item, _, path in (unread, gone):
        os.unlink(path)
        execute(one, f"UPDATE mboxgroup{group}.mail_item SET blob_digest = %s, size = size + 1 WHERE mailbox_id = %s"
                " AND id = %s", digest(b"other content"), mailbox, item)
    os.mkdir(unread[2])
    before = scene.snapshot(account)
    exits(scene.move(account, two, "bad_item_limit", "1", stages="data"), 0, "(staged again)")
    is_([os.path.exists(staged[item]) for item in (unread[0], gone[0])], [False, False],
        "neither older state is left under the name")
    moved_clean(scene.move(account, two, "bad_item_limit", "1"), before, account, one, two, "moved without the two")


def verify():
    """A disk that gives other bytes back than it was given."""
    account = plain("verify")
    exits(scene.move(account, two, stages="data"), 0, "(staged)")
    other_bytes(staged_blobs(account)[2][2])
    before = scene.snapshot(account)
    exits(scene.move(account, two, "verify", "full", fail="fence:recorded=fail"), 1, "(stopped before the window)")
    is_(execute(two, "SELECT COUNT(*) FROM zxmove.staged WHERE account_id = %s AND NOT reread", account), ((0,),),
        "verify full: every blob was read again")
    result = scene.move(account, two, "verify", "full")
    moved_clean(result, before, account, one, two, "what differed was brought again")
    exits(scene.move(plain("size"), two, "verify", "size"), 0, "verify size")


def ignore_partial():
    """What an earlier attempt recorded is not believed."""
    account = plain("partial")
    exits(scene.move(account, two, stages="data"), 0, "(staged)")
    path = staged_blobs(account)[4][2]
    good = content(path)
    other_bytes(path)
    exits(scene.move(account, two, stages="data"), 0, "another data stage")
    ok(content(path) != good, "believes its records")
    result = scene.move(account, two, "ignore_partial", "true", stages="data")
    exits(result, 0, "ignore_partial")
    is_(content(path), good, "looks at every blob")
    is_(report(result)["mailboxes"][0]["blobs_copied"], 1, "and brings only what differs")


def bandwidth():
    """No faster than asked for, and as fast as it goes in the window."""
    account = plain("slow", messages=40)
    before = scene.snapshot(account)
    began = time.monotonic()
    result = scene.move(account, two, "bandwidth", "100K")
    took = time.monotonic() - began
    moved_clean(result, before, account, one, two, "bandwidth 100K")
    mine = report(result)["mailboxes"][0]
    ok(took > mine["bytes_copied"] / (100 * 1024) - 1, "it took its time") or diag(f"{took} s, {mine['bytes_copied']}")
    account = plain("hurry", messages=1)
    held = Held(scene, account, two, "copy:applied", words=("bandwidth", "4K", "cutover_retries", "0"))
    held.wait()
    lab.deliver(scene.address("hurry"), one, n=3, size=262144)
    before = scene.snapshot(account)
    moved_clean(held.go(), before, account, one, two, "a window that bandwidth would keep for longer than cutover_timeout")


def as_they_are():
    """compress and checkDigest."""
    account = scene.mailbox("compress", two, messages=30)
    before = scene.snapshot(account)
    moved_clean(scene.move(account, one, "compress", "false"), before, account, two, one, "compress false",
                Expect(compress=False))
    account = scene.mailbox("packed", one if not compresses(one) else two, messages=30)
    source, target = (one, two) if not compresses(one) else (two, one)
    before = scene.snapshot(account)
    moved_clean(scene.move(account, target, "compress", "false"), before, account, source, target,
                "compress false to a compressing volume", Expect(compress=False))
    damaged = scene.account("unchecked", one)
    seed_mailbox(lab, damaged, one, messages=10, damage={"wrong": 1})
    result = scene.move(damaged, two, "checkDigest", "false")
    exits(result, 0, "checkDigest false")
    ok("already damaged" not in result.stdout, "nobody looked at the digest")


def compresses(store):
    with Sql(store) as sql:
        return any(volume.compress_blobs for volume in sql.volumes().values())


lab = Lab.create("items", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab, strangers=False)
    for test in (gate, told, killed, five_percent, in_flight, resumed, not_equal, threshold, overwrite, older_state, verify,
                 ignore_partial, bandwidth, as_they_are):
        if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
            test()
finally:
    lab.stop()
done()
