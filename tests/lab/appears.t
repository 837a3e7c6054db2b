#!/usr/bin/python3
"""An account without a mailbox gets one while it is moved (doc/platform.md 9.5, hazard 67): by a first log-in or by
a message whose recipient was accepted earlier; before the window, in it, and after the last look before the commit.
The mailbox is moved like any other: nobody bounces, nothing is lost, and the user never meets an empty mailbox."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_move  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.load import Accepted, check_accepted  # noqa: E402
from zxlab.moves import Scene, account_status, exits, findings_none, home, moved_clean, says  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
scene = Scene(lab)


def hold(account, point, also=None):
    """A move of the account that stands at the point."""
    held = Held(scene, account, two, point, also)
    held.wait()
    return held


def arrives(name, point, fail=None):
    """A message arrives while the move is held at the point; answers (account, message, result, snapshot)."""
    account = scene.account(name, one)
    before = scene.snapshot(account)
    message = Accepted(lab, account, one)
    held = hold(account, point, fail)
    ok(message.send(), f"{name}: the message is accepted, so there is a mailbox on {one.name}")
    return account, message, held.go(), before


def arrived(account, message, before, name):
    """Moved with all that is in it."""
    findings_none(check_move(lab, before, account, one, two), f"{name}: the checker finds nothing")
    findings_none(check_accepted(message.mail, lab, two), f"{name}: the message is there, once")
    is_(account_status(lab, account), ("active", "enabled"), f"{name}: the status is as it was")
    ok(two.user(account, "login").get("ok"), f"{name}: the user is in")
    says(lab.zxmove("getMovedMailboxes"), scene.addresses[account], f"{name}: the old copy has its record")


# Before the window: found by the last look before it.
account = scene.account("login", one)
before = scene.snapshot(account)
held = hold(account, "clear:applied")
ok(one.user(account, "login").get("ok"), "the user logs in for the first time, before the window")
moved_clean(held.go(), before, account, one, two, "a first log-in before the window")

for name, point in (("before-proof", "fence:applied"), ("after-proof", "prove:applied"),
                    ("before-request", "commit:committing")):
    account, message, result, before = arrives(name, point)
    exits(result, 0, f"{name}: exit status")
    arrived(account, message, before, name)

# The mailbox is found after the commit, and what is done about it goes wrong at first.
for name, fault in (("lock-refused", {"mode": "fault", "code": "service.FAILURE", "op": "start"}),
                    ("lock-unanswered", {"mode": "garbage", "op": "start"})):
    account = scene.account(name, one)
    before = scene.snapshot(account)
    message = Accepted(lab, account, one)
    held = hold(account, "prove:applied")
    message.send()
    one.fault("LockoutMailboxRequest", account=account, **fault)
    exits(held.go(), 0, f"{name}: exit status")
    arrived(account, message, before, name)

# The mover dies over it; recovery goes on.
for name, point in (("dies-copying", "fence:locked=kill"), ("dies-open", "open:answered=kill")):
    account, message, result, before = arrives(name, "prove:applied", fail=point)
    ok(result.returncode < 0, f"{name}: the mover dies")
    is_(home(lab, account).name, two.name, f"{name}: after the commit")
    exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0,
          f"{name}: doRecover")
    arrived(account, message, before, name)

# Nothing of the account may lie at the destination: it would become the user's mailbox at the flip.
account = scene.account("leftover", one)
with two.db() as connection, connection.cursor() as cursor:
    cursor.execute("INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id) SELECT 4, 4, %s,"
                   " index_volume_id FROM zimbra.current_volumes", (account,))
result = scene.move(account, two)
exits(result, 1, "a row of the account at the destination, none at the source: refused")
says(result, "already has a mailbox 4", "and the row is named")
is_(home(lab, account).name, one.name, "and the account stays")
with two.db() as connection, connection.cursor() as cursor:
    cursor.execute("DELETE FROM zimbra.mailbox WHERE id = 4")
done()
