#!/usr/bin/python3
"""There and back again, for each thing a store may know of an account that lived there before
(doc/architecture.md): still locked, restarted since, purged through mailboxd, purged behind its back, cached and
not locked, rows of ours that are not mapped; a triangle A-B-C-A; what is refused; and what is interrupted."""

import glob
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, home, led_back, mailbox_id, moved_clean, says  # noqa: E402
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402

lab = Lab.create("back", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))


def work(account, source):
    """What a user does between two moves: mail comes, goes and changes."""
    lab.deliver(scene.addresses[account], source, n=2)
    for do in ("delete", "flag", "index"):
        source.user(account, do)


def go(account, source, destination, name):
    """One leg, judged by the checker; the user works before it. Answers the mailbox's part of the report."""
    work(account, source)
    before = scene.snapshot(account)
    result = lab.zxmove("--json", *scene.words(account, destination))
    moved_clean(result, before, account, source, destination, name)
    return json.loads(result.stdout)["response"]["mailboxes"][0]


def there(name, messages=20):
    """An account that moved from one to two; its id and its old mailbox id."""
    account = scene.mailbox(name, one, messages=messages)
    old = mailbox_id(one, account)
    go(account, one, two, f"{name}: there")
    return account, old


def restart(store):
    """Its memory is gone, what the database has is mapped."""
    store.mailboxd_kill()
    store.mailboxd_start()


def blobs(store, mailbox):
    """The blob files of a mailbox id on all volumes of a store: {path: links}."""
    with Sql(store) as sql:
        found = [path for volume in sql.volumes().values()
                 for path in glob.glob(f"{volume.mailbox_dir(mailbox)}/msg/*/*.msg")]
    return {path: os.stat(path).st_nlink for path in found}


def execute(store, statement, *values):
    """One statement in a store's database."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)


def query(store, statement, *values):
    """Rows of one."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def reservation(store, account):
    """The id reserved for the account, None if there is none."""
    rows = query(store, "SELECT mailbox_id FROM zxmove.reservation WHERE account_id = %s", account)
    return rows[0][0] if rows else None


def locked():
    """mail.MAINTENANCE: linked, then purged through mailboxd."""
    account, old = there("locked")
    work(account, two)
    plan = json.loads(lab.zxmove("--json", "plan", *scene.words(account, one)[1:]).stdout)["response"]
    plan = plan["mailboxes"][0]["forecast"]
    before = scene.snapshot(account)
    result = lab.zxmove("--json", *scene.words(account, one))
    moved_clean(result, before, account, two, one, "back, while the old copy is locked")
    report = json.loads(result.stdout)["response"]["mailboxes"][0]
    ok(report["blobs_linked"] > 0, "blobs of the old copy were linked")
    is_([plan["blobs_there"], plan["blobs_to_go"]], [report["blobs_linked"], report["blobs_copied"]],
        "as the plan had counted")
    ok(mailbox_id(one, account) != old, "under a new id, the old copy gone")
    go(account, one, two, "and there again")


def staged_then_restarted():
    """Staged under a new id, with links; then the store is restarted, and only the recorded id will do."""
    account, old = there("staged")
    work(account, two)
    exits(scene.move(account, one, stages="data"), 0, "data runs while the old copy is locked")
    new = reservation(one, account)
    ok(new not in (None, old), "under a new id")
    ok(2 in blobs(one, new).values() and 2 in blobs(one, old).values(), "with blobs linked from the old copy")
    ok(len(blobs(one, old)) > 0 and mailbox_id(one, account) == old, "which is still there")
    restart(one)
    go(account, two, one, "then the store is restarted")
    is_(mailbox_id(one, account), old, "and the recorded id is used")
    is_(blobs(one, new), {}, "nothing is left of what was staged under the other")


def restarted():
    """service.WRONG_HOST: the recorded id, brought up to date in place; once with a window that is undone."""
    account, old = there("restarted")
    restart(one)
    work(account, two)
    exits(scene.move(account, one, fail="prove:applied=fail"), 1, "a window back to the recorded id is undone")
    is_(home(lab, account).name, two.name, "the user is where they were")
    go(account, two, one, "and done again")
    is_(mailbox_id(one, account), old, "under the recorded id")
    go(account, one, two, "there again")
    restart(one)
    go(account, two, one, "back, after the store was restarted")
    is_(mailbox_id(one, account), old, "under its recorded id")
    is_(query(one, "SELECT state FROM zxmove.moved WHERE mailbox_id = %s", old)[0][0], b"reused",
        "whose record promises no copy any more")


def purged():
    """Purged through mailboxd: not in the map."""
    account, old = there("purged")
    exits(lab.zxmove("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true"), 0, "purged")
    is_(mailbox_id(one, account), None, "through mailboxd")
    go(account, two, one, "back, after a purge through mailboxd")
    ok(mailbox_id(one, account) != old, "under a new id")


def purged_behind():
    """mail.NO_SUCH_MBOX: the recorded id."""
    account, old = there("behind")
    restart(one)
    words = ("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true")
    result = lab.zxmove(*words)
    exits(result, 5, "a purge behind mailboxd's back is kept for a quarter of an hour")
    says(result, "behind its back", "and the reason is given")
    is_(mailbox_id(one, account), old, "its row is there")
    execute(one, "UPDATE zxmove.moved SET committed = committed - INTERVAL 20 MINUTE WHERE mailbox_id = %s", old)
    exits(lab.zxmove(*words), 0, "then it is purged behind its back")
    is_(mailbox_id(one, account), None, "its row is gone")
    go(account, two, one, "back, while mailboxd still maps the purged id")
    is_(mailbox_id(one, account), old, "under its recorded id")


def cached():
    """success: DeleteMailbox alone; its answer is lost once."""
    account, old = there("cached")
    Admin(one).lockout(account, "end")
    one.fault("DeleteMailboxRequest", "close-after", account=account)
    go(account, two, one, "back, while the old copy is cached and not locked, the answer lost")
    one.fault_clear()
    ok(mailbox_id(one, account) != old, "under a new id")


def unmapped():
    """Not in the map, rows of ours."""
    account, old = there("unmapped")
    one.mailboxd_kill()
    execute(one, "UPDATE zimbra.mailbox SET account_id = 'hidden' WHERE id = %s", old)
    one.mailboxd_start()
    execute(one, "UPDATE zimbra.mailbox SET account_id = %s WHERE id = %s", account, old)
    go(account, two, one, "back, to rows of ours that are not mapped")
    ok(mailbox_id(one, account) != old, "under a new id")


def triangle():
    """A-B-C-A, the copies on A and B still there."""
    account = scene.mailbox("triangle", one, messages=20)
    go(account, one, two, "A to B")
    go(account, two, three, "B to C")
    go(account, three, one, "C to A")


def home_in_between():
    """Somebody makes the destination home just before the old copy there is cleared: it is the live one now."""
    account, old = there("mind")
    work(account, two)
    go_on = os.path.join(lab.dir, "mind.go")
    running = scene.start_move(account, one, env={"ZX_FAIL_FILE": go_on}, fail="clear:intent=wait")
    wait_for(lambda: os.path.exists(f"{go_on}.reached"), 30, "everything to be copied")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=one.name)
    with open(go_on, "w", encoding="ascii"):
        pass
    output = running.communicate(timeout=600)
    is_(running.returncode, 1, "the destination is home in the last moment: refused")
    ok("lives on" in output[0] + output[1], "with the reason")
    is_(mailbox_id(one, account), old, "nothing is deleted there")
    ok(not any(r["request"] == "DeleteMailboxRequest" and r["account"] == account for r in one.log()),
       "and no deletion was sent")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=two.name)
    go(account, two, one, "with the directory in order it moves")


def interrupted():
    """Killed after mailboxd deleted the old copy, before anything says so; and no answer to the deletion."""
    account, old = there("killed")
    work(account, two)
    before = scene.snapshot(account)
    is_(scene.move(account, one, fail="purge:rows=kill").returncode, -9, "killed while the old copy is cleared")
    is_(mailbox_id(one, account), None, "mailboxd had deleted it")
    moved_clean(scene.move(account, one), before, account, two, one, "the way back is finished by the next run")
    says(lab.zxmove("getMovedMailboxes"), two.name, "there is a copy on the other store")
    is_(query(one, "SELECT state FROM zxmove.moved WHERE mailbox_id = %s", old)[0][0], b"purged",
        "and none is recorded here")
    account, old = there("silent")
    one.fault("BatchRequest", "silence-after")
    go(account, two, one, "back, with no answer to the deletion")
    one.fault_clear()


def refused():
    """What no record explains is neither cleared nor used."""
    account, old = there("stranger")
    work(account, two)
    record = query(one, "SELECT state FROM zxmove.moved WHERE mailbox_id = %s", old)[0][0]
    before = scene.snapshot(account)
    execute(one, "UPDATE zxmove.moved SET state = 'stray' WHERE mailbox_id = %s", old)
    for name, remedy, prepare in (
            ("a locked mailbox", "no move of zxmove left there", lambda: None),
            ("a cached one", "no move of zxmove left there", lambda: Admin(one).lockout(account, "end")),
            ("one that is mapped", "no move of zxmove left there", lambda: restart(one))):
        prepare()
        result = scene.move(account, one)
        exits(result, 1, f"{name} that no record explains is refused")
        says(result, remedy, "with the reason")
        is_(mailbox_id(one, account), old, "and left alone")
    ok(not any(r["request"] == "DeleteMailboxRequest" and r["account"] == account for r in one.log()),
       "nobody tried to delete it")
    execute(one, "UPDATE zxmove.moved SET state = %s WHERE mailbox_id = %s", record, old)
    for mode, options in (("fault", {"code": "service.FAILURE"}), ("garbage", {}), ("drop", {})):
        one.fault("ReIndexRequest", mode, account=account, count=0, **options)
        result = scene.move(account, one)
        led_back(result, before, account, f"a probe answered by {mode}", status=1)
        says(result, "restart mailboxd", "the remedy is named")
        one.fault_clear()
    go(account, two, one, "with an answer it moves")


def shared():
    """A volume that a third store has as well: never through mailboxd, and its files stay."""
    account, old = there("shared")
    with Sql(one) as sql:
        volume = sql.volumes()[4]
    path = query(three, "SELECT path FROM zimbra.volume WHERE id = 2")[0][0]
    execute(three, "UPDATE zimbra.volume SET path = %s WHERE id = 2", volume.path)
    files = [f for f in blobs(one, old) if f.startswith(volume.path)]
    ok(files, "the old copy has blobs on the shared volume")
    result = scene.move(account, one)
    exits(result, 1, "a locked old copy with a shared volume is not deleted through mailboxd")
    says(result, "restart mailboxd", "the remedy is named")
    is_(mailbox_id(one, account), old, "the old copy is there")
    restart(one)
    exits(scene.move(account, one), 0, "after a restart it moves")
    is_(mailbox_id(one, account), old, "under the recorded id")
    ok(all(map(os.path.exists, files)), "and files on the shared volume stay")
    execute(three, "UPDATE zimbra.volume SET path = %s WHERE id = 2", path)


try:
    one, two, three = lab.stores
    scene = Scene(lab, exclusive=True)
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 5s\n")
    for case in (locked, staged_then_restarted, restarted, purged, purged_behind, cached, unmapped, triangle,
                 home_in_between, interrupted, refused, shared):
        case()
    deletions = [r for s in lab.stores for r in s.log() if r["request"] == "DeleteMailboxRequest"]
    ok(deletions and not any(r["proxied_to"] for r in deletions), "no deletion was passed on to a home")
finally:
    lab.stop()
done()
