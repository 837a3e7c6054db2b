#!/usr/bin/python3
"""What breaks after the commit and is mended a moment later: databases, ssh and mailboxd of either end; memcached and a
third store down. The destination is home from then on, and every way leads forward."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.held import BrokenEnds, Held, hold_all  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, account_status, exits, home, led_back, moved_clean, says  # noqa: E402
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import diag, done, is_  # noqa: E402


def mended_at_once(ways, points, break_it, mend_it):
    """It breaks and is back a moment later: the move succeeds."""
    before, held = hold_all(scene, ways, points, "mended at once")
    break_it()
    for _, _, move in held:
        move.go_on()
    mend_it()
    for name, way, move in held:
        result = move.finish()
        moved_clean(result, before, move.account, *ways[way], name, BrokenEnds.expected(way)) or diag(result.stdout)


def bystanders():
    """Nobody at either end is broken: the move succeeds, and what was not told is named."""
    account = scene.mailbox("no-memcached", one, messages=10)
    before = scene.snapshot(account)
    lab.memcached.stop()
    result = scene.move(account, two)
    lab.memcached.start()
    exits(result, 0, "memcached down: the move succeeds")
    says(result, "memcached proxy.lab.test", "and the report names it")
    is_((home(lab, account).name, account_status(lab, account)[0]), (two.name, "active"),
        "the user is in, on the new store")
    # One that hangs has not forgotten what it knows: before the commit that is a reason to go back.
    account = scene.mailbox("silent-memcached", one, messages=10)
    before = scene.snapshot(account)
    lab.memcached.pause()
    result = scene.move(account, two, "cutover_retries", "0")
    lab.memcached.cont()
    led_back(result, before, account, "memcached hangs before the commit", status=1)
    says(result, "no answer in time", "and the message says so")
    held = Held(scene, account, two, "commit:done")
    held.wait()
    lab.memcached.pause()
    result = held.go()
    lab.memcached.cont()
    exits(result, 0, "memcached hangs after the commit: the move succeeds")
    says(result, "memcached proxy.lab.test", "and the report names it")
    is_((home(lab, account).name, account_status(lab, account)[0]), (two.name, "active"),
        "the user is in, on the new store")
    account = scene.mailbox("seen", one, messages=10)
    before = scene.snapshot(account)
    Admin(three).call('<GetAccountRequest xmlns="urn:zimbraAdmin" applyCos="0"><account by="id">'
                      f"{account}</account></GetAccountRequest>")
    is_(three.state(account)["account_cache"]["host"], one.name, "(a third store has the account in its cache)")
    moved_clean(scene.move(account, two), before, account, one, two, "a third store that knows the old home")
    accounts = [scene.mailbox(f"told{number}", one, messages=2, rich=False) for number in range(2)]
    logins = sum(entry["request"] == "AuthRequest" for entry in three.log())
    exits(scene.move(accounts, two), 0, "two mailboxes, a third store is told of both")
    is_(sum(entry["request"] == "AuthRequest" for entry in three.log()) - logins, 1, "with one login")
    accounts = [scene.mailbox(f"no-third{number}", one, messages=2, rich=False) for number in range(2)]
    before = scene.snapshot(*accounts)
    three.mailboxd_stop()
    result = scene.move(accounts, two)
    three.mailboxd_start()
    for account in accounts:
        moved_clean(result, before, account, one, two, "a third store down")
        says(result, f"zmprov fc -a account {scene.addresses[account]}", "and the report says what to flush")
    says(result, f"{three.name} could not be told of the new home (it did not answer a moment ago",
         "it is not waited for twice")


def meddled():
    """Somebody writes another status after the commit: theirs stays."""
    account = scene.mailbox("meddled", one, messages=4)
    before = scene.snapshot(account)
    held = Held(scene, account, two, "open:late")
    held.wait()
    lab.directory.set(lab.directory.account(account)[0], zimbraAccountStatus="locked")
    before.moved[account].entry["zimbraAccountStatus"] = [b"locked"]
    result = held.go()
    moved_clean(result, before, account, one, two, "another status, written by somebody after the commit")
    says(result, f"somebody set the status of {scene.addresses[account]} to locked", "the report says that it is left")


lab = Lab.create("after", stores=["store1.lab.test", "store2.lab.test", "store3.lab.test"],
                 mode=os.environ.get("MODE", "asan"))
try:
    one, two, three = lab.stores
    scene, ends = Scene(lab), BrokenEnds(*lab.stores)
    with open(lab.conf_path, "a", encoding="utf-8") as conf:
        conf.write("net_timeout: 8s\n")
    bystanders()
    meddled()
    mended_at_once({"ssh of the source": (one, two), "ssh of the destination": (two, one)},
                   ("commit:committing", "open:flushed", "open:status"), one.sshd_kill, one.sshd_start)
    # A mailboxd that ends during the commit is another test's.
    mended_at_once(ends.ways, ("commit:done", "open:flushed", "open:status"), ends.broken, ends.mended)
finally:
    lab.stop()
done()
