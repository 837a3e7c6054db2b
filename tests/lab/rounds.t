#!/usr/bin/python3
"""Rounds: the data stage three times with mail and deletions between, then account; a move under load, some 25
changes a second right across the window where the machine can do that; every accepted message exactly once on the right store."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import Expect, check_move, check_unmoved  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.load import CHANGES, Load, check_accepted  # noqa: E402
from zxlab.moves import Scene, exits, findings_none, moved_clean  # noqa: E402
from zxlab.tap import diag, done, is_, wait_for  # noqa: E402

lab = Lab.shared(mode=os.environ.get("MODE", "asan"))
one, two = lab.stores[:2]
scene = Scene(lab)

# The data stage is invisible and may be repeated.
account = scene.mailbox("rounds", one, messages=120)
before = scene.snapshot(account)
for number in range(3):
    exits(scene.move(account, two, stages="data"), 0, f"data stage {number + 1}")
    is_(two.state(account)["mapped"], None, "the destination does not know of the copy")
    for what in ("delete", "flag", "draft", "rename-folder", "empty-dumpster", "untag", "index"):
        one.user(account, what)
    lab.deliver(scene.address("rounds"), one, n=3)
findings_none(check_unmoved(lab, before, account, changing=True), "the source is home and open all the while")
before = scene.snapshot(account)
moved_clean(scene.move(account, two, stages="account"), before, account, one, two, "then the account stage")

# Under load.
account = scene.mailbox("busy", one, messages=400)
before = scene.snapshot(account)
with Load(lab, account, mails=8, changes=28, kinds=CHANGES + ("contact", "index")) as load:
    wait_for(lambda: len(load.done) > 25 and len(load.mail.accepted) > 5, 60, "the load to be under way")
    so_far = len(load.done)
    held = Held(scene, account, two, "copy:applied", stages="data,account")
    held.wait(280)
    wait_for(lambda: len(load.done) > so_far + 5, 60, "the user to work while the move goes on")
    result = held.go()
    seen, changes = load.rate(), len(load.done) - so_far
    wait_for(lambda: len(load.done) > so_far + changes + 25, 60, "work after it")
diag(f"{seen:.0f} changes a second, {changes} while the move went on")
exits(result, 0, "a move under load")
findings_none(check_move(lab, before, account, one, two, Expect(load=load)), "the checker finds nothing")
findings_none(check_accepted(load, lab, two), "every accepted message exactly once on the new store, none bounced")
done()
