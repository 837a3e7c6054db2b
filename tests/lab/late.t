#!/usr/bin/python3
"""What lives beside the mailbox's rows: share advertisements that the source's own task deletes during the lock-out,
scheduled tasks that sleep at the destination, folders and tags in memcached that are older than the rows, and blobs
that were damaged before anybody moved them (doc/platform.md 5.6, 5.7, 3.5)."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import truth  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, moved_clean, says  # noqa: E402
from zxlab.seed import seed_mailbox  # noqa: E402
from zxlab.snapshot import read_copy  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402


def rows(store, account, table):
    """The account's rows in a table of zimbra."""
    return read_copy(lab, store, account).dicts(f"zimbra.{table}")


def values(store, account, table, column):
    return sorted(row[column] for row in rows(store, account, table))


def task_runs(name, point, store):
    """The AclPush task of a store runs while the move stands at the point."""
    store.tick()  # what is there of others is done with
    account = scene.mailbox(name, one, messages=4)
    before = scene.snapshot(account)
    due = values(one, account, "pending_acl_push", "item_id")
    ok(due, f"{name}: advertisements are due")
    held = Held(scene, account, two, point)
    held.wait()
    store.tick()
    if store is one:
        is_(rows(one, account, "pending_acl_push"), [],
            f"{name}: the task deletes them although it skipped the mailbox")
    moved_clean(held.go(), before, account, one, two, name)
    is_(values(two, account, "pending_acl_push", "item_id"), due, f"{name}: all arrived")


def sent(store):
    """[(draft, mailbox)] of the delayed sends that a store has done."""
    return [(task["item"], task["mailbox"]) for task in store.tasks()["sent"]]


def inbox(store, account):
    """Messages in the inbox as its row counts them."""
    items = read_copy(lab, store, account).dicts("group.mail_item")
    return next(int(row["size"]) for row in items if row["id"] == b"2")


def stale_folders(name):
    """The state of memcached before some mails, put back when all is quiet, as a server that lost touch has it."""
    account = scene.mailbox(name, one, messages=20)
    lab.deliver(scene.address(name), one)  # writes the key
    forms = truth.key_forms(f"zmFldrsTags:{account}")
    old = {form: lab.memcached_get(form) for form in forms}
    ok(any(old.values()), f"{name}: mailboxd keeps the folders in memcached")
    lab.deliver(scene.address(name), one, n=3)
    before = scene.snapshot(account)
    for form, value in old.items():
        if value is not None:
            lab.memcached_set(form, value)
    count = inbox(one, account)
    moved_clean(scene.move(account, two), before, account, one, two, name)
    lab.deliver(scene.address(name), two)
    is_(inbox(two, account), count + 1, f"{name}: the inbox counts from its row, not from the stale folders")


lab = Lab.create("late", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    scene = Scene(lab, strangers=False)  # the task of a store knows no strangers

    task_runs("push-there", "commit:done", two)
    task_runs("push-locked", "fence:locked", one)
    task_runs("push-before-commit", "prove:applied", one)

    # A delayed send: in the source's memory it comes due while the mailbox is locked out; at the destination it
    # sleeps until mailboxd restarts, and then happens once.
    for due in (8, 60, 300):  # later than the lock-out, whatever the way to it takes on this machine
        account = scene.mailbox(f"sender{due}", one, messages=4, rich=False)
        draft = one.user(account, "schedule-send", **{"in": due})["item"]
        before = scene.snapshot(account)
        held = Held(scene, account, two, "fence:locked")
        held.wait()
        mine = (draft, one.state(account)["mapped"])
        if mine not in sent(one):
            break
        held.go()
    wait_for(lambda: not one.tasks()["tasks"], due + 30, "the send to come due during the lock-out")
    result = held.go()
    moved_clean(result, before, account, one, two, "a send that comes due during the lock-out")
    says(result, "until mailboxd", "the report says that it sleeps")
    one.tick()
    two.tick()
    is_((mine in sent(one), sent(two)), (False, []), "nobody has sent it")
    two.mailboxd_stop()
    two.mailboxd_start()
    two.tick()
    is_(sent(two), [(draft, two.state(account)["mapped"])], "the restarted destination sends it, once")
    ok(mine not in sent(one), "and the source does not")

    stale_folders("stale")

    # Damage that was there before is carried over, told, and no reason to stop.
    account = scene.account("damaged", one)
    seed_mailbox(lab, account, one, messages=30, damage={"missing": 2, "wrong": 2, "short": 1})
    before = scene.snapshot(account)
    result = scene.move(account, two)
    moved_clean(result, before, account, one, two, "a mailbox with damaged blobs")
    is_(result.stdout.count("already damaged on"), 5, "each is listed")
    ok("bad_items" not in lab.zxmove("getMovedMailboxes").stdout, "and none is counted as lost by us")
finally:
    lab.stop()
done()
