#!/usr/bin/python3
"""Moves looked at in mid-way: a round is of one moment whatever changes meanwhile; a blob that is carried to another
volume behind its row is found; two connections a store; no transaction at the destination outlasts a table."""

import os
import sys
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.blobs import make_directory, read_volumes  # noqa: E402
from zxlab.check import Expect  # noqa: E402
from zxlab.connections import USER, Most, connections, user_of_its_own  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, mailbox_id, moved_clean  # noqa: E402
from zxlab.tap import comes, done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402

TABLES = ("mail_item", "tag", "tagged_item", "tombstone", "revision")


def transactions(store):
    """How many the product has open there now."""
    with Sql(store) as sql:
        return int(sql.text("SELECT COUNT(*) FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p"
                            f" ON p.ID = t.trx_mysql_thread_id WHERE p.USER = '{USER}'")[0][0])


def stay_open(name, **expected):
    """One test: so many transactions stay open while a move stands still. That of a statement that writes the row of the
    operation, once a second, comes and goes, and InnoDB makes its table anew only for who has not looked for 0.1 s."""
    stores = {"source": one, "destination": two}
    ok(comes(lambda: all(transactions(stores[end]) == number for end, number in expected.items()), 60, every=0.2), name)


def alone():
    """Waits until no connection of a move that has ended is left: it would count as one of the next."""
    for store in lab.stores:
        with Sql(store) as sql:
            wait_for(lambda s=sql: connections(s) == 0, 20, "connections to end")


def rows(store, mailbox, group):
    """{table: Counter of rows}; a locator is another store's business."""
    found = {}
    with Sql(store) as sql:
        sql.snapshot()
        for name in TABLES:
            table = sql.rows(sql.tables(f"mboxgroup{group}")[name], f"mailbox_id = {mailbox}")
            found[name] = Counter(tuple((k, v) for k, v in row.items() if k != "locator") for row in table.dicts())
    return found


def staged(account):
    """(mailbox id, group) reserved at the destination."""
    with Sql(two) as sql:
        return sql.text(f"SELECT mailbox_id, group_id FROM zxmove.reservation WHERE account_id = '{account}'")[0]


def one_moment():
    """A round that stands still between two tables while the user works on both."""
    account = scene.mailbox("moment", one, messages=30)
    source = mailbox_id(one, account)
    group = (source - 1) % one.groups + 1
    then = rows(one, source, group)
    held = Held(scene, account, two, "rows:table", stages="data")
    held.wait()
    stay_open("between two tables: a snapshot at the source, nothing at the destination", source=1, destination=0)
    for do in ("delete", "tag", "tag", "flag", "draft"):
        ok(one.user(account, do)["ok"], f"(the user does: {do})")
    now = rows(one, source, group)
    ok(all(now[name] != then[name] for name in ("mail_item", "tagged_item", "tombstone")), "(several tables changed)")
    exits(held.go(), 0, "the data stage")
    copy = rows(two, *staged(account))
    for name in TABLES:
        ok(copy[name] == then[name], f"{name} is of the moment in which the round began")
    before = scene.snapshot(account)
    alone()
    held = Held(scene, account, two, "rows:table", stages="account")
    held.wait()
    stay_open("between two tables that differ: nothing is open at the destination either", destination=0)
    moved_clean(held.go(), before, account, one, two, "then the account stage")


def carry(account, count):
    """Blobs of so many messages go to the secondary volume, and their rows with them."""
    with one.db() as connection, connection.cursor() as cursor:
        volumes, primary, secondary, _ = read_volumes(cursor)
        cursor.execute("SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        mailbox, group = cursor.fetchone()
        cursor.execute(f"SELECT id, mod_content FROM mboxgroup{group}.mail_item WHERE mailbox_id = {mailbox} AND type = 5"
                       f" AND locator = '{primary}' AND blob_digest IS NOT NULL ORDER BY id DESC LIMIT {count}")
        for item, change in cursor.fetchall():
            there = volumes[secondary].blob(mailbox, item, change)
            make_directory(os.path.dirname(there))
            os.rename(volumes[primary].blob(mailbox, item, change), there)
            cursor.execute(f"UPDATE mboxgroup{group}.mail_item SET locator = '{secondary}'"
                           f" WHERE mailbox_id = {mailbox} AND id = {item}")


def files(store, mailbox):
    """How many blobs lie under a mailbox id."""
    with Sql(store) as sql:
        return sum(len(names) for volume in sql.volumes().values()
                   for _, _, names in os.walk(os.path.join(volume.mailbox_dir(int(mailbox)), "msg")))


def carried():
    """HSM at work between the reading of the rows and of the files: the rows name the old volume."""
    account = scene.mailbox("carried", one, messages=20, rich=False)
    before = scene.snapshot(account)
    held = Held(scene, account, two, "blobs:range", stages="data")
    held.wait()
    stay_open("no snapshot is open while blobs are copied", source=0)
    carry(account, 5)
    exits(held.go(), 0, "blobs carried to another volume in mid-copy")
    is_(files(two, staged(account)[0]), files(one, mailbox_id(one, account)), "none was missed")
    alone()
    moved_clean(scene.move(account, two), before, account, one, two, "then the rest", Expect(changing=True))


def reserved():
    """Every creation of a mailbox there waits for the row that counts ids."""
    account = scene.mailbox("reserved", one, messages=2, rich=False)
    before = scene.snapshot(account)
    held = Held(scene, account, two, "reserve:id")
    held.wait()
    stay_open("an id was taken, and the counter is free again", destination=0)
    moved_clean(held.go(), before, account, one, two, "held where it had its id")


lab = Lab.create("midway", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores
    scene = Scene(lab)
    user_of_its_own(lab)
    with Most(lab.stores) as seen:
        for case in (one_moment, carried, reserved):
            alone()
            case()
    is_(dict(seen.most), {one.name: 2, two.name: 3},
        "two connections a store are the most it ever had, and one for the row of the operation")
finally:
    lab.stop()
done()
