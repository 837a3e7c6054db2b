#!/usr/bin/python3
"""A store asks its LDAP replica first, and a replica may lag (doc/platform.md 5.5). Before the window the move waits
for it, and the user notices nothing; in the window it waits in maintenance, and no store serves with an old view."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_move  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.load import Accepted, check_accepted  # noqa: E402
from zxlab.moves import (Scene, account_status, exits, findings_none, home, led_back, moved_clean,  # noqa: E402
                         says)
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402


def follows_until(account, point, retries=5):
    """A move of the account, held at the point; from there on the replica lags."""
    lab.replica_sync()
    before = scene.snapshot(account)
    held = Held(scene, account, two, point, words=("cutover_retries", str(retries)))
    held.wait()
    lab.replica_lag()
    return before, held


def stays(condition, seconds):
    """True while the condition holds for so long."""
    deadline = time.monotonic() + seconds
    while condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


lab = Lab.create("replica", mode=os.environ.get("MODE", "asan"), replica=True)
try:
    one, two = lab.stores[:2]
    scene = Scene(lab)
    names = ("never", "plan", "window", "commit")
    accounts = {name: scene.mailbox(name, one, messages=5) for name in names}
    other = Scene(lab, strangers=False)
    elsewhere = lab.directory.account(other.account("other", one))[0]

    # Behind when the window is to be opened, and so it stays.
    before, held = follows_until(accounts["never"], "clear:applied", retries=0)
    lab.directory.set(elsewhere, description="something changed")
    result = held.go()
    lab.replica_sync()
    led_back(result, before, accounts["never"], "a replica that never catches up")
    says(result, "lags behind the master", "the message says why")
    ok("locked" not in result.stdout, "and the user was never out")

    # ... and it catches up.
    before, held = follows_until(accounts["plan"], "clear:applied")
    lab.directory.set(elsewhere, description="something else changed")
    held.go_on()
    ok(stays(lambda: account_status(lab, accounts["plan"])[0] == "active", 1.5),
       "the user stays in while the move waits")
    lab.replica_sync()
    moved_clean(held.finish(), before, accounts["plan"], one, two, "behind before the window")

    # Behind from the maintenance on.
    account = accounts["window"]
    before, held = follows_until(account, "fence:recorded")
    held.go_on()
    wait_for(lambda: account_status(lab, account)[0] == "maintenance", 30, "the window")
    ok(stays(lambda: not one.state(account)["locked"], 1.0),
       "no lock-out while a store may not know of the maintenance")
    lab.replica_sync()
    moved_clean(held.finish(), before, account, one, two, "behind in the window")

    # Behind from the commit on.
    account = accounts["commit"]
    before, held = follows_until(account, "prove:applied")
    held.go_on()
    wait_for(lambda: home(lab, account) is two, 30, "the commit")
    ok(stays(lambda: account_status(lab, account)[0] == "maintenance", 2.5),
       "maintenance while the new home is not seen")
    is_(two.state(account)["mapped"], None, "and the new store has not opened the mailbox")
    lab.replica_sync()
    moved_clean(held.finish(), before, account, one, two, "behind after the commit")

    # Worse: the source is made to forget the new home, and takes the first message of an account without a mailbox.
    account = scene.account("appears", one)
    message = Accepted(lab, account, one)
    before, held = follows_until(account, "prove:applied")
    held.go_on()
    wait_for(lambda: home(lab, account) is two, 30, "the commit")
    Admin(one).call(f"<FlushCacheRequest xmlns='urn:zimbraAdmin'><cache type='account'><entry by='id'>{account}</entry>"
                    "</cache></FlushCacheRequest>")
    ok(message.send(), "after the commit a source with an old view takes a message")
    lab.replica_sync()
    exits(held.finish(), 0, "the move goes on")
    findings_none(check_move(lab, before, account, one, two), "the checker finds nothing")
    findings_none(check_accepted(message.mail, lab, two), "the message is at the new home, once")
finally:
    lab.stop()
done()
