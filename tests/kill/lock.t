#!/usr/bin/python3
"""The lock-out of the source: lost with a mailboxd that restarts in the window, it is taken anew and everything is
compared again; a `start` that a dead mover left pending is waited for before the user is let in; somebody else's
lock stays."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from zxlab import truth  # noqa: E402
from zxlab.check import Expect, check_unmoved  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import Scene, exits, fence_row, findings_none, moved_clean, short_timeouts  # noqa: E402
from zxlab.soap import Admin  # noqa: E402
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402

PENDING = 10000  # ms that a lock-out takes; less than a recovery waits for it


def go_file(account):
    return os.path.join(lab.dir, f"go-{account}")


def go(account):
    with open(go_file(account), "w", encoding="ascii"):
        pass


def halted(account, point):
    """A mover that has the lock and goes no further than this point of the window."""
    mover = scene.start_move(account, two, fail=f"{point}=wait", env={"ZX_FAIL_FILE": go_file(account)})
    marks = ("1", "1") if point == "prove:lock" else ("1", "0")
    wait_for(lambda: fence_row(one, account, "locked, lock_tried IS NOT NULL") == marks, 60, f"the mover at {point}")
    return mover


def end(mover):
    out, errors = mover.communicate(timeout=600)
    return subprocess.CompletedProcess(mover.args, mover.returncode, out, errors)


def restart():
    one.mailboxd_kill()
    one.mailboxd_start()


def write(account):
    """What a mailbox without its lock may get: a message is marked as unread."""
    with truth.Sql(one) as sql:
        mailbox, group = sql.mailbox(account)
        sql.query(f"UPDATE mboxgroup{group}.mail_item i JOIN (SELECT MIN(id) AS id, MAX(mod_metadata) AS top FROM"
                  f" mboxgroup{group}.mail_item WHERE mailbox_id = {mailbox} AND type = 5) m USING (id)"
                  f" SET unread = 1 - unread, mod_metadata = top + 1 WHERE mailbox_id = {mailbox}")


def starts(account):
    """How each lock-out that was asked for ended: None or the fault."""
    return [entry["fault"] for entry in one.log()
            if entry["request"] == "LockoutMailboxRequest" and entry["op"] == "start" and entry["account"] == account]


def lost(point):
    """The lock goes, and a change comes in its stead, while the mover is at this point."""
    account = scene.mailbox(point.replace(":", "-"), one, messages=6, rich=False)
    before = scene.snapshot(account)
    mover = halted(account, point)
    restart()
    write(account)
    go(account)
    moved_clean(end(mover), before, account, one, two, f"lost at {point}", Expect(changing=True))
    is_(starts(account), [None, "mail.MAINTENANCE"], f"lost at {point}: taken anew, then proven")


def killed_with_pending(account, before, mover, name):
    """A start is under way when the mover dies; it locks the mailbox later."""
    wait_for(lambda: one.faults_left(account) == 0, 60, "the start to be sent")
    mover.kill()
    is_(starts(account), [], f"{name}: the start has had no effect yet")
    mover.communicate()
    exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0, f"{name}: recovered")
    is_(starts(account), [None], f"{name}: not before the start was over")
    findings_none(check_unmoved(lab, before, account), f"{name}: everything is as it was")
    ok(one.user(account, "login")["ok"], f"{name}: the user is in")


def pending_clock():
    """The source's clock is set back before the recovery: what was sent a moment ago is not taken for never sent."""
    account = scene.mailbox("clock", one, messages=3, rich=False)
    before = scene.snapshot(account)
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=PENDING)
    mover = scene.start_move(account, two)
    wait_for(lambda: one.faults_left(account) == 0, 60, "the start to be sent")
    with truth.Sql(one) as sql:
        sql.query("UPDATE zxmove.fence SET lock_tried = lock_tried + INTERVAL 1 HOUR, made = made + INTERVAL 1 HOUR"
                  f" WHERE account_id = '{account}'")
        sql.connection.commit()
    killed_with_pending(account, before, mover, "killed while it locks, the clock set back")


def logged(account, words):
    """Whether an operation of this account has these words in its log."""
    directory = os.path.join(lab.dir, "state", "log")
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), encoding="utf-8") as log:
            text = log.read()
        if scene.addresses[account] in text and words in text:
            return True
    return False


def pending_frozen():
    """mailboxd stands still when it is asked to lock; when it goes on it does so a moment after it said that there is
    no lock."""
    account = scene.mailbox("frozen", one, messages=3, rich=False)
    before = scene.snapshot(account)
    held = Held(scene, account, two, "fence:lock")
    held.wait()
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=700)
    one.mailboxd.pause()
    held.go_on()
    wait_for(lambda: logged(account, "lock-out end"), 90, "the mover to look at the lock")
    one.mailboxd.cont()
    result = held.finish()
    ok(result.returncode != 0, "a lock-out by a server that stood still: the move fails")
    wait_for(lambda: starts(account) == [None], 20, "the start to be carried out")
    ok(not one.state(account)["locked"], "a lock-out by a server that stood still: it does not stay")
    findings_none(check_unmoved(lab, before, account), "a lock-out by a server that stood still: everything is as it was")


def pending_first():
    account = scene.mailbox("first", one, messages=3, rich=False)
    before = scene.snapshot(account)
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=PENDING)
    killed_with_pending(account, before, scene.start_move(account, two), "killed while it locks")


def pending_second():
    """The start that proves the lock, when there is none any more."""
    account = scene.mailbox("second", one, messages=3, rich=False)
    before = scene.snapshot(account)
    mover = halted(account, "prove:lock")
    restart()
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=PENDING)
    go(account)
    killed_with_pending(account, before, mover, "killed while it proves the lock")


def ends(account):
    return [entry["fault"] for entry in one.log()
            if entry["request"] == "LockoutMailboxRequest" and entry["op"] == "end" and entry["account"] == account]


def late_end():
    """The `end` of a window that was undone gets no answer and lands later: in no other window, and not on the old
    copy."""
    account = scene.mailbox("late-end", one, messages=3, rich=False)
    before = scene.snapshot(account)
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=11000)
    one.fault("LockoutMailboxRequest", "delay", op="end", account=account, ms=7000)
    result = scene.move(account, two, "cutover_timeout", "10s")
    is_(ends(account), [None, "service.NOT_FOUND"], "a late end: both were carried out, the late one to no effect")
    moved_clean(result, before, account, one, two, "a late end: the next window")


def half():
    """The window cannot be recorded at the destination: the record at the source is closed, and the user is in."""
    account = scene.mailbox("half", one, messages=3, rich=False)
    before = scene.snapshot(account)
    result = scene.move(account, two, fail="fence:half=fail")
    exits(result, 1, "recorded at the source alone: the move fails")
    ok("could not be closed" not in result.stdout, "recorded at the source alone: nothing is left to be done")
    is_((fence_row(one, account), fence_row(two, account)), ("undone", None), "recorded at the source alone: it is closed")
    findings_none(check_unmoved(lab, before, account), "recorded at the source alone: everything is as it was")


def somebody_elses():
    """The source's record is closed, the destination's was left open: a lock and a maintenance found now are an
    administrator's."""
    account = scene.mailbox("theirs", one, messages=3, rich=False)
    recover = ("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
    is_(scene.move(account, two, fail="fence:applied=kill").returncode, -9, "killed in the window")
    exits(lab.zxmove(*recover), 0, "and led back")
    with truth.Sql(two) as sql:
        sql.query(f"UPDATE zxmove.fence SET state = 'fenced' WHERE account_id = '{account}'")
        sql.connection.commit()
    lab.directory.set(lab.directory.account(account)[0], zimbraAccountStatus="maintenance")
    Admin(one).lockout(account, "start")
    exits(lab.zxmove(*recover), 0, "the record left open is closed")
    is_(fence_row(two, account), "undone", "as undone")
    is_(lab.directory.account(account)[1]["zimbraAccountStatus"], ["maintenance"],
        "an administrator's maintenance stays")
    ok(one.state(account)["locked"], "and the lock-out")


lab = Lab.create("lock", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, timeout=5)
    scene = Scene(lab)
    lost("fence:applied")
    lost("prove:lock")
    pending_first()
    pending_second()
    pending_clock()
    pending_frozen()
    late_end()
    half()
    somebody_elses()
finally:
    lab.stop()
done()
