#!/usr/bin/python3
"""The checker's controls: it accepts a correct move, and finds every kind of difference it claims to find.

Each difference is planted on an account of its own, after a move made by hand (zxlab/byhand.py), and the
checker must say so with the right kind and say nothing else."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from zxlab import byhand, compare, controls, truth
from zxlab.check import Expect, check_move, check_purged, check_unmoved
from zxlab.lab import Lab
from zxlab.load import Load, check_accepted
from zxlab.moves import Scene, findings_none
from zxlab.probe import Probe
from zxlab.snapshot import Snapshot, read_copy
from zxlab.soap import Admin
from zxlab.tap import diag, done, is_, ok, wait_for

MESSAGES = 32  # the seeder spreads what hangs on messages over that many

# Kinds that are not of the account itself; only for these is everything else looked at each time.
AROUND = {"list", "other-directory", "other-key", "other-rows", "other-files", "server-variable", "storewide",
          "next-mailbox-id", "schema", "leftover", "mapping"}


def main():
    mode = os.environ.get("MODE", "release")
    with Lab.create(f"checker-{mode}", mode=mode) as lab:
        route_list(lab)
        scene = Scene(lab, exclusive=True)
        source, destination = lab.stores
        plain = [control for control in controls.CONTROLS if applies(control)]
        accounts = [scene.mailbox(f"user{n}", source, messages=MESSAGES) for n in range(len(plain) + 2)]
        for account in accounts:
            lab.directory.new_data_source(account, "external")
        scene.mail_list("everybody", accounts[:3])
        before = scene.snapshot(*accounts)
        unmoved(lab, before, accounts[-1])
        for account in accounts[:-1]:
            byhand.move_by_hand(lab, before, account, source, destination)
        findings_none(check_move(lab, before, accounts[-2], source, destination), "a correct move is accepted")
        for account, control in zip(accounts, plain):
            one_control(lab, before, account, source, destination, control)
        findings_none(check_move(lab, before, accounts[-2], source, destination),
                      "after all that was put back, a correct move is accepted")
        purged(lab, before, accounts[-2], source, destination)
        never_opened(lab, source, destination)
        back_again(lab, source, destination)
        at_work(lab, source, destination)
    done()


def applies(control):
    """Only root can give a file away."""
    return os.getuid() == 0 or not control[0].endswith("of another owner")


def one_control(lab, before, account, source, destination, control):
    name, kinds, plant = control
    case = controls.Case(lab, before, account, source, destination, [])
    plant(case)
    around = not AROUND.isdisjoint(kinds)
    found = check_move(lab, before, account, source, destination, Expect(surroundings=around))
    for undo in reversed(case.undo):
        undo()
    if not ok(found and kinds[0] in {f.kind for f in found} <= set(kinds), f"found: {name}"):
        diag(f"may say {kinds}, said {controls.describe(found)}")


def route_list(lab):
    """The list of route keys against one written out by hand: the checker and the move by hand share it."""
    scene = Scene(lab, strangers=False, virtual_hosts=["web.test"], virtual_ips=["192.0.2.7"])
    account = scene.account("ann", lab.stores[0], alias=False, aliases=[scene.address("a.b")])
    d, six = scene.domain, ("http", "imap", "pop3", "httpssl", "imapssl", "pop3ssl")
    users = ["ann", f"ann@{d}", "ann@192.0.2.7", f"ann@alias-{d}", f"a.b@alias-{d}", f"a.b@{d}", "a.b@192.0.2.7"]
    expected = {f"route:proto={p};user={u}" for p in six for u in users}
    expected |= {f"route:proto=http;id={account}", f"route:proto=httpssl;id={account}",
                 f"route:proto=httpssl;admin=1;id={account}"}
    expected |= {f"alias:user=ann;ip={d}", "alias:user=ann;ip=192.0.2.7", "alias:user=ann;vhost=web.test",
                 f"alias:user=ann;ip=alias-{d}", f"alias:user=a.b;ip=alias-{d}", "alias:user=a.b;vhost=web.test",
                 "alias:user=a.b;ip=192.0.2.7"}
    directory = truth.Directory(lab)
    is_(sorted(truth.route_keys(directory, *directory.account(account))), sorted(expected), "the list of route keys")


def unmoved(lab, before, account):
    """check_unmoved accepts an account that nothing happened to, and sees each thing that must not be left."""
    source, destination = lab.stores
    findings_none(check_unmoved(lab, before, account), "an account that was not moved is accepted")
    copy = before.moved[account].copies[source.name]
    admin = Admin(source)
    admin.lockout(account, "start")
    said(check_unmoved(lab, before, account), "lock", "a lock that was not released")
    admin.lockout(account, "end")
    dn = before.moved[account].dn
    lab.directory.set(dn, zimbraAccountStatus="maintenance")
    said(check_unmoved(lab, before, account), "status", "a user left in maintenance")
    lab.directory.set(dn, zimbraAccountStatus="active")
    sql(destination, "INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id) SELECT 9999, 1,"
                     f" '{account}', index_volume_id FROM zimbra.current_volumes")
    said(check_unmoved(lab, before, account), "mapping", "a mailbox row left at the destination")
    sql(destination, "DELETE FROM zimbra.mailbox WHERE id = 9999")
    row = f"mboxgroup{copy.group}.mail_item SET date = date + %s WHERE mailbox_id = {copy.mailbox_id}"
    sql(source, f"UPDATE {row % 1} AND id = 2")
    said(check_unmoved(lab, before, account), "source-changed", "a row that changed")
    sql(source, f"UPDATE {row % '-1'} AND id = 2")
    findings_none(check_unmoved(lab, before, account), "all put back, it is accepted")


def purged(lab, before, account, source, destination):
    """check_purged sees what a purge left, and accepts a whole one."""
    copy, live = read_copy(lab, source, account), read_copy(lab, destination, account)
    found = check_purged(lab, before, account, source, copy.mailbox_id, live)
    said(found, "leftover", "rows and files of a copy that was not purged")
    byhand.purge_by_hand(source, copy)
    findings_none(check_purged(lab, before, account, source, copy.mailbox_id, live), "a whole purge is accepted")
    findings_none(check_move(lab, before, account, source, destination, Expect(source=copy, locked=False)),
                  "and so is the mailbox that moved")
    sql(destination, f"UPDATE mboxgroup{live.group}.mail_item SET unread = 1 - unread WHERE mailbox_id ="
                     f" {live.mailbox_id} AND type = 5 LIMIT 1")
    said(check_purged(lab, before, account, source, copy.mailbox_id, live), "live-changed",
         "a live mailbox that changed in a purge")


def at_work(lab, source, destination):
    """A user who works and gets mail across the move; then what could be lost on the way is taken away."""
    scene = Scene(lab, strangers=False)
    account = scene.mailbox("busy", source, messages=20)
    before = scene.snapshot(account)
    with Probe(lab, account) as probe, Load(lab, account, mails=20, changes=40) as load:
        wait_for(lambda: len(load.done) > 25 and len(load.mail.accepted) > 5, 20, "work before the move")
        byhand.move_by_hand(lab, before, account, source, destination)
        so_far, mails = len(load.done), len(load.mail.accepted)
        wait_for(lambda: len(load.done) > so_far + 25 and len(load.mail.accepted) > mails + 5, 20, "work after it")
    diag(f"{load.rate():.0f} changes/s, refused {load.refused}, mail deferred {load.mail.deferred} times")
    ok(probe.longest_ms() > 0, "the probe saw the window")
    diag(f"{probe.longest_ms():.0f} ms, {probe.attempts()} attempts, {probe.reasons()}")
    findings_none(check_accepted(load, lab, destination), "every accepted message is there once")
    expect = Expect(load=load, changing=True)

    def look():
        return check_move(lab, before, account, source, destination, expect) + check_accepted(load, lab, destination)
    findings_none(look(), "what was done since the move is not taken for damage")

    copy = read_copy(lab, destination, account)
    items = f"UPDATE mboxgroup{copy.group}.mail_item SET %s WHERE mailbox_id = {copy.mailbox_id} AND id = %d"
    mail = [int(row["id"]) for row in copy.dicts("group.mail_item")
            if (row["subject"] or b"").decode(errors="replace").startswith(load.mail.token)]
    base = compare.maxima(read_copy(lab, source, account))[1]
    quiet = next(int(row["id"]) for row in copy.dicts("group.mail_item")
                 if row["type"] == b"5" and int(row["mod_metadata"]) <= base)
    for change, back, item, kind, name in (
            ("subject = CONCAT('x', subject)", "subject = SUBSTR(subject, 2)", mail[0], "mail-lost",
             "an accepted message that is not there"),
            (f"subject = CONCAT('{load.mail.token}-000001', subject)",
             f"subject = SUBSTR(subject, {len(load.mail.token) + 8})", mail[-1], "mail-lost",
             "an accepted message under another name"),
            ("size = size + 1", "size = size - 1", mail[-1], "mail-altered", "an accepted message of another size"),
            ("date = date + 1", "date = date - 1", quiet, "row-altered", "a row altered that nobody touched since"),
            ("size = size + 1", "size = size - 1", 5, "counts", "a folder's count from a stale cache")):
        sql(destination, items % (change, item))
        said(look(), kind, name)
        sql(destination, items % (back, item))
    findings_none(look(), "all put back, it is accepted")
    twice = f"INSERT INTO mboxgroup{copy.group}.mail_item (%s) SELECT %s FROM mboxgroup{copy.group}.mail_item WHERE" \
            f" mailbox_id = {copy.mailbox_id} AND id = {mail[-1]}"
    columns = [c for c in ("mailbox_id",) + copy.table("group.mail_item").columns if c != "id"]
    sql(destination, twice % (", ".join(["id"] + columns), ", ".join(["4000000"] + columns)))
    said(look(), "mail-twice", "an accepted message that is there twice")


def never_opened(lab, source, destination):
    """An account without a mailbox: only the directory changes, and nobody makes a mailbox of it."""
    account = Scene(lab, strangers=False).account("never", source)
    before = Snapshot(lab, [account])
    byhand.flip(lab, before.moved[account].dn, destination)
    findings_none(check_move(lab, before, account, source, destination), "an account that never logged in")
    destination.user(account, "login")
    said(check_move(lab, before, account, source, destination), "mapping", "a mailbox that came from nowhere")


def back_again(lab, source, destination):
    """A way back: the copy that was left behind must have made way, every bit of it."""
    scene = Scene(lab, strangers=False)
    account = scene.mailbox("back", source)
    before = scene.snapshot(account)
    byhand.move_by_hand(lab, before, account, source, destination)
    left = read_copy(lab, source, account)
    before = scene.snapshot(account)
    byhand.purge_through_mailboxd(source, account)
    byhand.move_by_hand(lab, before, account, destination, source)
    said(check_move(lab, before, account, destination, source), "leftover",
         "what mailboxd's own deletion leaves behind")
    byhand.purge_by_hand(source, left)
    findings_none(check_move(lab, before, account, destination, source), "there and back again is accepted")


def said(found, kind, name):
    if not ok(kind in {f.kind for f in found}, f"found: {name}"):
        diag(controls.describe(found))


def sql(store, statement):
    with truth.Sql(store) as connection:
        connection.query(statement)


main()
