#!/usr/bin/python3
"""SIGKILL of the mover at every point of the window and after it, then doRecover: nothing lost, one home, no user
left out. Before the commit was begun the account is back as it was; from then on it has moved, and what the user got
meanwhile at the new home stays."""

import os
import sys
from functools import partial

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab.check import Expect, check_move, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.load import Load, check_accepted  # noqa: E402
from zxlab.moves import account_status, exits, fence_row, findings_none, moved_clean, says, short_timeouts, side_by_side  # noqa: E402
from zxlab.tap import done, is_, ok  # noqa: E402

BACK = ("fence:intent", "fence:recorded", "fence:status", "fence:lock", "fence:locked", "fence:applied",
        "delta:applied", "prove:lock", "prove:applied", "commit:intent")
FORWARD = ("commit:committing", "commit:sent", "commit:done", "open:intent", "open:flushed", "open:late",
           "open:answered")
LET_IN = ("open:status", "settle:intent", "settle:recorded", "settle:applied")

# What is left out elsewhere to save time is the same at every point.
NO_FENCE = ("fence:intent", "settle:applied")
ASKED_BEFORE = ("fence:locked", "commit:committing", "commit:done", "open:status")
RICH = ("prove:applied", "commit:committing", "open:late", "open:status")


def killed_at(scene, point):
    """An account whose mover was killed there, and what was before."""
    account = scene.mailbox(point.replace(":", "-"), one, messages=6, rich=point in RICH)
    before = scene.snapshot(account)
    is_(scene.move(account, two, fail=f"{point}=kill").returncode, -9, f"{point}: killed there")
    if point in ASKED_BEFORE:
        refused = scene.move(account, two)
        exits(refused, 75, f"{point}: until it is recovered nobody else may move it")
        says(refused, "doRecover", f"{point}: and the message says how")
        exits(lab.zxmove("doRecover", "accounts", scene.addresses[account]), 0, f"{point}: doRecover explains first")
    return account, before


def recovered(scene, account, point):
    """Finished or undone, and said so on both stores."""
    exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0, f"{point}: recovered")
    if point not in NO_FENCE:
        states = {fence_row(store, account) for store in (one, two)}
        ok(states in ({"done"}, {"undone"}), f"{point}: both records are closed ({states})")


def back(point, scene):
    """Everything is as it was."""
    account, before = killed_at(scene, point)
    recovered(scene, account, point)
    findings_none(check_unmoved(lab, before, account), f"{point}: everything is as it was")
    ok(one.user(account, "login")["ok"], f"{point}: the user is in")
    if point in ("fence:intent", "prove:applied"):
        before = scene.snapshot(account)
        moved_clean(scene.move(account, two), before, account, one, two, f"{point}: and the next move succeeds")


def forward(point, scene):
    """It has moved; nobody could use it before it was recovered."""
    account, before = killed_at(scene, point)
    load = Load(lab, account)
    ok(not load.mail.offer(load.mail.next()) and not load.mail.bounces, f"{point}: mail waits meanwhile")
    recovered(scene, account, point)
    findings_none(check_move(lab, before, account, one, two), f"{point}: it has moved, the checker finds nothing")
    ok(two.user(account, "login")["ok"], f"{point}: the user is in")


def let_in(point, scene):
    """It has moved, and the user was in before it was recovered: what came then stays."""
    account, before = killed_at(scene, point)
    load = Load(lab, account)
    ok(all(load.mail.offer(load.mail.next()) for _ in range(3)), f"{point}: mail is accepted meanwhile")
    ok(two.user(account, "flag")["ok"], f"{point}: and the user works")
    recovered(scene, account, point)
    findings_none(check_accepted(load, lab, two), f"{point}: what was accepted is there")
    findings_none(check_move(lab, before, account, one, two, Expect(load=load)),
                  f"{point}: it has moved, the checker finds nothing")
    ok(two.user(account, "read")["ok"], f"{point}: the user is in")


def elsewhere(scene):
    """The directory names a home that neither end is: a person must look, nothing is touched."""
    name = "somebody moved it elsewhere"
    account = scene.mailbox("elsewhere", one, messages=6, rich=False)
    before = scene.snapshot(account)
    dn = lab.directory.account(account)[0]
    is_(scene.move(account, two, fail="prove:applied=kill").returncode, -9, f"{name}: killed")
    lab.directory.set(dn, zimbraMailHost="store9.lab.test")
    refused = lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
    exits(refused, 1, f"{name}: refused")
    says(refused, "store9.lab.test is home", f"{name}: the message names that home")
    says(refused, "nothing is touched", f"{name}: and says so")
    is_((account_status(lab, account)[0], one.state(account)["locked"], fence_row(one, account), fence_row(two, account)),
        ("maintenance", True, "proven", "proven"), f"{name}: nothing is")
    lab.directory.set(dn, zimbraMailHost=one.name)
    recovered(scene, account, name)
    findings_none(check_unmoved(lab, before, account), f"{name}: put right, everything is as it was")


lab = Lab.create("kill", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, timeout=5)
    side_by_side(lab, [partial(how, point) for how, points in ((back, BACK), (forward, FORWARD), (let_in, LET_IN))
                       for point in points] + [elsewhere])
finally:
    lab.stop()
done()
