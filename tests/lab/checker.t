#!/usr/bin/python3
"""The checker's controls: it accepts a correct move, and finds every kind of difference it claims to find.

Each difference is planted on an account of its own, after a move made by hand (zxlab/controls.py), and the
checker must say so with the right kind and say nothing else."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from zxlab import controls, truth
from zxlab.check import Expect, check_move, check_purged, check_unmoved
from zxlab.lab import Lab
from zxlab.moves import Scene, findings_none
from zxlab.snapshot import read_copy
from zxlab.tap import diag, done, is_, ok

MESSAGES = 32  # the seeder spreads what hangs on messages over that many


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
            controls.move_by_hand(lab, before, account, source, destination)
        findings_none(check_move(lab, before, accounts[-2], source, destination), "a correct move is accepted")
        for account, control in zip(accounts, plain):
            one_control(lab, before, account, source, destination, control)
        findings_none(check_move(lab, before, accounts[-2], source, destination),
                      "after all that was put back, a correct move is accepted")
        purged(lab, before, accounts[-2], source, destination)
    done()


def applies(control):
    """Only root can give a file away."""
    return os.getuid() == 0 or not control[0].endswith("of another owner")


def one_control(lab, before, account, source, destination, control):
    name, kinds, plant = control
    case = controls.Case(lab, before, account, source, destination, [])
    plant(case)
    found = check_move(lab, before, account, source, destination)
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
    lock, admin = ("<LockoutMailboxRequest xmlns='urn:zimbraAdmin' op='%s'><account by='id'>" + account
                   + "</account></LockoutMailboxRequest>"), controls.Soap(lab, source)
    admin.call(lock % "start")
    said(check_unmoved(lab, before, account), "lock", "a lock that was not released")
    admin.call(lock % "end")
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
    controls.purge_by_hand(source, copy)
    findings_none(check_purged(lab, before, account, source, copy.mailbox_id, live), "a whole purge is accepted")
    findings_none(check_move(lab, before, account, source, destination, Expect(source=copy, locked=False)),
                  "and so is the mailbox that moved")
    sql(destination, f"UPDATE mboxgroup{live.group}.mail_item SET unread = 1 - unread WHERE mailbox_id ="
                     f" {live.mailbox_id} AND type = 5 LIMIT 1")
    said(check_purged(lab, before, account, source, copy.mailbox_id, live), "live-changed",
         "a live mailbox that changed in a purge")


def said(found, kind, name):
    if not ok(kind in {f.kind for f in found}, f"found: {name}"):
        diag(controls.describe(found))


def sql(store, statement):
    with truth.Sql(store) as connection:
        connection.query(statement)


main()
