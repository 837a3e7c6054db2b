#!/usr/bin/python3
"""The commit and what follows it, with a server that does not answer as it should: without a definite answer nobody
undoes, the request is sent again until the directory shows the new home; a definite fault leads back; after the commit
there is only forward. A mover killed in doubt leaves the same to doRecover; only `force true` leads back from there."""

import os
import re
import sys
from functools import partial
from itertools import count

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab.check import check_move, check_unmoved  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import (account_status, exits, fence_row, findings_none, home, led_back, moved_clean,  # noqa: E402
                         says, short_timeouts, side_by_side)
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402

TIMEOUT = 3  # of mailboxd alone, which is the one that is silent
LATE = 2 * TIMEOUT * 1000  # ms

# At the destination after the commit: request, how many go through before, modes. The status is its only ModifyAccount.
# Its third FlushCache is the first after the commit: the second comes from the source's ModifyAccount.
AFTER = (
    ("FlushCacheRequest", 2, ("fault", "silence", "garbage")),
    ("GetAccountRequest", 1, ("fault", "close-after")),
    ("GetMailboxRequest", 0, ("fault", "silence", "silence-after", "garbage", "drop")),
    ("ModifyAccountRequest", 0, ("fault", "silence", "silence-after", "close-after", "garbage", "delay")),
)


NUMBERS = count()  # a bare name may stand in another lane's route keys


def mailbox(scene):
    account = scene.mailbox(f"m{next(NUMBERS)}", one, messages=3, rich=False)
    return account, scene.snapshot(account)


def plant(store, account, request, earlier, mode, count=1, ms=LATE):
    """The fault for the request after so many that go through."""
    if earlier:
        store.fault(request, "delay", account=account, ms=0, count=earlier)
    store.fault(request, mode, account=account, count=count, ms=ms if mode == "delay" else None)


def plant_commit(account, mode, **options):
    """The source's first ModifyAccount is the status, the second the commit."""
    plant(one, account, "ModifyAccountRequest", 1, mode, **options)


def asked(store, account, request, op=None):
    """How often the store has answered, or had to answer, this."""
    return sum(entry["request"] == request and entry["account"] == account and op in (None, entry["op"])
               for entry in store.log())


def goes_on(result, before, account, name):
    moved_clean(result, before, account, one, two, name)
    is_(one.faults_left(account) + two.faults_left(account), 0, f"{name}: it was met")
    is_(asked(one, account, "LockoutMailboxRequest", "end"), 0, f"{name}: nobody undid anything")
    ok(two.user(account, "login")["ok"], f"{name}: the user is in")


def commit(mode, scene):
    account, before = mailbox(scene)
    plant_commit(account, mode)
    goes_on(scene.move(account, two), before, account, f"the commit answered by {mode}")


def commit_late(scene):
    """The repeated request is done before the first one, which then comes over a user who is in."""
    name = "the commit lands late"
    account, before = mailbox(scene)
    plant_commit(account, "delay", ms=3 * LATE)
    goes_on(scene.move(account, two), before, account, name)
    wait_for(lambda: asked(one, account, "ModifyAccountRequest") >= 3, 20, name)
    findings_none(check_move(lab, before, account, one, two), f"{name}: after it, too, nothing is wrong")


def moved_on(scene):
    """The first request may still land while the account is moved on: it is not, as long as it may."""
    name = "moved on after a commit in doubt"
    account, before = mailbox(scene)
    plant_commit(account, "silence")
    goes_on(scene.move(account, two), before, account, name)
    before = scene.snapshot(account)
    result = scene.move(account, one)
    exits(result, 75, f"{name}: not yet")
    says(result, "may still land", f"{name}: and it says why")
    for verb, status in (("plan", 75), ("doCheck", 1)):
        told = lab.zxmove(verb, one.name, "accounts", scene.addresses[account])
        exits(told, status, f"{name}: {verb} tells of it, too")
        says(told, f"{scene.addresses[account]} came to {two.name}", f"{name}: {verb} names the account")
        ok(re.search(r"stays there until 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d", told.stdout + told.stderr),
           f"{name}: {verb} says when it may move")
    is_((home(lab, account).name, account_status(lab, account)), (two.name, ("active", "enabled")), f"{name}: nothing was touched")
    with two.db() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE zxmove.step SET intent = intent - INTERVAL 15 MINUTE WHERE account_id = %s", (account,))
    exits(lab.zxmove("plan", one.name, "accounts", scene.addresses[account]), 0, f"{name}: planned a quarter of an hour later")
    moved_clean(scene.move(account, one), before, account, two, one, f"{name}: moved a quarter of an hour later")


def commit_late_while_refused(scene):
    """A definite fault to the second request says nothing of the first."""
    account, before = mailbox(scene)
    plant_commit(account, "delay", ms=LATE)
    one.fault("ModifyAccountRequest", "fault", account=account, count=2)
    goes_on(scene.move(account, two), before, account, "the commit lands late, its repetition is refused")


def commit_refused(scene):
    account, before = mailbox(scene)
    plant_commit(account, "fault")
    led_back(scene.move(account, two), before, account, "the commit answered by a definite fault")
    is_(one.faults_left(account), 0, "it was met")


def after(request, earlier, mode, scene):
    account, before = mailbox(scene)
    plant(two, account, request, earlier, mode)
    goes_on(scene.move(account, two), before, account, f"after the commit: {request} {mode}")


def source_after(mode, scene):
    account, before = mailbox(scene)
    plant(one, account, "FlushCacheRequest", 1, mode)
    goes_on(scene.move(account, two), before, account, f"after the commit: FlushCacheRequest {mode} at the source")


def recover(account, scene, *words):
    return lab.zxmove("doRecover", "accounts", scene.addresses[account], *words, "dry_run", "false")


def start_in_doubt(scene, account):
    """A mover that has sent the commit, and the moment when it has."""
    mover = scene.start_move(account, two)
    wait_for(lambda: fence_row(one, account) == "committing", 60, "the commit to be begun")
    wait_for(lambda: one.faults_left(account) == 0, 20, "the commit to be sent")
    return mover


def killed_in_doubt(late, scene):
    name = f"killed in doubt, the commit {'lands after the recovery' if late else 'never lands'}"
    account, before = mailbox(scene)
    plant_commit(account, "delay" if late else "silence", ms=4 * LATE)
    mover = start_in_doubt(scene, account)
    mover.kill()
    mover.communicate()
    is_(account_status(lab, account)[0], "maintenance", f"{name}: mail waits")
    exits(recover(account, scene), 0, f"{name}: recovered")
    goes_on(scene.move(account, two), before, account, name)
    if late:
        wait_for(lambda: asked(one, account, "ModifyAccountRequest") >= 3, 30, name)
        findings_none(check_move(lab, before, account, one, two), f"{name}: after it, too, nothing is wrong")


def given_up_in_doubt(scene):
    """Whoever interrupts it is told what is the matter; nothing is undone, by a first doRecover either."""
    name = "interrupted in doubt"
    account, before = mailbox(scene)
    plant_commit(account, "silence")
    one.fault("ModifyAccountRequest", "fault", account=account, count=60)
    mover = scene.start_move(account, two)
    wait_for(lambda: 0 < one.faults_left(account) < 59, 60, "the commit to be repeated")
    mover.terminate()
    out, _ = mover.communicate(timeout=600)
    ok(mover.returncode not in (0, -15), f"{name}: it says so ({mover.returncode})")
    ok("doRecover accounts" in out, f"{name}: with the command that finishes it")
    is_((account_status(lab, account)[0], one.state(account)["locked"]), ("maintenance", True), f"{name}: mail waits")
    explained = lab.zxmove("doRecover", "accounts", scene.addresses[account])
    exits(explained, 0, f"{name}: doRecover explains")
    says(explained, "force true", f"{name}: and names the way back")
    while one.faults_left(account) > 0:
        one.fault_clear()
    exits(recover(account, scene), 0, f"{name}: recovered")
    goes_on(scene.move(account, two), before, account, name)


def forced_back(scene):
    name = "forced back"
    account, before = mailbox(scene)
    is_(scene.move(account, two, fail="commit:committing=kill").returncode, -9, f"{name}: killed")
    exits(recover(account, scene, "force", "true"), 0, f"{name}: recovered")
    findings_none(check_unmoved(lab, before, account), f"{name}: everything is as it was")
    is_(home(lab, account).name, one.name, f"{name}: one home")
    before = scene.snapshot(account)
    moved_clean(scene.move(account, two), before, account, one, two, f"{name}: and the next move succeeds")


lab = Lab.create("doubt", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, admin=TIMEOUT)
    side_by_side(lab, [given_up_in_doubt], lanes=1)
    cases = [commit_late, moved_on, commit_late_while_refused, partial(killed_in_doubt, False), partial(killed_in_doubt, True),
             commit_refused, forced_back, partial(source_after, "fault"), partial(source_after, "silence")]
    cases += [partial(commit, mode) for mode in ("silence", "silence-after", "close-after", "garbage", "drop")]
    cases += [partial(after, request, earlier, mode) for request, earlier, modes in AFTER for mode in modes]
    side_by_side(lab, cases, lanes=3)
finally:
    lab.stop()
done()
