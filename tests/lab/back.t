#!/usr/bin/python3
"""There and back again, for each thing a store may know of an account that lived there before
(doc/architecture.md): still locked, restarted since, purged through mailboxd, purged behind its back, cached and
not locked, rows of ours that are not mapped; and a triangle A-B-C-A."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, moved_clean  # noqa: E402
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

lab = Lab.create("back", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))


def mailbox_id(store, account):
    """The id the database of a store has for an account, None without a row."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        row = cursor.fetchone()
        return row[0] if row else None


def go(scene, account, source, destination, name):
    """One leg, judged by the checker; mail arrives before it."""
    lab.deliver(scene.addresses[account], source, n=2)
    before = scene.snapshot(account)
    moved_clean(scene.move(account, destination), before, account, source, destination, name)


try:
    one, two, three = lab.stores
    scene = Scene(lab, exclusive=True)

    account = scene.mailbox("locked", one, messages=30)
    old = mailbox_id(one, account)
    go(scene, account, one, two, "there")
    go(scene, account, two, one, "back, while the old copy is locked")
    ok(mailbox_id(one, account) != old, "under a new id, the old copy gone")

    account = scene.mailbox("restarted", one, messages=30)
    old = mailbox_id(one, account)
    go(scene, account, one, two, "there")
    one.mailboxd_kill()
    one.mailboxd_start()
    go(scene, account, two, one, "back, after the store was restarted")
    is_(mailbox_id(one, account), old, "under its recorded id")

    account = scene.mailbox("purged", one, messages=30)
    old = mailbox_id(one, account)
    go(scene, account, one, two, "there")
    exits(lab.zxmove("doPurgeMailboxes", scene.address("purged"), "ignore_retention", "true"), 0, "purged")
    is_(mailbox_id(one, account), None, "through mailboxd")
    go(scene, account, two, one, "back, after a purge through mailboxd")
    ok(mailbox_id(one, account) != old, "under a new id")

    account = scene.mailbox("behind", one, messages=30)
    old = mailbox_id(one, account)
    go(scene, account, one, two, "there")
    one.mailboxd_kill()
    one.mailboxd_start()
    result = lab.zxmove("doPurgeMailboxes", scene.address("behind"), "ignore_retention", "true")
    exits(result, 5, "a purge behind mailboxd's back is kept for a quarter of an hour")
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("purge_wait: 0s\n")
    exits(lab.zxmove("doPurgeMailboxes", scene.address("behind"), "ignore_retention", "true"), 0,
          "then it is purged behind its back")
    is_(mailbox_id(one, account), None, "its row is gone")
    go(scene, account, two, one, "back, while mailboxd still maps the purged id")
    is_(mailbox_id(one, account), old, "under its recorded id")

    account = scene.mailbox("cached", one, messages=30)
    old = mailbox_id(one, account)
    go(scene, account, one, two, "there")
    Admin(one).lockout(account, "end")
    go(scene, account, two, one, "back, while the old copy is cached and not locked")
    ok(mailbox_id(one, account) != old, "under a new id")

    account = scene.mailbox("unmapped", one, messages=30)
    old = mailbox_id(one, account)
    go(scene, account, one, two, "there")
    one.mailboxd_kill()
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zimbra.mailbox SET account_id = 'hidden' WHERE id = %s", (old,))
    one.mailboxd_start()
    with one.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zimbra.mailbox SET account_id = %s WHERE id = %s", (account, old))
    go(scene, account, two, one, "back, to rows of ours that are not mapped")
    ok(mailbox_id(one, account) != old, "under a new id")

    account = scene.mailbox("triangle", one, messages=30)
    go(scene, account, one, two, "A to B")
    go(scene, account, two, three, "B to C")
    go(scene, account, three, one, "C to A")
finally:
    lab.stop()
done()
