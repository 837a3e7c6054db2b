#!/usr/bin/python3
"""Purge: retention, the proofs made again before every deletion, through mailboxd and behind its back, killed and
repeated; and getMovedMailboxes."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, moved_clean, purged_clean, says  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

lab = Lab.create("purge", mode=os.environ.get("MODE", "asan"))


def mailbox_id(store, account):
    """The id the database of a store has for an account, None without a row."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        row = cursor.fetchone()
        return row[0] if row else None


def purge(scene, account, *words, **options):
    """doPurgeMailboxes of one account."""
    return lab.zxmove("doPurgeMailboxes", scene.addresses[account], *words, **options)


def moved(scene, name):
    """A mailbox that moved from one to two; its account id and its old mailbox id."""
    account = scene.mailbox(name, one, messages=12)
    old = mailbox_id(one, account)
    exits(scene.move(account, two), 0, f"{name}: moved")
    return account, old


try:
    one, two = lab.stores[:2]
    scene = Scene(lab)

    account, old = moved(scene, "plain")
    says(lab.zxmove("getMovedMailboxes"), scene.addresses[account], "getMovedMailboxes lists the copy")
    result = purge(scene, account)
    exits(result, 5, "within retention a named copy is refused")
    says(result, "ignore_retention true", "and the message says how")
    exits(lab.zxmove("doPurgeMailboxes"), 64, "a bare doPurgeMailboxes is an error")
    exits(purge(scene, account, "ignore_retention", "true", "dry_run", "true"), 0, "a dry run")
    is_(mailbox_id(one, account), old, "deletes nothing")
    before = scene.snapshot(account)
    purged_clean(purge(scene, account, "ignore_retention", "true"), before, account, one, old, "through mailboxd")
    ok(not any(r["request"] == "DeleteMailboxRequest" for r in two.log()),
       "no DeleteMailboxRequest reached the live mailbox")
    ok(scene.addresses[account] not in lab.zxmove("getMovedMailboxes").stdout, "and it is listed no more")

    account, old = moved(scene, "written")
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute(f"UPDATE mboxgroup{(old - 1) % one.groups + 1}.mail_item SET flags = flags ^ 2, mod_metadata ="
                       " mod_metadata + 1 WHERE mailbox_id = %s AND type = 5 LIMIT 1", (old,))
    result = purge(scene, account, "ignore_retention", "true")
    exits(result, 5, "a copy that was written to is kept")
    says(result, "only copy", "and the report says why")
    is_(mailbox_id(one, account), old, "it is there")

    account, old = moved(scene, "home")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=one.name)
    result = purge(scene, account, "ignore_retention", "true")
    exits(result, 5, "a copy that the directory calls home is kept")
    is_(mailbox_id(one, account), old, "it is there")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=two.name)

    account, old = moved(scene, "killed")
    for point in ("purge:intent", "purge:rows"):
        is_(purge(scene, account, "ignore_retention", "true", fail=f"{point}=kill").returncode, -9,
            f"killed at {point}")
    before = scene.snapshot(account)
    result = purge(scene, account, "ignore_retention", "true")
    ok(result.returncode in (0, 5), "repeated")
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("purge_wait: 0s\n")
    if result.returncode:
        result = purge(scene, account, "ignore_retention", "true")
    purged_clean(result, before, account, one, old, "repeated after two kills")

    account, old = moved(scene, "restarted")
    one.mailboxd_kill()
    one.mailboxd_start()
    before = scene.snapshot(account)
    purged_clean(purge(scene, account, "ignore_retention", "true"), before, account, one, old,
                 "behind mailboxd's back")

    account, old = moved(scene, "article")
    result = lab.zxmove("zxsuite", "powerstore", "doPurgeMailboxes", "ignore_retention", "true")
    says(result, "all", "the article's spelling means all, and says so")
    is_(mailbox_id(one, account), None, "and purges")
finally:
    lab.stop()
done()
