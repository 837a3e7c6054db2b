#!/usr/bin/python3
"""doRollback: the way back with what arrived since, of accounts and of an operation, to one store and to several; what
it refuses and the command it names instead; A to B to C to A, and the purge of each copy."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab import schema, truth  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import (Scene, exits, findings_none, home, led_back, mailbox_id, moved_clean, purged_clean,  # noqa: E402
                         says)
from zxlab.check import check_move, check_unmoved  # noqa: E402
from zxlab.snapshot import OWN_SCHEMA  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

lab = Lab.create("rollback", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))


def execute(store, statement, *values):
    """One statement in a store's database; what it answers."""
    with store.db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def answer_of(result):
    """The JSON answer, whose keys doc/json.md has."""
    answer = json.loads(result.stdout.splitlines()[-1])
    is_(schema.of_answer("doRollback", answer), [], "doc/json.md has its keys")
    return answer["response"]


def moved(name, source, destination):
    """A mailbox that moved, and what its user does then; its account id."""
    account = scene.mailbox(name, source, messages=12)
    exits(scene.move(account, destination), 0, f"{name}: moved")
    work(account, destination)
    return account


def work(account, store):
    """Mail comes, goes and changes."""
    lab.deliver(scene.addresses[account], store, n=2)
    for do in ("delete", "flag", "index"):
        store.user(account, do)


def back(*words, **options):
    return lab.zxmove("--json", "doRollback", *words, timeout=300, **options)


def of(account):
    return "accounts", scene.addresses[account]


def operation_of(store, account):
    """The operation by which the account left the store."""
    return execute(store, f"SELECT operation FROM {OWN_SCHEMA}.moved WHERE account_id = %s"
                          " ORDER BY committed DESC", account)[0][0].decode()


def plain():
    """Of one account; a plan of it first; the same command again leads nowhere."""
    account = moved("plain", one, two)
    old = mailbox_id(one, account)
    before = scene.snapshot(account)
    result = back(*of(account), "dry_run", "true")
    exits(result, 0, "a plan of the way back")
    mailbox = answer_of(result)["mailboxes"][0]
    is_((mailbox["outcome"], mailbox["source"], mailbox["destination"]), ("planned", two.name, one.name),
        "says which way")
    findings_none(check_unmoved(lab, before, account), "and changes nothing")
    result = back(*of(account))
    moved_clean(result, before, account, two, one, "back, with what arrived since")
    response = answer_of(result)
    is_(response["verb"], "doRollback", "it is called by its name")
    ok(response["mailboxes"][0]["blobs_linked"] > 0, "blobs of the old copy were used again")
    ok(mailbox_id(one, account) != old, "the old copy gone")
    result = back(*of(account))
    exits(result, 0, "again")
    says(result, "rolled back already", "it is not taken there again")
    is_(home(lab, account).name, one.name, "and stays")
    exits(scene.move(account, two), 0, "a move takes it there again")


def operation():
    """Of everything an operation moved, to the stores it came from; killed once, and repeated."""
    first, second, empty = (scene.mailbox("first", one, messages=8), scene.mailbox("second", three, messages=8),
                            scene.account("empty", one))
    exits(scene.move([first, second, empty], two), 0, "three accounts move from two stores")
    uuid = operation_of(one, first)
    is_(operation_of(three, second), uuid, "by one operation")
    for account in (first, second):
        work(account, two)
    before = scene.snapshot(first, second, empty)
    result = back("operation", uuid[:8], fail="commit:intent=error")
    ok(result.returncode != 0, "a way back whose windows fail")
    is_([home(lab, a).name for a in (first, second, empty)], [two.name] * 3, "leaves them where they are")
    result = lab.zxmove("--host", three.name, "doRollback", "operation", uuid)
    exits(result, 0, "of those that live on another store")
    says(result, "nothing to move", "nobody goes")
    result = back("operation", uuid[:8])
    exits(result, 0, "rolled back by its prefix")
    for account, store in ((first, one), (second, three), (empty, one)):
        findings_none(check_move(lab, before, account, two, store), f"to {store.name}, each where it came from")
    is_(sorted(m["outcome"] for m in answer_of(result)["mailboxes"]), ["moved"] * 3, "in one report")
    result = back("operation", uuid)
    exits(result, 0, "again")
    says(result, "already there", "nobody is moved twice")
    exits(back("operation", "00000000"), 1, "an operation that nobody knows")


def triangle():
    """A to B to C: only the last is taken back; then to A, and the purge of what is left on B and C."""
    account = moved("triangle", one, two)
    first = operation_of(one, account)
    exits(scene.move(account, three), 0, "A to B to C")
    work(account, three)
    result = back("operation", first)
    exits(result, 1, "the first move cannot be rolled back")
    says(result, f"doMailboxMove {one.name} accounts {scene.addresses[account]}", "the move that does is named")
    before = scene.snapshot(account)
    moved_clean(back(*of(account)), before, account, three, two, "the last one can: C to B")
    exits(scene.move(account, three), 0, "and to C again")
    work(account, three)
    before = scene.snapshot(account)
    moved_clean(scene.move(account, one), before, account, three, one, "C to A, where the first copy is")
    for store in (two, three):
        old = mailbox_id(store, account)
        before = scene.snapshot(account)
        purged_clean(lab.zxmove("--host", store.name, "doPurgeMailboxes", scene.addresses[account],
                                "ignore_retention", "true"), before, account, store, old,
                     f"the copy on {store.name} is purged")
    findings_none(check_unmoved(lab, scene.snapshot(account), account), "the mailbox is well on A")
    ok(one.user(account, "login")["ok"], "and its user is in")


def refused():
    """Nothing to go back to, or not from there."""
    account = moved("purged", one, two)
    exits(lab.zxmove("doPurgeMailboxes", scene.addresses[account], "ignore_retention", "true"), 0, "purged")
    result = back(*of(account))
    exits(result, 1, "after the purge: refused")
    says(result, f"doMailboxMove {one.name} accounts {scene.addresses[account]}", "the move that does is named")
    before = scene.snapshot(account)
    moved_clean(scene.move(account, one), before, account, two, one, "and does")
    never = scene.mailbox("never", one, messages=2)
    result = back(*of(never))
    exits(result, 1, "an account that never moved: refused")
    says(result, "no store has a record", "with the reason")
    exits(back("accounts", f"nobody@{scene.domain}"), 1, "an account that is not there: refused")
    exits(back(), 64, "nobody named: usage")
    account = moved("elsewhere", one, two)
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=three.name)
    result = back(*of(account))
    exits(result, 1, "at home where no move put it: refused")
    says(result, "did not put it", "with the reason")
    lab.directory.set(lab.directory.account(account)[0], zimbraMailHost=two.name)
    execute(one, f"UPDATE {OWN_SCHEMA}.moved SET bad_items = 2 WHERE account_id = %s", account)
    result = back(*of(account))
    exits(result, 1, "moved with bad items: refused")
    says(result, "accept_data_loss true", "without a word for it")
    before = scene.snapshot(account)
    moved_clean(back(*of(account), "accept_data_loss", "true"), before, account, two, one, "with it, it goes")
    unfinished = scene.mailbox("unfinished", one, messages=3)
    is_(scene.move(unfinished, two, fail="open:status=kill").returncode, -9, "killed after the commit")
    result = back(*of(unfinished))
    exits(result, 75, "not finished: refused")
    says(result, "doRecover", "with what finishes it")
    exits(lab.zxmove("doRecover", *of(unfinished), "dry_run", "false"), 0, "which does")
    before = scene.snapshot(unfinished)
    exits(back("accounts", f"{scene.addresses[unfinished]},{scene.addresses[never]}"), 5, "then it goes, another does not")
    findings_none(check_move(lab, before, unfinished, two, one), "the checker finds nothing")


def written_to():
    """An old copy that was written to since may hold the only copy of a message: neither removed nor overwritten."""
    for restart in (False, True):
        account = moved(f"written{int(restart)}", one, two)
        old = mailbox_id(one, account)
        if restart:
            one.mailboxd_kill()
            one.mailboxd_start()
        flip = (f"UPDATE mboxgroup{(old - 1) % one.groups + 1}.mail_item SET flags = flags ^ 2"
                " WHERE mailbox_id = %s AND type = 5 ORDER BY id LIMIT 1", old)
        execute(one, *flip)
        before = scene.snapshot(account)
        result = back(*of(account))
        led_back(result, before, account, "the old copy was written to", status=1)
        says(result, "only copy", "the reason is given")
        execute(one, *flip)
        before = scene.snapshot(account)
        moved_clean(back(*of(account)), before, account, two, one, "as it was, it goes")


def killed_in_clear():
    """The old copy's deletion is announced, begun behind mailboxd's back, and finished by the next run."""
    account = moved("clear", one, two)
    before = scene.snapshot(account)
    is_(back(*of(account), fail="clear:purging=kill").returncode, -9, "killed before the old copy goes")
    is_(home(lab, account).name, two.name, "the user is where they were")
    moved_clean(back(*of(account)), before, account, two, one, "the next run goes back")


try:
    one, two, three = lab.stores
    scene = Scene(lab, exclusive=True)
    with open(lab.conf_path, "a", encoding="utf-8") as file:
        file.write("net_timeout: 5s\n")
    for case in (plain, operation, triangle, refused, written_to, killed_in_clear):
        case()
finally:
    lab.stop()
done()
