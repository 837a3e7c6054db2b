#!/usr/bin/python3
"""Two movers on one mailbox: the second is refused while the first lives; a mover that sleeps past its lease is
taken over by doRecover and, woken wherever it slept, touches nothing any more."""

import contextlib
import os
import signal
import sys
from functools import partial

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zxlab.check import check_move, check_unmoved  # noqa: E402
from zxlab.held import Held  # noqa: E402
from zxlab.lab import Lab  # noqa: E402
from zxlab.moves import (Scene, claimed, exits, fence_row, findings_none, moved_clean, says,  # noqa: E402
                         short_timeouts, side_by_side)
from zxlab.tap import done, is_, ok, wait_for  # noqa: E402
from zxlab.truth import Sql  # noqa: E402

# Where a mover falls asleep, and whether the move is finished or undone without it. At two of these it has looked
# whether the account is still its own, and wakes just before it sends something: it takes that back.
SLEEPS = (("fence:recorded", "undone"), ("fence:maintenance", "undone"), ("fence:lock", "undone"),
          ("prove:applied", "undone"), ("commit:intent", "undone"), ("commit:sent", "done"), ("open:late", "done"),
          ("open:status", "done"))


def refused(scene):
    account = scene.mailbox("twice", one, messages=20)
    before = scene.snapshot(account)
    first = scene.start_move(account, two, fail="clear:intent=hang")
    wait_for(lambda: claimed(one, account) and claimed(two, account), 60, "the first mover to begin")
    result = scene.move(account, two)
    exits(result, 75, "a second mover is refused")
    says(result, "worked on by operation", "and told by whom")
    exits(lab.zxmove("doRecover", "accounts", scene.addresses[account], "dry_run", "false"), 0,
          "there is nothing to recover")
    first.kill()
    first.communicate()
    moved_clean(scene.move(account, two), before, account, one, two, "when the first is dead the account is free")


@contextlib.contextmanager
def long_lease(account):
    """The claims of an account end in an hour; then when they would have."""
    ends = {}
    for store in (one, two):
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT expires FROM zxmove.claim WHERE account_id = %s", (account,))
            ends[store] = cursor.fetchone()[0]
            cursor.execute("UPDATE zxmove.claim SET expires = expires + INTERVAL 1 HOUR WHERE account_id = %s", (account,))
    yield
    for store, when in ends.items():
        with store.db() as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE zxmove.claim SET expires = %s WHERE account_id = %s", (when, account))


def taken_over(account, scene):
    """doRecover, refused while the sleeper's lease runs."""
    recover = ("doRecover", "accounts", scene.addresses[account], "dry_run", "false")
    with long_lease(account):
        exits(lab.zxmove(*recover), 75, "not before its lease is over")
    wait_for(lambda: lab.zxmove(*recover).returncode == 0, 60, "the lease to be over", every=1)
    with Sql(two) as sql:
        is_(sql.text("SELECT DISTINCT o.verb, o.state FROM zxmove.operation o JOIN zxmove.operation_mailbox m"
                     " ON m.operation = o.uuid AND m.seq IS NOT NULL"
                     f" WHERE o.verb = 'doRecover' AND m.account_id = '{account}' ORDER BY o.started DESC LIMIT 1"),
            [("doRecover", "done")], "the journal has the recovery")


def unchanged(before, account, state, name):
    findings = check_unmoved(lab, before, account) if state == "undone" else check_move(lab, before, account, one, two)
    findings_none(findings, name)
    is_((fence_row(one, account), fence_row(two, account)), (state, state), f"{name}: both records say so")


def woken(point, state, scene):
    """It sleeps at a failpoint as one that was stopped would, and goes on when another has taken over."""
    account = scene.mailbox(point.replace(":", "-"), one, messages=6, rich=False)
    before = scene.snapshot(account)
    file = os.path.join(lab.dir, f"wake-{account}")
    sleeper = scene.start_move(account, two, fail=f"{point}=wait", env={"ZX_FAIL_FILE": file})
    there = {"fence:recorded": "fenced", "fence:maintenance": "fenced", "fence:lock": "fenced",
             "prove:applied": "proven", "commit:intent": "proven", "commit:sent": "committing",
             "open:late": "committed", "open:status": "committed"}[point]
    wait_for(lambda: fence_row(two if there in ("proven", "committed") else one, account) == there, 60, f"it at {point}")
    taken_over(account, scene)
    unchanged(before, account, state, f"asleep at {point}, taken over")
    with open(file, "w", encoding="ascii"):
        pass
    out, _ = sleeper.communicate(timeout=600)
    if point == "open:status":  # the user is in; what was left is another's by now, and it says so
        is_(sleeper.returncode, 5, f"asleep at {point}, woken: it ends")
    else:
        ok(sleeper.returncode not in (0, -9), f"asleep at {point}, woken: it gives up ({sleeper.returncode})")
        ok("taken over by another" in out or "took the operation over" in out, f"asleep at {point}, woken: it says why")
    unchanged(before, account, state, f"asleep at {point}, woken: it touches nothing")


def stopped(cut, scene):
    """A process that was stopped, its requests under way, and one whose ssh sessions are gone when it wakes."""
    account = scene.mailbox("cut" if cut else "stopped", one, messages=6, rich=False)
    before = scene.snapshot(account)
    one.fault("LockoutMailboxRequest", "delay", op="start", account=account, ms=12000)
    sleeper = scene.start_move(account, two)
    wait_for(lambda: one.faults_left(account) == 0, 60, "the lock-out to be sent")
    sleeper.send_signal(signal.SIGSTOP)
    if cut:
        for store in (one, two):
            store.sshd_kill()
            store.sshd_start()
    taken_over(account, scene)
    unchanged(before, account, "undone", f"stopped{', cut off' if cut else ''}, taken over")
    sleeper.send_signal(signal.SIGCONT)
    sleeper.communicate(timeout=600)
    ok(sleeper.returncode not in (0, -9), f"stopped{', cut off' if cut else ''}, woken: it gives up ({sleeper.returncode})")
    unchanged(before, account, "undone", f"stopped{', cut off' if cut else ''}, woken: it touches nothing")


def sessions(store):
    """Processes of the store's sshd that serve a connection each."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == store.sshd.pid:
                    found.append(int(pid))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def own_lock(scene):
    """Its connections fall silent, and the server goes on holding the account's lock for them: the mover ends that
    session of its own, takes the lock again and goes on."""
    account = scene.mailbox("own-lock", one, messages=6, rich=False)
    before = scene.snapshot(account)
    held = Held(scene, account, two, "open:flushed")
    held.wait()
    silent = sessions(two)
    for pid in silent:
        os.kill(pid, signal.SIGSTOP)
    result = held.go()
    for pid in silent:
        os.kill(pid, signal.SIGCONT)
    ok(silent, "(a session was there to fall silent)")
    moved_clean(result, before, account, one, two, "a lock that a dead session of its own still holds")


lab = Lab.create("movers", mode=os.environ.get("MODE", "asan"))
try:
    one, two = lab.stores[:2]
    short_timeouts(lab, lease=20, timeout=5)
    side_by_side(lab, [refused, partial(stopped, False)] + [partial(woken, *sleep) for sleep in SLEEPS], lanes=4)
    stopped(True, Scene(lab))
    own_lock(Scene(lab))
finally:
    lab.stop()
done()
