#!/usr/bin/python3
"""An account that is deleted from the directory while it is in its window: doRecover closes the record, touches nothing
else and says what stays where; status and doResume know of it, and what stays goes as orphans do."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema, truth  # noqa: E402
from zxlab.check import check_move  # noqa: E402
from zxlab.directory import person_dn  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import (Scene, exits, fence_row, findings_none, home, mailbox_id, purged_clean,  # noqa: E402
                         says, short_timeouts)
from zxlab.tap import diag, done, is_, ok, wait_for  # noqa: E402

# Where the mover dies, how far the record says it came, and what it is closed as.
POINTS = (("fence:applied", "fenced", "undone"), ("commit:committing", "committing", "undone"),
          ("open:answered", "committed", "done"))


def without_entry(account):
    """The account's entry goes, as `zmprov -l da` has it; what puts it back as it was."""
    dn, entry = truth.Directory(lab).account(account)
    lab.ldap().delete_s(dn)
    return lambda: lab.ldap().add_s(dn, list({**entry, "zimbraAccountStatus": [b"active"]}.items()))


def all_there_is(store, account):
    """Rows and files that a store has of the account, and what was requested of its mailboxd about it."""
    mailbox = mailbox_id(store, account)
    with truth.Sql(store) as sql:
        reserved = sql.text(f"SELECT mailbox_id FROM zxmove.reservation WHERE account_id = '{account}'")
        ids = {int(found) for found in [mailbox, *(row[0] for row in reserved)] if found}
        rows = {table: sorted(sql.text(f"SELECT * FROM {table} WHERE {key} IN ({','.join(map(str, ids)) or 0})"))
                for table, key in [("zimbra.mailbox", "id")] + [
                    (f"mboxgroup{(each - 1) % store.groups + 1}.{name}", "mailbox_id")
                    for each in ids for name in ("mail_item", "appointment", "tag", "tombstone")]}
        files = sorted((path, os.stat(path).st_mtime_ns, os.stat(path).st_ino) for volume in sql.volumes().values()
                       for each in ids for top, _, names in os.walk(volume.mailbox_dir(each))
                       for path in (os.path.join(top, name) for name in names))
    # Asking whether it is locked would be no harm, but nobody can be asked of an account that does not exist.
    asked = [entry["n"] for entry in store.log() if entry["account"] == account]
    return rows, files, asked


def recover(*words):
    """doRecover in JSON: the result, and the line of each mailbox."""
    result = lab.zxmove("--json", "doRecover", *words)
    answer = json.loads(result.stdout.splitlines()[-1])
    findings = schema.of_answer("doRecover", answer)
    ok(not findings, "doc/json.md has its keys") or diag("\n".join(findings))
    return result, answer["response"]["mailboxes"]


def vanishes(point, came_to, closed):
    """Killed there, deleted, recovered, purged."""
    name = point.replace(":", "-")
    account = scene.mailbox(name, one, messages=5)
    address = scene.addresses[account]
    before = scene.snapshot(account)
    is_(scene.move(account, two, fail=f"{point}=kill").returncode, -9, f"{point}: killed")
    old, new = mailbox_id(one, account), mailbox_id(two, account)
    restore = without_entry(account)
    result = lab.zxmove("status", "account", address)
    says(result, f"({came_to}); not in the directory; a mailbox is left on {one.name} ({old})", f"{point}: status by address")
    exits(lab.zxmove("doPurgeMailboxes", "orphans", "ignore_retention", "true"), 5, f"{point}: no purge before that")
    there = [all_there_is(store, account) for store in (one, two)]
    result, (box,) = recover("accounts", address)
    exits(result, 0, f"{point}: doRecover explains")
    ok(box["outcome"] == "explained" and "deleted from the directory" in box["reason"], f"{point}: what happened") or diag(box)
    is_(fence_row(one, account), came_to, f"{point}: and leaves the record")
    result, (box,) = recover("accounts", address, "dry_run", "false")
    exits(result, 0, f"{point}: recovered")
    is_(box["outcome"], "finished", f"{point}: finished")
    notes = "\n".join(box.get("notes", []))
    ok(f"mailbox {old} stays on {one.name}" in notes and "doPurgeMailboxes orphans" in notes and
       (new is None or f"mailbox {new} stays on {two.name}" in notes), f"{point}: says what stays where") or diag(notes)
    ok(("was active before" in notes) and f"{one.name} may have its mailbox locked" in notes,
       f"{point}: and what is to be known should it come back") or diag(notes)
    is_([fence_row(store, account) for store in (one, two)], [closed, closed], f"{point}: both records are closed")
    ok([all_there_is(store, account) for store in (one, two)] == there, f"{point}: no row, no file was touched, no mailboxd asked")
    is_(recover("accounts", address, "dry_run", "false")[1], [], f"{point}: nothing is left to recover")
    says(lab.zxmove("status", "account", address), f"not in the directory; a mailbox is left on {one.name}",
         f"{point}: status knows it still")
    result = lab.zxmove("doPurgeMailboxes", "orphans", "ignore_retention", "true")
    is_([mailbox_id(store, account) for store in (one, two)], [None, None], f"{point}: what stayed goes as orphans do")
    restore()
    purged_clean(result, before, account, one, old, f"{point}: and nothing is left of it")


def not_an_account():
    """Something has the id that is no account: nobody knows what that means, and nothing is touched."""
    account = scene.mailbox("other", one, messages=3, rich=False)
    address = scene.addresses[account]
    is_(scene.move(account, two, fail="fence:applied=kill").returncode, -9, "an id of something else: killed")
    restore = without_entry(account)
    place = person_dn(scene.address("list"))
    lab.new_list(scene.address("list"), [])
    lab.directory.set(place, zimbraId=account)
    result, (box,) = recover("accounts", address, "dry_run", "false")
    exits(result, 1, "an id of something else: refused")
    ok("nothing is touched" in box["reason"], "an id of something else: says so") or diag(box)
    is_([fence_row(store, account) for store in (one, two)], ["fenced", "fenced"], "an id of something else: the record stays")
    lab.ldap().delete_s(place)
    restore()
    lab.directory.set(lab.directory.account(account)[0], zimbraAccountStatus="maintenance")
    exits(lab.zxmove("doRecover", "accounts", address, "dry_run", "false"), 0, "with the account back: recovered")
    is_((home(lab, account).name, one.state(account)["locked"], fence_row(one, account)), (one.name, False, "undone"),
        "and led back as ever")


def resumed():
    """doResume closes it, says so, and goes on with the others."""
    gone, other = (scene.mailbox(name, one, messages=3, rich=False) for name in ("gone", "other2"))
    before = scene.snapshot(other)
    held = Held(scene, [gone, other], two, "fence:applied")
    held.wait()
    held.process.kill()
    held.finish()
    restore = without_entry(gone)
    wait_for(lambda: f"nobody works on it any more, run doRecover accounts {scene.addresses[gone]}" in
             lab.zxmove("status", "account", scene.addresses[gone]).stdout, 60, "status to say what to do", every=0.5)
    uuid = fence_row(one, gone, "operation")

    def lost():
        return uuid in lab.zxmove("getUnfinishedOperationLog").stdout
    wait_for(lost, 60, "it to be lost", every=0.5)
    result = lab.zxmove("doResume", uuid, timeout=300)
    exits(result, 5, "doResume: the other one only")
    says(result, "was deleted from the directory while operation", "doResume: says what happened")
    is_([fence_row(store, gone) for store in (one, two)], ["undone", "undone"], "doResume: the record is closed")
    restore()
    findings_none(check_move(lab, before, other, one, two), "doResume: the other is moved")


lab = Lab.create("vanished", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, lease=10, timeout=10)
    scene = Scene(lab, exclusive=False, strangers=False)
    for each in POINTS:
        vanishes(*each)
    not_an_account()
    resumed()
finally:
    lab.stop()
done()
