#!/usr/bin/python3
"""Plain moves: a mailbox of zero, one and some messages, an account that never logged in, each of the six statuses,
a closed domain, kinds of accounts, several at once; the checker has the last word."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.directory import new_id  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, home, moved_clean, says  # noqa: E402
from zxlab.check import check_move  # noqa: E402
from zxlab.snapshot import read_copy  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
scene = Scene(lab)

# A mailbox's row has a comment, the address that its account had once: whoever looks for one by that finds another's.
scene.mailbox("unplain", one, messages=1, rich=False)
plain = scene.mailbox("plain", one, messages=60)
with one.db() as connection, connection.cursor() as cursor:
    cursor.execute("UPDATE zimbra.mailbox SET comment = %s WHERE account_id = %s", (scene.address("unplain"), plain))
scene.mail_list("all", [plain])
before = scene.snapshot(plain)
result = scene.move(plain, two, stages="data,account")
moved_clean(result, before, plain, one, two, "a plain move")
says(result, f"the chat history of {one.name} (schema chat) does not move", "what does not move is said")
ok(two.state(plain)["mapped"], "the new store has the mailbox open")
ok(one.state(plain)["locked"], "the old copy stays locked out")
again = scene.move(plain, two)
exits(again, 0, "the same move again")
says(again, "already there", "it says why there is nothing to do")

for name, messages in (("none", 0), ("single", 1)):
    account = scene.mailbox(name, one, messages=messages, rich=messages > 0)
    before = scene.snapshot(account)
    moved_clean(scene.move(account, two), before, account, one, two, f"a mailbox of {messages} messages")

never = scene.account("never", one)
result = scene.move(never, two)
exits(result, 0, "an account that never logged in")
is_(home(lab, never).name, two.name, "it has a new home")
is_(account_status(lab, never), ("active", "enabled"), "and its old status")
is_((one.state(never)["mapped"], two.state(never)["mapped"]), (None, None), "and no mailbox was made for it")

for status, mail_status in (("active", "disabled"), ("maintenance", "enabled"), ("locked", "enabled"),
                            ("lockout", "enabled"), ("closed", "disabled"), ("pending", "disabled")):
    account = scene.mailbox(f"s-{status}", one, messages=5, rich=False, status=status, mail_status=mail_status)
    scene.mail_list(f"list-{status}", [account])
    before = scene.snapshot(account)
    moved_clean(scene.move(account, two), before, account, one, two, f"status {status}")
    is_(account_status(lab, account), (status, mail_status), f"status {status}, mail {mail_status} afterwards")

closed = Scene(lab, strangers=False, status="closed")
account = closed.mailbox("inside", one, messages=5, rich=False)
closed.mail_list("list", [account])
before = closed.snapshot(account)
moved_clean(closed.move(account, two), before, account, one, two, "an account of a closed domain")
ok(not any(r["request"] == "ModifyAccountRequest" and r["account"] == account for r in two.log()),
   "its status was never written")

# The domain's status mixes into the effective one; what is kept and given back is the account's own.
for status in ("locked", "maintenance"):
    domain = Scene(lab, strangers=False, status=status)
    account = domain.mailbox("inside", one, messages=5, rich=False)
    before = domain.snapshot(account)
    moved_clean(domain.move(account, two), before, account, one, two, f"an account of a domain in {status}")
    is_(account_status(lab, account), ("active", "enabled"), "its own status is as it was")

# What a status write clears on the way stays where the account is not active (hazard 52).
account = scene.mailbox("counted", one, messages=5, rich=False, status="lockout",
                        zimbraPasswordLockoutLockedTime="20300101000000Z",
                        zimbraPasswordLockoutFailureTime="20291231235959Z", zimbraAccountSuspensionReason="unpaid")
before = scene.snapshot(account)
moved_clean(scene.move(account, two), before, account, one, two, "a locked-out account with its counters")

many = [scene.mailbox(f"kind-{kind}", one, messages=4, rich=False, kind=kind)
        for kind in ("resource", "guest", "system")]
before = scene.snapshot(*many)
result = scene.move(many, two)
exits(result, 0, "a resource, a guest and a system account in one command")
for account in many:
    findings_none(check_move(lab, before, account, one, two), "the checker finds nothing")

# A share names account and item by their ids: it leads to the same folder as before.
owner, friend = (scene.mailbox(name, one, messages=4) for name in ("owner", "friend"))
with one.db() as connection, connection.cursor() as cursor:
    for account, kind, metadata in ((owner, "id = 10", f"d3:acll36:{friend}1:r1:uee"),
                                    (friend, "type = 13", f"d3:ridi10e3:zid36:{owner}e")):
        cursor.execute("SELECT id, group_id FROM zimbra.mailbox WHERE account_id = %s", (account,))
        mailbox, group = cursor.fetchone()
        cursor.execute(f"UPDATE mboxgroup{group}.mail_item SET metadata = %s WHERE mailbox_id = %s AND {kind}",
                       (metadata, mailbox))
        is_(cursor.rowcount, 1, f"(a row of {scene.addresses[account]} tells of the share)")
before = scene.snapshot(owner)
moved_clean(scene.move(owner, two), before, owner, one, two, "the owner of a shared folder")
mount = next(row for row in read_copy(lab, one, friend).dicts("group.mail_item") if row["type"] == b"13")
named, item = mount["metadata"].decode().rpartition(":")[2][:-1], b"10"
shared = [row for row in read_copy(lab, two, named).dicts("group.mail_item") if row["id"] == item]
ok(len(shared) == 1 and friend.encode() in shared[0]["metadata"],
   "the mountpoint of another mailbox leads to it, and it still grants the right")

# An id in capitals, as imports from elsewhere bring them: the database has it in small letters.
account = scene.mailbox("capitals", one, messages=4, rich=False, zimbraId=new_id().upper())
before = scene.snapshot(account)
stale = [f"zmFldrsTags:{account.lower()}", f"zmCalsList:{account.lower()}"]
for key in stale:
    lab.memcached_set(key, "stale")
moved_clean(scene.move(account, two), before, account, one, two, "an account whose id has capitals")
ok(b"stale" not in map(lab.memcached_get, stale), "what mailboxd cached under the id as its row has it is gone")
is_(before.lab.directory.account(account)[1]["zimbraId"], [account], "the directory keeps them")

alias = scene.mailbox("byalias", one, messages=4, rich=False)
before = scene.snapshot(alias)
moved_clean(lab.zxmove("doMailboxMove", two.name, "accounts", scene.address("byalias.alias").upper()), before, alias,
            one, two, "by an alias, in capitals")
done()
