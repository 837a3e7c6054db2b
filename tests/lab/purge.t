#!/usr/bin/python3
"""Purge: retention, the proofs made again before every deletion, through mailboxd and behind its back, killed and
repeated, with answers lost; on a shared volume; and getMovedMailboxes."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, mailbox_id, moved_clean, purged_clean, says  # noqa: E402
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import comes, done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402

lab = Lab.create("purge", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))


def execute(store, statement, *values):
    """One statement in a store's database; what it answers."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION foreign_key_checks = 0")
        cursor.execute(statement, values)
        return cursor.fetchall()


def purge(account, *words, fail=None, now=True):
    """doPurgeMailboxes of one account, its retention waived."""
    lift = ("ignore_retention", "true") if now else ()
    return lab.zxmove("doPurgeMailboxes", scene.addresses[account], *lift, *words, fail=fail)


def moved(name, to=None):
    """A mailbox that moved from one to two; its account id and its old mailbox id."""
    account = scene.mailbox(name, one, messages=8)
    old = mailbox_id(one, account)
    exits(scene.move(account, to or two), 0, f"{name}: moved")
    return account, old


def kept(result, account, old, name, reason):
    """Three tests: exit 5, the reason, and the copy is there."""
    exits(result, 5, f"{name}: kept")
    says(result, reason, f"{name}: the report says why")
    is_(mailbox_id(one, account), old, f"{name}: it is there")


def gone(account, old, name, words=()):
    """A purge, judged by the checker."""
    before = scene.snapshot(account)
    purged_clean(purge(account, *words), before, account, one, old, name)


def recorded(account):
    """The last operation in the journal of the store, and how it ended for the account."""
    with Sql(one) as sql:
        operation, verb, state, result = sql.text(
            "SELECT uuid, verb, state, result FROM zxmove.operation ORDER BY started DESC LIMIT 1")[0]
        listed = sql.text("SELECT seq, account_id, ended IS NOT NULL FROM zxmove.operation_mailbox"
                          f" WHERE operation = '{operation}'")
    is_((verb, state, result, listed), ("doPurgeMailboxes", "done", "1 purged", [("1", account, "1")]),
        "the journal has the purge")


def restart(store):
    """Its memory is gone, what the database has is mapped."""
    store.mailboxd_kill()
    store.mailboxd_start()


def requests(store, kind, account=None):
    """What of a kind a store was asked, of one account."""
    return [r for r in store.log() if r["request"] == kind and account in (None, r["account"])]


def set_home(account, store):
    """Behind every cache's back."""
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=store.name)


def plain():
    """Retention, dry run, through mailboxd."""
    account, old = moved("plain")
    listed = lab.zxmove("getMovedMailboxes")
    says(listed, scene.addresses[account], "getMovedMailboxes lists the copy")
    says(listed, two.name, "and where it went")
    kept(purge(account, now=False), account, old, "within retention a named copy", "ignore_retention true")
    exits(lab.zxmove("doPurgeMailboxes"), 64, "a bare doPurgeMailboxes is an error")
    exits(purge(account, "dry_run", "true"), 0, "a dry run")
    is_(mailbox_id(one, account), old, "deletes nothing")
    gone(account, old, "through mailboxd")
    recorded(account)
    asked = [(r["request"], r["op"]) for r in one.log() if r["request"] == "BatchRequest" or r["account"] == account]
    at = asked.index(("DeleteMailboxRequest", None))
    is_(asked[at - 2:at], [("BatchRequest", None), ("LockoutMailboxRequest", "end")],
        "the lock-out ends in one batch with the deletion: nobody gets in between")
    ok(not requests(two, "DeleteMailboxRequest"), "no DeleteMailboxRequest reached the live mailbox")
    ok(scene.addresses[account] not in lab.zxmove("getMovedMailboxes").stdout, "and it is listed no more")
    exits(purge(account), 1, "a second time there is nothing to purge")


def retention():
    """`all` takes what is older than 30 days; a number is one store's."""
    aged, aged_old = moved("aged")
    young, young_old = moved("young")
    execute(one, "UPDATE zxmove.moved SET committed = committed - INTERVAL 31 DAY WHERE mailbox_id = %s", aged_old)
    execute(one, "UPDATE zxmove.moved SET committed = committed - INTERVAL 29 DAY WHERE mailbox_id = %s", young_old)
    dry = lab.zxmove("doPurgeMailboxes", "all", "ignore_retention", "true", "dry_run", "true")
    exits(dry, 0, "a dry run of all")
    ok("to be freed" in dry.stdout and "freed in" not in dry.stdout, "which frees nothing, and says so")
    is_(mailbox_id(one, aged), aged_old, "deletes nothing")
    before = scene.snapshot(aged)
    purged_clean(lab.zxmove("doPurgeMailboxes", "all"), before, aged, one, aged_old, "all, of what is 31 days old")
    is_(mailbox_id(one, young), young_old, "what is 29 days old stays")
    exits(lab.zxmove("doPurgeMailboxes", young_old, "ignore_retention", "true"), 64, "a number names no store")
    exits(lab.zxmove("--host", two.name, "doPurgeMailboxes", young_old, "ignore_retention", "true"), 1,
          "another store has no such copy")
    is_(mailbox_id(one, young), young_old, "so it is there")
    exits(lab.zxmove("--host", one.name, "doPurgeMailboxes", young_old), 5, "with its store, within retention")
    before = scene.snapshot(young)
    purged_clean(lab.zxmove("--host", one.name, "doPurgeMailboxes", young_old, "retention_days", "29"), before, young,
                 one, young_old, "with its store and another retention")


def proofs():
    """One copy; each proof is violated in turn and keeps it; then it goes."""
    account, old = moved("proofs")
    new = mailbox_id(two, account)
    group = (old - 1) % one.groups + 1

    def violated(store, change, restore, name, reason):
        execute(store, *change)
        kept(purge(account), account, old, name, reason)
        execute(store, *restore)

    set_home(account, one)
    kept(purge(account), account, old, "this store is home", "lives on")
    set_home(account, two)
    violated(two, ("UPDATE zimbra.mailbox SET account_id = 'nobody' WHERE id = %s", new),
             ("UPDATE zimbra.mailbox SET account_id = %s WHERE id = %s", account, new), "home has no mailbox",
             "has no mailbox")
    violated(two, ("UPDATE zimbra.mailbox SET id = id + 1000 WHERE id = %s", new),
             ("UPDATE zimbra.mailbox SET id = id - 1000 WHERE id = %s", new + 1000), "home answers another id",
             "its database says")
    for column in ("item_id_checkpoint", "change_checkpoint"):
        was = execute(two, f"SELECT {column} FROM zimbra.mailbox WHERE id = %s", new)[0][0]
        violated(two, (f"UPDATE zimbra.mailbox SET {column} = 1 WHERE id = %s", new),
                 (f"UPDATE zimbra.mailbox SET {column} = %s WHERE id = %s", was, new), f"home is behind in {column}",
                 "older than this copy")
    flip = (f"UPDATE mboxgroup{group}.mail_item SET flags = flags ^ 2 WHERE mailbox_id = %s AND type = 5"
            " ORDER BY id LIMIT 1", old)
    violated(one, flip, flip, "written to", "only copy")
    violated(two, ("UPDATE zxmove.fence SET state = 'committed' WHERE account_id = %s", account),
             ("UPDATE zxmove.fence SET state = 'done' WHERE account_id = %s", account), "an unfinished move",
             "doRecover")
    violated(one, ("UPDATE zxmove.moved SET bad_items = 3 WHERE mailbox_id = %s", old), ("SELECT 1",),
             "moved with bad items", "accept_data_loss true")
    one.fault("ReIndexRequest", "fault", account=account, count=0)
    kept(purge(account, "accept_data_loss", "true"), account, old, "an unknown answer to the probe", "ReIndex")
    one.fault_clear()
    with two.db() as connection:
        two.flush(connection)  # what the test itself wrote a moment ago must survive the kill
    two.mariadb_kill()
    result = purge(account, "accept_data_loss", "true")
    ok(result.returncode != 0, "a home whose database is down: an error")
    is_(mailbox_id(one, account), old, "it is there")
    two.mariadb_start()
    restart(two)
    stale_view(account)
    gone(account, old, "nothing violated and data loss accepted", ("accept_data_loss", "true"))
    ok(requests(one, "FlushCacheRequest", None)[-1]["n"] > flushed, "this store's stale view was flushed first")


def stale_view(account):
    """Makes store one believe that it is home."""
    global flushed
    admin = Admin(one)
    entry = f'<account by="id">{account}</account>'
    set_home(account, one)
    admin.call('<FlushCacheRequest xmlns="urn:zimbraAdmin"><cache type="account">'
               f'<entry by="id">{account}</entry></cache></FlushCacheRequest>')
    admin.call(f'<GetAccountInfoRequest xmlns="urn:zimbraAdmin">{entry}</GetAccountInfoRequest>')
    set_home(account, two)
    is_(one.state(account)["account_cache"]["host"], one.name, "store one's view is stale")
    flushed = one.log()[-1]["n"]


def killed():
    """At each point, then repeated: at once where mailboxd did the deletion itself."""
    account, old = moved("killed")
    before = scene.snapshot(account)
    for point in ("purge:intent", "purge:rows"):
        is_(purge(account, fail=f"{point}=kill").returncode, -9, f"killed at {point}")
    purged_clean(purge(account), before, account, one, old, "repeated after two kills")
    account, old = moved("begun")
    is_(purge(account, fail="purge:intent=kill").returncode, -9, "killed at purge:intent")
    execute(one, f"UPDATE mboxgroup{(old - 1) % one.groups + 1}.mail_item SET unread = 1 - COALESCE(unread, 0)"
                 " WHERE mailbox_id = %s AND type = 5 LIMIT 1", old)
    kept(purge(account), account, old, "written to after a purge was begun", "only copy")


def home_again():
    """The directory changes its mind between the proofs and the deletion, in memory and behind mailboxd's back."""
    for name, prepare, point in (("mind", lambda: None, "purge:intent"), ("mind2", lambda: restart(one), "purge:intent"),
                                 ("mind3", lambda: None, "delete:ask")):
        account, old = moved(name)
        prepare()
        execute(one, "UPDATE zxmove.moved SET committed = committed - INTERVAL 16 MINUTE WHERE mailbox_id = %s", old)
        go_on = os.path.join(lab.dir, f"{name}.go")
        running = lab.zxmove_start("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true",
                                   env={"ZX_FAIL_FILE": go_on}, fail=f"{point}=wait")
        wait_for(lambda: os.path.exists(f"{go_on}.reached"), 30, "the purge to have proved everything")
        set_home(account, one)
        with open(go_on, "w", encoding="ascii"):
            pass
        output = running.communicate(timeout=600)
        ok(running.returncode == 5, f"{name}: home is this store in the last moment: kept")
        ok("lives on" in output[0] + output[1], f"{name}: the report says why")
        is_(mailbox_id(one, account), old, f"{name}: it is there")
        ok(not requests(one, "DeleteMailboxRequest", account), f"{name}: no deletion was sent")
        set_home(account, two)
        gone(account, old, f"{name}: later it goes")


def answers():
    """The answer is lost, or a fault: never another mailbox, never one left unlocked."""
    for request, mode in (("BatchRequest", "silence-after"), ("BatchRequest", "close-after"),
                          ("BatchRequest", "silence"), ("BatchRequest", "drop"),
                          ("DeleteMailboxRequest", "close-after"), ("DeleteMailboxRequest", "fault")):
        account, old = moved(f"{request}.{mode}".lower())
        one.fault(request, mode, count=1)
        gone(account, old, f"{request}: {mode}")
        one.fault_clear()
    account, old = moved("cached")
    Admin(one).lockout(account, "end")
    one.fault("DeleteMailboxRequest", "silence-after", account=account)
    gone(account, old, "cached, with no answer")
    one.fault_clear()
    account, old = moved("stubborn")
    one.fault("DeleteMailboxRequest", "fault", account=account, count=0)
    kept(purge(account), account, old, "a deletion that is always refused", "injected")
    ok(one.state(account)["locked"], "and the old copy is locked again")
    one.fault_clear()
    gone(account, old, "later it goes")
    account, old = moved("adrift")
    one.fault("DeleteMailboxRequest", "fault", account=account, count=1)
    kept(purge(account, fail="delete:again=error"), account, old, "a deletion that cannot be tried again", "failpoint")
    ok(one.state(account)["locked"], "and the old copy is locked again")
    gone(account, old, "and it goes when it can")


def slow():
    """A deletion that takes longer than a third of the lease: the claim stays young."""
    with open(lab.conf_path, "r+", encoding="utf-8") as file:
        text = file.read()
        file.seek(0)
        file.write(text.replace("net_timeout: 5s", "net_timeout: 2m"))
    account, old = moved("slow")
    expiry = lambda: execute(one, "SELECT expires FROM zxmove.claim WHERE account_id = %s", account)
    one.fault("DeleteMailboxRequest", "delay", account=account, ms=100000)
    asked = len(requests(one, "BatchRequest"))
    running = lab.zxmove_start("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true")
    wait_for(lambda: len(requests(one, "BatchRequest")) > asked, 30, "the deletion to be asked for")
    first = wait_for(expiry, 5, "the claim")
    ok(comes(lambda: running.poll() is None and expiry() > first, 60),
       "while mailboxd is waited for the lease is renewed")
    one.fault_clear()  # which ends the wait
    is_(running.wait(300), 0, "and the copy goes")
    is_(mailbox_id(one, account), None, "which it had")
    with open(lab.conf_path, "w", encoding="utf-8") as file:
        file.write(text)


def behind():
    """Not in memory: behind mailboxd's back, and not soon; killed half-way."""
    account, old = moved("restarted")
    restart(one)
    kept(purge(account), account, old, "behind mailboxd's back, soon after the commit", "behind its back")
    execute(one, "UPDATE zxmove.moved SET committed = committed - INTERVAL 16 MINUTE WHERE mailbox_id = %s", old)
    before = scene.snapshot(account)
    for point in ("purge:intent", "purge:rows"):
        is_(purge(account, fail=f"{point}=kill").returncode, -9, f"killed at {point}")
    purged_clean(purge(account), before, account, one, old, "behind mailboxd's back, repeated after two kills")
    ok(not requests(one, "DeleteMailboxRequest", account), "without asking mailboxd")


def shared():
    """A volume that a third store, neither old home nor new, has as well: rows go, its files stay."""
    account, old = moved("shared")
    with Sql(one) as sql:
        volumes = {v.id: v.mailbox_dir(old) for v in sql.volumes().values()}
        path = sql.volumes()[4].path
    with three.db() as connection:
        three.flush(connection)  # what the test itself wrote a moment ago must survive the kill
    three.mariadb_kill()
    kept(purge(account), account, old, "a third store that cannot be asked", "cannot be asked whether it shares")
    three.mariadb_start()
    restart(three)
    was = execute(three, "SELECT path FROM zimbra.volume WHERE id = 2")[0][0]
    execute(three, "UPDATE zimbra.volume SET path = %s WHERE id = 2", path)
    kept(purge(account), account, old, "on a shared volume, in mailboxd's memory", "restart mailboxd")
    ok(not requests(one, "DeleteMailboxRequest", account), "mailboxd was not asked")
    restart(one)
    execute(one, "UPDATE zxmove.moved SET committed = committed - INTERVAL 16 MINUTE WHERE mailbox_id = %s", old)
    result = purge(account)
    exits(result, 0, "behind its back it goes")
    is_(mailbox_id(one, account), None, "rows are gone")
    is_([v for v, d in sorted(volumes.items()) if os.path.exists(d)], [4], "files stay on the shared volume alone")
    ok(not os.path.exists(f"{path}/.zxmove") or not os.listdir(f"{path}/.zxmove"), "no probe file is left")
    execute(three, "UPDATE zimbra.volume SET path = %s WHERE id = 2", was)


def external():
    """A volume that is no files has nothing to be looked for or removed."""
    account, old = moved("external")
    execute(one, "INSERT INTO zimbra.volume (id, type, name, path, file_bits, file_group_bits, mailbox_bits,"
            " mailbox_group_bits, compress_blobs, compression_threshold, store_type)"
            " VALUES (99, 2, 'bucket', %s, 12, 8, 12, 8, 0, 4096, 2)", one.path("hsm"))
    gone(account, old, "beside an external volume")
    execute(one, "DELETE FROM zimbra.volume WHERE id = 99")


def third_home():
    """The account moved on: its present home counts, not where it moved from here."""
    account, old = moved("onwards")
    second = mailbox_id(two, account)
    exits(scene.move(account, three), 0, "moved on")
    before = scene.snapshot(account)
    purged_clean(lab.zxmove("--host", one.name, "doPurgeMailboxes", scene.addresses[account], "ignore_retention",
                            "true"), before, account, one, old, "the first copy goes")
    is_(mailbox_id(two, account), second, "the second stays")


def article():
    """As the article has it."""
    account, _ = moved("article")
    result = lab.zxmove("zxsuite", "powerstore", "doPurgeMailboxes", "ignore_retention", "true")
    says(result, "all", "the article's spelling means all, and says so")
    is_(mailbox_id(one, account), None, "and purges")


flushed = 0
try:
    one, two, three = lab.stores
    scene = Scene(lab)
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 5s\nlease: 10s\n")
    for case in (plain, retention, proofs, killed, home_again, answers, slow, behind, shared, external, third_home,
                 article):
        case()
    deletions = [r for s in lab.stores for r in requests(s, "DeleteMailboxRequest")]
    ok(deletions and not any(r["proxied_to"] for r in deletions), "no deletion was passed on to a home")
finally:
    lab.stop()
done()
