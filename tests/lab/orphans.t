#!/usr/bin/python3
"""Purge of what no finished move explains: mailboxes whose account is gone, partial copies, copies that nobody
explains or that were written to; the directory asked twice; max_delete_bytes; and the events of a purge."""

import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema, truth  # noqa: E402
from zxlab.check import check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, mailbox_id, moved_clean, purged_clean, says  # noqa: E402
from zxlab.snapshot import OWN_SCHEMA  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402

lab = Lab.create("orphans", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))


def execute(store, statement, *values):
    """One statement in a store's database; what it answers."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def purge(*words, **options):
    return lab.zxmove("doPurgeMailboxes", *words, **options)


def outcomes(result):
    """{address: outcome} of an answer in JSON, whose keys doc/json.md has."""
    answer = json.loads(result.stdout.splitlines()[-1])
    is_(schema.of_answer("doPurgeMailboxes", answer), [], "doc/json.md has its keys")
    return {m["account"]: m["outcome"] for m in answer["response"]["mailboxes"]}


def moved(name, messages=6):
    """A mailbox that moved from one to two; its account id and its old mailbox id."""
    account = scene.mailbox(name, one, messages=messages)
    old = mailbox_id(one, account)
    exits(scene.move(account, two), 0, f"{name}: moved")
    return account, old


def without_entry(account):
    """The account's entry goes; what puts it back."""
    dn, entry = truth.Directory(lab).account(account)
    lab.ldap().delete_s(dn)
    return lambda: lab.ldap().add_s(dn, list(entry.items()))


def orphan():
    """The account is gone: not without a word, and on each store where it left something."""
    account, old = moved("gone")
    new, address = mailbox_id(two, account), scene.addresses[account]
    before = scene.snapshot(account)
    restore = without_entry(account)
    result = lab.zxmove("--json", "doPurgeMailboxes", "all", "ignore_retention", "true")
    exits(result, 5, "all, without purge_orphan: kept")
    is_(outcomes(result), {address: "kept"}, "only the old copy is looked at")
    result = purge("orphans", "dry_run", "true", "ignore_retention", "true")
    exits(result, 0, "a dry run of orphans")
    is_(result.stdout.count("would be purged"), 3, "finds both copies")  # and counts them
    exits(purge("orphans"), 0, "orphans, the old copy within retention")
    is_((mailbox_id(one, account), mailbox_id(two, account)), (old, None), "what moved has its date")
    restore()
    findings_none([f for f in check_unmoved(lab, before, account) if f.kind not in ("source-changed", "mapping")],
                  "nothing else was touched")
    restore = without_entry(account)
    for point in ("purge:intent", "purge:rows", "delete:files"):
        is_(purge("all", "purge_orphan", "true", "ignore_retention", "true", fail=f"{point}=kill").returncode, -9,
            f"killed at {point}")
    result = purge("all", "purge_orphan", "true", "ignore_retention", "true")
    restore()
    purged_clean(result, before, account, one, old, "repeated after three kills")
    purged_clean(result, before, account, two, new, "and where it lived")


def second_look():
    """The directory has the account again, or shows nothing at all, right before the deletion."""
    account = scene.mailbox("back", one, messages=4)
    old, before = mailbox_id(one, account), scene.snapshot(account)
    server, entry = lab.ldap().search_s(f"cn={one.name},cn=servers,cn=zimbra", 0)[0]
    restore = without_entry(account)

    def shown_again():
        restore()

    def nothing_shown():
        lab.ldap().delete_s(server)

    for name, change, words in (("again", shown_again, "has its account again"),
                                ("hidden", nothing_shown, "does not show server")):
        go_on = os.path.join(lab.dir, f"{name}.go")
        running = lab.zxmove_start("doPurgeMailboxes", "orphans", env={"ZX_FAIL_FILE": go_on},
                                   fail="purge:intent=wait")
        wait_for(lambda: os.path.exists(f"{go_on}.reached"), 30, "the purge to have looked once")
        change()
        with open(go_on, "w", encoding="ascii"):
            pass
        output = "".join(running.communicate(timeout=600))
        is_(running.returncode, 5, f"{name}: kept")
        ok(words in output, f"{name}: the report says why")
        is_(mailbox_id(one, account), old, f"{name}: it is there")
        restore = without_entry(account) if name == "again" else restore
    lab.ldap().add_s(server, list(entry.items()))
    restore()
    findings_none(check_unmoved(lab, before, account), "with the account back, everything is as it was")
    execute(one, f"DELETE FROM {OWN_SCHEMA}.moved WHERE mailbox_id = %s", old)


def partial():
    """Staged, and never switched to: after its retention, or on a word; not while somebody works on it."""
    account = scene.mailbox("partial", one, messages=8)
    address = scene.addresses[account]
    exits(scene.move(account, two, stages="data"), 0, "staged")
    reserved = execute(two, f"SELECT mailbox_id FROM {OWN_SCHEMA}.reservation WHERE account_id = %s", account)[0][0]
    before = scene.snapshot(account)
    result = purge("orphans")
    exits(result, 0, "a young partial copy is not due")
    says(result, "in retention", "and the report says so")
    go_on = os.path.join(lab.dir, "partial.go")
    running = scene.start_move(account, two, stages="data", env={"ZX_FAIL_FILE": go_on}, fail="copy:applied=wait")
    wait_for(lambda: os.path.exists(f"{go_on}.reached"), 30, "a move to work on it")
    result = purge("orphans", "ignore_retention", "true")
    exits(result, 5, "while a move works on it: kept")
    running.kill()
    running.communicate()
    operation = execute(two, f"SELECT uuid FROM {OWN_SCHEMA}.operation WHERE ended IS NULL")[0][0].decode()
    with two.db() as connection, connection.cursor() as cursor:  # as the operation itself would while it lives
        cursor.execute("SELECT GET_LOCK(%s, 60)", (f"zxmove.operation.{operation}",))
        result = purge("orphans", "ignore_retention", "true")
    exits(result, 5, "while an operation that has it on its list lives: kept")
    says(result, "still needs it", "and the report says why")
    for point in ("purge:intent", "purge:rows", "delete:files"):
        is_(purge("orphans", "ignore_retention", "true", fail=f"{point}=kill").returncode, -9, f"killed at {point}")
    purged_clean(purge("orphans", "ignore_retention", "true"), before, account, two, reserved,
                 "repeated after three kills")
    is_(execute(two, f"SELECT COUNT(*) FROM {OWN_SCHEMA}.staged WHERE account_id = %s", account)[0][0], 0,
        "nothing is thought to be staged")
    findings_none(check_unmoved(lab, before, account), f"{address} is well at home")
    moved_clean(scene.move(account, two), before, account, one, two, "and moves as if nothing had been staged")
    exits(lab.zxmove("doPurgeMailboxes", address, "ignore_retention", "true"), 0, "the old copy goes")


def unexplained():
    """No record says what it is: listed, and deleted by its id alone; a copy that was written to needs one more word."""
    account, old = moved("unexplained")
    execute(one, f"DELETE FROM {OWN_SCHEMA}.moved WHERE mailbox_id = %s", old)
    result = purge("orphans", "ignore_retention", "true")
    exits(result, 5, "orphans: what nothing explains is kept")
    says(result, f"--host {one.name} doPurgeMailboxes {old}", "and named with its command")
    is_(mailbox_id(one, account), old, "it is there")
    result = purge("all", "ignore_retention", "true")
    exits(result, 0, "all does not look at it")
    result = lab.zxmove("--host", one.name, "doPurgeMailboxes", old)
    exits(result, 5, "by its id, but locked by nobody knows whom: kept")
    one.mailboxd_kill()
    one.mailboxd_start()
    before = scene.snapshot(account)
    purged_clean(lab.zxmove("--host", one.name, "doPurgeMailboxes", old), before, account, one, old, "by its id")
    account, old = moved("stray")
    execute(one, f"UPDATE {OWN_SCHEMA}.moved SET state = 'stray' WHERE mailbox_id = %s", old)
    exits(purge("orphans", "ignore_retention", "true"), 5, "one that was written to is kept")
    words = ("--host", one.name, "doPurgeMailboxes", old, "ignore_retention", "true")
    result = lab.zxmove(*words)
    exits(result, 5, "also when it is named")
    says(result, "accept_data_loss true", "without a word for it")
    before = scene.snapshot(account)
    purged_clean(lab.zxmove(*words, "accept_data_loss", "true"), before, account, one, old, "with it, it goes")


def directory():
    """Files under an id that nobody has: listed, and deleted by its id."""
    account, old = moved("files")
    exits(purge(scene.addresses[account], "ignore_retention", "true"), 0, "a copy is purged")
    before = scene.snapshot(account)
    volume = volumes(one)[0]
    for mailbox in (old, 4000000):
        os.makedirs(f"{volume.mailbox_dir(mailbox)}/msg/0")
        with open(f"{volume.mailbox_dir(mailbox)}/msg/0/1-1.msg", "w", encoding="ascii") as file:
            file.write("nobody's")
    result = purge("orphans", "ignore_retention", "true")
    exits(result, 5, "files that nothing explains are kept")
    says(result, f"--host {one.name} doPurgeMailboxes {old}", "and named with their command")
    exits(lab.zxmove("--host", one.name, "doPurgeMailboxes", 4000000), 5, "an id that is not given out yet: kept")
    exits(lab.zxmove("--host", one.name, "doPurgeMailboxes", live_id := mailbox_id(one, scene.mailbox("live", one))), 1,
          "one that a mailbox has is no old copy")
    ok(live_id and os.path.exists(volume.mailbox_dir(4000000)), "and nothing is touched")
    result = lab.zxmove("--host", one.name, "doPurgeMailboxes", old)
    exits(result, 0, "by its id it goes")
    ok(not os.path.exists(volume.mailbox_dir(old)), "with its files")
    shutil.rmtree(volume.mailbox_dir(4000000))
    findings_none([f for f in check_unmoved(lab, before, account) if f.kind != "leftover" and "live" not in f.text
                   and f.kind not in ("other-directory", "storewide", "other-rows", "schema")], "and nothing else")


def limited():
    """max_delete_bytes, and the events of it."""
    names = {name: moved(name, messages=number) for name, number in (("first", 30), ("second", 40), ("third", 20))}
    first, second = (sum(os.stat(os.path.join(where, file)).st_size for volume in volumes(one)
                         for where, _, files in os.walk(volume.mailbox_dir(names[name][1])) for file in files)
                     for name in ("first", "second"))
    size = first + second - 1  # each alone is below it
    before = scene.snapshot(names["first"][0])
    words = ("all", "ignore_retention", "true", "max_delete_bytes")
    result = lab.zxmove("--json", "--progress", "doPurgeMailboxes", *words, f"{size}B")
    purged = {name: mailbox_id(one, account) is None for name, (account, _) in names.items()}
    exits(result, 5, "what is over the limit is kept")
    is_(purged, {"first": True, "second": False, "third": False}, "and the rest not begun")
    found = outcomes(result)
    is_([found[scene.addresses[names[n][0]]] for n in ("first", "second", "third")], ["purged", "kept", "not reached"],
        "the report has each")
    events = [json.loads(line) for line in result.stdout.splitlines() + result.stderr.splitlines()
              if line.startswith('{"type"')]
    is_(sum(map(schema.of_event, events), []), [], "its events have documented keys")
    kinds = {event["type"] for event in events}
    ok({"selected", "state", "mailbox"} <= kinds, f"there are events ({sorted(kinds)})")
    is_([e["mailboxes"] for e in events if e["type"] == "selected"], [3], "that say how many")
    before = scene.snapshot(*(account for account, _ in names.values()))
    result = purge(*words, "1G")
    for name in ("second", "third"):
        account, old = names[name]
        purged_clean(result, before, account, one, old, f"{name}: with more room it goes")
    exits(purge("first.batch", "purge_orphan", "true"), 64, "purge_orphan goes with all alone")


def volumes(store):
    with truth.Sql(store) as sql:
        return list(sql.volumes().values())


try:
    one, two, three = lab.stores
    scene = Scene(lab, exclusive=True)
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 5s\n")
    for case in (orphan, second_look, partial, unexplained, directory, limited):
        case()
    deletions = [r for s in lab.stores for r in s.log() if r["request"] == "DeleteMailboxRequest"]
    ok(deletions and not any(r["proxied_to"] for r in deletions), "no deletion was passed on to a home")
finally:
    lab.stop()
done()
